"""The MALIS loss: what it pulls on, what it leaves alone, and what it refuses."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.drawings import curves, distance_map, line, noisy
from topodelin.losses.malis import MalisLoss, affinity_malis_loss, malis_loss
from topodelin.losses.trees import annotated_trees

SEEDS = st.integers(0, 2**32 - 1)
AIMS = pytest.mark.parametrize("aim", ["truth", "one-sided", "extremes"])
SPACES = pytest.mark.parametrize("space", [(20, 24), (10, 12, 14)])


def two_lines(bridge: int = 0, shape: tuple[int, ...] = (24, 30)) -> Tensor:
    """Two parallel lines, 14 apart, and a false one, so many pixels wide, between them."""
    mask = np.zeros(shape, bool)
    mask[5] = mask[19] = True
    mask[5:19, 10 : 10 + bridge] = True
    return distance_map(mask)


def gradient(prediction: Tensor, target: Tensor, **constants: object) -> Tensor:
    p = prediction.clone().requires_grad_()
    malis_loss(p, target, **constants).backward()  # pyright: ignore[reportArgumentType]
    assert p.grad is not None
    return p.grad


@SPACES
@pytest.mark.parametrize("aim", ["truth", "one-sided"])
def test_the_truth_costs_nothing_and_is_left_alone(space: tuple[int, ...], aim: str) -> None:
    target = curves(3, space, 3)
    assert malis_loss(target, target, aim=aim) == 0
    assert not gradient(target, target, aim=aim).any()


def test_two_voxels_by_hand() -> None:
    # One tree of two voxels, its only edge predicted at 6 instead of 1: ((6 - 1) / 10)^2.
    # The background has no pair, so whatever is predicted there costs nothing.
    target = torch.tensor([0.0, 1, 9, 9, 9])[None, None]
    prediction = torch.tensor([2.0, 6, 0, 3, 0])[None, None].requires_grad_()
    loss = malis_loss(prediction, target, d_max=10, radius=1)
    loss.backward()
    assert loss.item() == pytest.approx(0.25)
    assert prediction.grad is not None
    torch.testing.assert_close(prediction.grad[0, 0], torch.tensor([0, 0.1, 0, 0, 0]))
    published = malis_loss(prediction, target, d_max=10, radius=1, aim="extremes")
    assert published.item() == pytest.approx(0.36)


def test_two_trees_by_hand() -> None:
    # Two trees of one voxel: their best path is weakest at the largest distance on it, 4, on
    # both sides of that voxel; the edge that comes last in order is blamed. ((9 - 4) / 10)^2.
    target = torch.tensor([0.0, 9, 9, 9, 0])[None, None]
    prediction = torch.tensor([1.0, 2, 4, 3, 1])[None, None]
    assert malis_loss(prediction, target, d_max=10, radius=1).item() == pytest.approx(0.25)


@pytest.mark.parametrize("gap", [2, 5, 12, 30])
def test_a_gap_is_pulled_down_and_nothing_else(gap: int) -> None:
    grad = gradient(line(gap), line())
    begin = (48 - gap) // 2
    assert (grad >= 0).all() and grad[..., begin : begin + gap].sum() > 0
    assert not grad[..., : begin - 2].any() and not grad[..., begin + gap + 2 :].any()


def test_a_longer_gap_costs_more() -> None:
    costs = [malis_loss(line(gap), line()).item() for gap in range(6, 20, 2)]
    assert costs == sorted(set(costs))


def test_a_dead_end_counts() -> None:
    # The loss of regions is blind to a gap in a branch that ends inside the image.
    whole = np.zeros((24, 24), bool)
    whole[12, 4:20] = True
    broken = whole.copy()
    broken[12, 9:14] = False
    assert malis_loss(distance_map(broken), distance_map(whole)) > 0.01


def test_a_bridge_between_two_trees_is_pushed_up_and_nothing_else() -> None:
    grad = gradient(two_lines(bridge=2), two_lines())
    assert (grad <= 0).all() and grad.sum() < 0
    assert not grad[..., :5].any() and not grad[..., 17:].any()


def test_a_wider_bridge_still_costs() -> None:
    costs = [malis_loss(two_lines(width), two_lines()).item() for width in (0, 1, 3, 5)]
    assert costs[0] == 0 and min(costs[1:]) > 0.01


def test_one_sided_leaves_better_than_true_alone() -> None:
    target = two_lines()
    better = torch.where(target <= 2, target / 2, target + 1)
    assert malis_loss(better, target, aim="one-sided") == 0
    assert malis_loss(better, target, aim="truth") > 0


def test_the_two_terms_have_their_weights() -> None:
    target, prediction = two_lines(), noisy(two_lines(), 0)
    both, gap, bridge = (
        malis_loss(prediction, target, gap_weight=g, bridge_weight=b).item()
        for g, b in ((3, 5), (1, 0), (0, 1))
    )
    assert gap > 0 and bridge > 0 and both == pytest.approx(3 * gap + 5 * bridge)


@AIMS
def test_gradient_matches_finite_differences(aim: str) -> None:
    target = curves(1, (5, 6, 4), 2).double()
    prediction = noisy(target.float(), 1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: malis_loss(p, target, aim=aim), [prediction])


@given(seed=SEEDS, axis=st.sampled_from([2, 3, 4]))
def test_mirrors_and_turns_change_nothing(seed: int, axis: int) -> None:
    target = curves(seed, (6, 7, 8), 3)
    prediction = noisy(target, seed)
    expected = malis_loss(prediction, target)
    mirrored = malis_loss(prediction.flip(axis), target.flip(axis))
    turned = malis_loss(prediction.transpose(axis, 2), target.transpose(axis, 2))
    torch.testing.assert_close(mirrored, expected)
    torch.testing.assert_close(turned, expected)


def test_images_of_a_batch_are_averaged() -> None:
    targets = torch.cat([curves(seed, (20, 24), 3) for seed in range(4)])
    predictions = noisy(targets, 0)
    each = [malis_loss(p[None], t[None]) for p, t in zip(predictions, targets, strict=True)]
    together = malis_loss(predictions.reshape(2, 2, 20, 24), targets.reshape(2, 2, 20, 24))
    torch.testing.assert_close(together, torch.stack(each).mean())


@SPACES
def test_a_prepared_annotation_gives_the_same(space: tuple[int, ...]) -> None:
    target = curves(5, space, 3)
    prediction = noisy(target, 2)
    loss = MalisLoss(radius=1.5, aim="one-sided", offsets=[(1,) + (0,) * (len(space) - 1)])
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")
    assert torch.equal(loss(prediction, prepared), loss(prediction, target))


def test_trees_touch_at_corners_and_each_image_has_its_own() -> None:
    drawing = torch.tensor([[0.0, 9, 9, 0], [9, 0, 9, 9], [9, 9, 9, 3]])
    trees = annotated_trees(torch.stack([drawing, drawing.flip(1)])[:, None], radius=2)
    assert trees[0, 0].tolist() == [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert trees[1, 0].max() == 2


@pytest.mark.parametrize("target", [torch.full((1, 1, 6, 6), 15.0), torch.zeros(1, 1, 6, 6)])
def test_no_tree_or_nothing_else_is_no_error(target: Tensor) -> None:
    prediction = noisy(target, 0).requires_grad_()
    loss = malis_loss(prediction, target)
    loss.backward()
    assert loss.isfinite()


def test_descent_closes_the_gap() -> None:
    loss = MalisLoss()
    ready = loss.prepare(line())
    prediction = line(10).requires_grad_()
    optimizer = torch.optim.SGD([prediction], lr=60)
    for _ in range(120):
        optimizer.zero_grad()
        loss(prediction, ready).backward()
        optimizer.step()
    assert prediction.detach()[0, 0, 24].max() < 2.5


def test_affinities_by_hand() -> None:
    # 1 .9 1 .2 0 .3 2 .8 2: pairs inside blame .9 and .8, the four across blame .2.
    affinities = torch.tensor([[[0.9, 0.2, 0.3, 0.8, 0.0]]], requires_grad=True)
    labels = torch.tensor([[1, 1, 0, 2, 2]])
    loss = affinity_malis_loss(affinities, labels, gap_weight=2, bridge_weight=3)
    loss.backward()
    assert loss.item() == pytest.approx(2 * (0.01 + 0.04) / 2 + 3 * 0.04)
    assert affinities.grad is not None
    torch.testing.assert_close(affinities.grad[0, 0], torch.tensor([-0.2, 1.2, 0, -0.4, 0]))


def test_affinities_without_a_mistake_cost_nothing() -> None:
    labels = torch.tensor([[[1, 1, 0, 2], [1, 0, 0, 2], [1, 1, 0, 0]]])
    down = (labels[:, :-1] == labels[:, 1:]) & (labels[:, 1:] > 0)
    across = (labels[..., :-1] == labels[..., 1:]) & (labels[..., 1:] > 0)
    affinities = torch.zeros(1, 2, 3, 4)
    affinities[:, 0, :-1], affinities[:, 1, :, :-1] = down.float(), across.float()
    assert affinity_malis_loss(affinities, labels) == 0
    assert affinity_malis_loss(1 - affinities, labels) == 2


def test_gradient_of_affinities_matches_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    affinities = torch.rand(2, 3, 3, 4, 5, generator=generator, dtype=torch.float64) * 0.9 + 0.05
    labels = torch.randint(0, 4, (2, 3, 4, 5), generator=generator)
    loss = lambda a: affinity_malis_loss(a, labels)  # noqa: E731
    assert torch.autograd.gradcheck(loss, [affinities.requires_grad_()])


def test_bad_constants_and_inputs_are_refused() -> None:
    target = curves(0, (20, 24))
    with pytest.raises(ValueError, match="`aim` must be one of 'truth', 'one-sided', 'extremes'"):
        MalisLoss(aim="zero")
    with pytest.raises(ValueError, match="`d_max` must be positive and finite"):
        MalisLoss(d_max=0)
    with pytest.raises(ValueError, match="`radius` must be 0 or more"):
        malis_loss(target, target, radius=-1)
    with pytest.raises(ValueError, match="clipped at d_max=5"):
        malis_loss(target, target, d_max=5)
    with pytest.raises(ValueError, match="`offsets` must be steps"):
        malis_loss(target, target, offsets=[(0, 0, 1)])
    with pytest.raises(ValueError, match="`affinities` must be between 0 and 1"):
        affinity_malis_loss(torch.full((1, 2, 4, 4), 3.0), torch.ones(1, 4, 4, dtype=torch.int64))
    with pytest.raises(TypeError, match="the order is loss\\(affinities, labels\\)"):
        affinity_malis_loss(torch.ones(1, 4, 4, dtype=torch.int64), torch.ones(1, 2, 4, 4))
    with pytest.raises(ValueError, match="`labels` must be \\(batch, \\*space\\)"):
        affinity_malis_loss(torch.ones(1, 2, 4, 4), torch.ones(1, 1, 4, 4, dtype=torch.int64))
