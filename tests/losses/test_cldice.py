"""Soft clDice: gaps lower its sensitivity, false branches its precision."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from tests.losses.drawings import curves, line, line_with_bridge, noisy
from topodelin.losses.cldice import ClDiceLoss, cldice_loss, prepare_cldice, soft_cldice, soft_dice
from topodelin.losses.soft_skeleton import extreme_neighbour, soft_skeleton

SHAPES = [(9,), (6, 7), (4, 5, 6)]


def random_map(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((2, 1, *shape)))


def drawn(*rows: str) -> Tensor:
    """An image from rows of `.` and `#`."""
    return torch.tensor([[float(pixel == "#") for pixel in row] for row in rows])[None, None]


def slow_skeleton(image: np.ndarray, iterations: int) -> np.ndarray:
    """The recurrence with scipy's grey morphology; beyond the border lies nothing."""
    cross = ndimage.generate_binary_structure(image.ndim, 1)
    cube = np.ones((3,) * image.ndim, bool)
    skeleton = np.zeros_like(image)
    for _ in range(iterations + 1):
        smaller = ndimage.grey_erosion(image, footprint=cross, mode="constant", cval=np.inf)
        opened = ndimage.grey_dilation(smaller, footprint=cube, mode="constant", cval=-np.inf)
        skeleton = skeleton + (1 - skeleton) * np.maximum(image - opened, 0)
        image = smaller
    return skeleton


@given(seed=st.integers(0, 2**16), shape=st.sampled_from(SHAPES), iterations=st.integers(0, 3))
def test_the_skeleton_is_that_of_the_slow_twin(
    seed: int, shape: tuple[int, ...], iterations: int
) -> None:
    p = random_map(seed, shape)
    found = soft_skeleton(p, iterations=iterations)
    for one, of in zip(found[:, 0], p[:, 0], strict=True):
        np.testing.assert_allclose(one.numpy(), slow_skeleton(of.numpy(), iterations))


def test_a_bar_shrinks_to_its_middle() -> None:
    bar = drawn(".......", "#######", "#######", "#######", ".......")
    middle = drawn(".......", ".......", "#######", ".......", ".......")
    assert torch.equal(soft_skeleton(bar, iterations=1), middle)
    assert not soft_skeleton(bar, iterations=0).any()


def test_a_line_with_a_corner_is_its_own_skeleton() -> None:
    corner = drawn("#....", "#....", "####.", "....#")
    assert torch.equal(soft_skeleton(corner, iterations=2), corner)


def test_the_score_by_hand() -> None:
    # Lines of one pixel are their own skeletons. Of 5 true pixels 4 are found, and one more that
    # is false: both shares are (4 + 1) / (5 + 1), and so is their harmonic mean.
    mask = drawn(".....", ".....", "#####")
    found = drawn("....#", ".....", "####.")
    assert soft_cldice(found, mask).item() == pytest.approx(5 / 6)
    # With half the certainty, precision (2 + 1) / (2.5 + 1) and sensitivity (2 + 1) / (5 + 1).
    precision, sensitivity = 3 / 3.5, 3 / 6
    expected = 2 * precision * sensitivity / (precision + sensitivity)
    assert soft_cldice(found / 2, mask).item() == pytest.approx(expected)
    assert soft_dice(found, mask).item() == pytest.approx((2 * 4 + 1) / (5 + 5 + 1))


def test_a_mask_matches_itself() -> None:
    mask = (curves(0, (20, 24)) <= 2).float()
    assert soft_cldice(mask, mask).item() == 1
    assert soft_cldice(torch.zeros_like(mask), torch.zeros_like(mask)).item() == 1


@pytest.mark.parametrize("shape", [(20, 24), (12, 14, 16)])
def test_the_truth_costs_little_and_nothing_found_costs_nearly_all(shape: tuple[int, ...]) -> None:
    target = curves(0, shape)
    loss = ClDiceLoss()
    assert 0 <= loss(target, target).item() < 0.03
    assert loss(torch.full_like(target, 15), target).item() > 0.95


def test_a_longer_gap_costs_more() -> None:
    values = [cldice_loss(line(gap), line()).item() for gap in (2, 4, 8, 16, 32, 48)]
    assert values == sorted(set(values))


def test_a_longer_false_branch_costs_more() -> None:
    bridge, target = line_with_bridge(1), line()
    values = []
    for length in (4, 8, 16, 24):
        p = target.clone()
        p[..., 24 - length : 24, :] = bridge[..., 24 - length : 24, :]
        values.append(cldice_loss(p, target).item())
    assert values == sorted(set(values)) and values[0] > cldice_loss(target, target).item()


def test_descent_closes_a_gap_and_cuts_a_bridge() -> None:
    target = line()
    for wrong, closed in ((line(6), True), (line_with_bridge(1), False)):
        p = wrong.requires_grad_()
        cldice_loss(p, target).backward()
        assert p.grad is not None
        pull = p.grad[0, 0, 24, 21:27] if closed else -p.grad[0, 0, 2:18, 24]
        assert bool((pull >= 0).all()) and float(pull.max()) > 0


@given(seed=st.integers(0, 2**16), axis=st.integers(2, 4))
def test_a_mirror_changes_nothing(seed: int, axis: int) -> None:
    target = curves(seed, (8, 9, 10))
    p = noisy(target, seed)
    torch.testing.assert_close(cldice_loss(p.flip(axis), target.flip(axis)), cldice_loss(p, target))
    turned = (p.transpose(2, axis), target.transpose(2, axis))
    torch.testing.assert_close(cldice_loss(*turned), cldice_loss(p, target))


@pytest.mark.parametrize("shape", [(5, 6), (4, 4, 5)])
@pytest.mark.parametrize("dice_weight", [0.0, 0.5])
def test_gradient_matches_finite_differences(shape: tuple[int, ...], dice_weight: float) -> None:
    target = curves(0, shape, count=1).double()
    p = 4 * random_map(0, shape)[:1].requires_grad_()
    assert torch.autograd.gradcheck(lambda p: cldice_loss(p, target, dice_weight=dice_weight), [p])


@pytest.mark.parametrize("which", ["lowest", "highest"])
def test_the_pooling_passes_its_gradient_on(which: str) -> None:
    p = random_map(1, (3, 4, 1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: extreme_neighbour(p, [2, 3, 4], which), [p])


def test_the_dice_part_is_mixed_in() -> None:
    target = curves(0, (20, 24))
    p = noisy(target, 0)
    alone, dice, mixed = (cldice_loss(p, target, dice_weight=w) for w in (0.0, 1.0, 0.25))
    torch.testing.assert_close(mixed, 0.75 * alone + 0.25 * dice)
    assert 0 < dice.item() < 1 and dice.item() != alone.item()


@pytest.mark.parametrize("shape", [(20, 24), (10, 12, 14)])
def test_what_was_prepared_stands_for_the_target(shape: tuple[int, ...]) -> None:
    target = curves(0, shape)
    loss = ClDiceLoss(radius=1.5, iterations=2)
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")
    first, second = (noisy(target, 1).requires_grad_() for _ in range(2))
    a, b = loss(first, target), loss(second, prepared)
    a.backward()
    b.backward()
    assert torch.equal(a, b) and torch.equal(first.grad, second.grad)  # type: ignore[arg-type]


def test_a_known_skeleton_can_be_given() -> None:
    target = curves(0, (20, 24))
    mask, centreline = (target <= 2).float(), (target == 0).float()
    p = torch.rand(1, 1, 20, 24)
    assert soft_cldice(p, mask, skeleton=centreline) != soft_cldice(p, mask)
    with pytest.raises(ValueError, match="`skeleton` must have the shape of `mask`"):
        soft_cldice(p, mask, skeleton=centreline[..., 1:])


def test_logits_are_refused() -> None:
    mask = drawn("###", "...")
    with pytest.raises(ValueError, match="`probability` must lie between 0 and 1.*torch.sigmoid"):
        soft_cldice(4 * mask - 2, mask)
    with pytest.raises(ValueError, match="`mask` must lie between 0 and 1"):
        soft_cldice(mask, 2 * mask)


def test_too_few_iterations_are_refused_instead_of_costing_nothing() -> None:
    with pytest.raises(ValueError, match="`iterations` must be at least radius=2, got 1"):
        ClDiceLoss(iterations=1)
    mask = (line() <= 4).float()
    with pytest.raises(ValueError, match="`iterations` must reach the middle of the mask, got 2"):
        soft_cldice(mask, mask, iterations=2)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"iterations": 2.5}, "`iterations` must be a whole number"),
        ({"iterations": -1}, "`iterations` must be a whole number"),
        ({"smooth": 0.0}, "`smooth` must be positive"),
        ({"dice_weight": 1.5}, "`dice_weight` must lie between 0 and 1"),
        ({"radius": 0.0}, "`radius` must be positive"),
        ({"softness": -1.0}, "`softness` must be positive"),
    ],
)
def test_wrong_constants_are_refused(constants: dict[str, float], message: str) -> None:
    # The type checker of the tests speaks first where a type is wrong.
    with pytest.raises((ValueError, TypeError), match=f"{message}|Type-check"):
        ClDiceLoss(**constants)  # type: ignore[arg-type]


def test_a_target_is_checked_when_it_is_prepared() -> None:
    target = curves(0, (20, 24))
    with pytest.raises(ValueError, match="got only the values 0 and 1, a mask"):
        prepare_cldice((target == 0).float())
    with pytest.raises(ValueError, match="`target` must be finite"):
        prepare_cldice(target.masked_fill(target == 0, torch.nan))
    with pytest.raises(ValueError, match="must have the same shape"):
        ClDiceLoss()(target[..., 1:], prepare_cldice(target))
