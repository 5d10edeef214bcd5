"""Which voxels of an annotation of classes count more."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve, distance_transform_edt, label

from topodelin.annotation import border_weights, class_balance_weights, diffusion_weights


def drawing(*slices: str) -> np.ndarray:
    """Slices of digits, rows parted by blanks; `.` was not judged."""
    rows = [[[-1 if c == "." else int(c) for c in row] for row in s.split()] for s in slices]
    return np.array(rows, dtype=np.int64)


def random_classes(seed: int, shape: tuple[int, int, int] = (2, 9, 11)) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 0, 1, 2], shape, p=[0.1, 0.5, 0.2, 0.2])


def balance(classes: np.ndarray) -> np.ndarray:
    return class_balance_weights(classes, 3, most=2.0)


def border(classes: np.ndarray) -> np.ndarray:
    return border_weights(classes, [1, 2], w0=10.0, sigma=1.5)


def diffusion(classes: np.ndarray) -> np.ndarray:
    return diffusion_weights(classes, 3, steps=8)


ALL = pytest.mark.parametrize("weights", [balance, border, diffusion])


@ALL
@given(seed=st.integers(0, 10_000))
def test_a_quarter_turn_turns_the_weights(weights, seed: int) -> None:
    classes = random_classes(seed)
    turned = weights(np.ascontiguousarray(np.rot90(classes, axes=(1, 2))))
    np.testing.assert_allclose(
        turned, np.rot90(weights(classes), axes=(1, 2)), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("weights", [balance, diffusion])
@given(seed=st.integers(0, 10_000))
def test_other_numbers_for_the_classes_change_nothing(weights, seed: int) -> None:
    classes = random_classes(seed)
    renumbered = np.array([2, 0, 1, -1])[classes]
    np.testing.assert_allclose(weights(renumbered), weights(classes), rtol=1e-5, atol=1e-5)


@ALL
@given(seed=st.integers(0, 10_000))
def test_what_nobody_judged_has_no_weight(weights, seed: int) -> None:
    classes = random_classes(seed)
    found = weights(classes)
    assert found.dtype == np.float32 and found.shape == classes.shape
    assert (found[classes == -1] == 0).all() and (found >= 0).all() and np.isfinite(found).all()


@ALL
def test_a_stack_that_nobody_judged_has_no_weight(weights) -> None:
    assert not weights(drawing("..", "..")).any()


def test_the_rarest_class_weighs_most() -> None:
    found = class_balance_weights(drawing("0011 000. 0022"), 4, most=3.0)
    expected = [[1, 1, 3, 3], [1, 1, 1, 0], [1, 1, 3, 3]]  # 7 0s against twice 2; class 3 is absent
    by_hand = np.array(expected, float)
    by_hand[by_hand == 1] = 3 * 2 / 7
    np.testing.assert_allclose(found[0], by_hand, rtol=1e-6)


def test_a_membrane_between_two_cells_by_hand() -> None:
    found = border_weights(drawing("10001.0"), [1], w0=10.0, sigma=5.0)[0, 0]
    inside, beyond = 10 * np.exp(-16 / 50), 10 * np.exp(-64 / 50)  # 1 + 3 or 2 + 2; 2 + 6
    np.testing.assert_allclose(found, [0, inside, inside, inside, 0, 0, beyond], rtol=1e-6)


@pytest.mark.parametrize(
    "alone", [drawing("00000"), drawing("00100"), drawing("1000", "0001"), drawing("1100 0110")]
)
def test_fewer_than_two_cells_in_a_slice_have_no_border(alone: np.ndarray) -> None:
    assert not border_weights(alone, [1]).any()


def test_a_diagonal_membrane_parts_two_cells() -> None:
    found = border_weights(drawing("011 101 110"), [1], w0=1.0, sigma=5.0)
    np.testing.assert_allclose(found[0].diagonal(), np.exp(-4 / 50), rtol=1e-6)


def test_classes_of_one_cell_are_one_cell() -> None:
    one = drawing("120000")
    assert not border_weights(one, [1, 2]).any()
    assert border_weights(one, [1]).sum() == 0
    assert border_weights(drawing("120001"), [1, 2]).any()


def test_cells_out_of_reach_do_not_count() -> None:
    far = drawing("1" + "0" * 9 + "1")
    weights = border_weights(far, [1], sigma=2.0, reach=3.0)[0, 0]
    assert np.flatnonzero(weights).tolist() == [4, 5, 6]  # at most 6 voxels from both


@given(seed=st.integers(0, 10_000), sigma=st.sampled_from([0.5, 1.0, 2.5]))
def test_borders_are_those_of_distances_over_the_whole_slice(seed: int, sigma: float) -> None:
    classes = random_classes(seed, (1, 14, 17))
    cell = np.isin(classes[0], [1])
    numbers = np.zeros(cell.shape, np.int32)
    label(cell, output=numbers)
    expected = np.zeros(cell.shape)
    for a, b in combinations(range(1, numbers.max() + 1), 2):
        pair = np.stack([np.asarray(distance_transform_edt(numbers != k)) for k in (a, b)])
        near = np.exp(-(pair.sum(axis=0) ** 2) / (2 * sigma**2)) * (pair <= 4 * sigma).all(axis=0)
        expected = np.maximum(expected, 7 * near)
    expected[cell | (classes[0] == -1)] = 0
    found = border_weights(classes, [1], w0=7.0, sigma=sigma)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-6)


def test_one_step_of_diffusion_by_hand() -> None:
    # The middle reaches the edges by 1/6 and the corners by 1/12; all around reaches the middle.
    found = diffusion_weights(drawing("000 010 000"), 2, steps=1, floor=0.0, most=24.0)
    np.testing.assert_allclose(found[0], [[12, 24, 12], [24, 24, 24], [12, 24, 12]], rtol=1e-5)


def plain_diffusion(source: np.ndarray, steps: int) -> np.ndarray:
    stencil = np.array([[1 / 12, 1 / 6, 1 / 12], [1 / 6, -1, 1 / 6], [1 / 12, 1 / 6, 1 / 12]])
    u = source.astype(float)
    for _ in range(steps):
        u = np.maximum(0.98 * (u + 0.2 * convolve(u, stencil, mode="nearest")), 0)
        u[source] = 1
    return u


@given(seed=st.integers(0, 10_000))
def test_diffusion_is_that_of_a_plain_convolution(seed: int) -> None:
    classes = random_classes(seed, (1, 8, 9))
    judged = classes[0] >= 0
    expected = np.zeros(judged.shape)
    for number in range(3):
        one = classes[0] == number
        for source, target in ((one, judged & ~one), (judged & ~one, one)):
            spread = np.maximum(plain_diffusion(source, 20) - 0.2, 0) * target
            expected += 25 * spread / spread.max()
    found = diffusion_weights(classes, 3, steps=20)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)


def test_a_narrow_part_weighs_more_than_a_straight_side() -> None:
    classes = np.zeros((1, 21, 30), np.int64)
    classes[0, :, :10] = 1  # a broad cell with a straight side
    classes[0, 10, 15:25] = 1  # a process one pixel thin
    found = diffusion_weights(classes, 2)[0]
    assert found[10, 20] > 1.3 * found[10, 9] > 0
    assert found[10, 24] == pytest.approx(25)  # its tip most of all


def test_the_scale_is_that_of_the_stack_and_slices_do_not_mix() -> None:
    broad, thin = "0000 0000 1111 1111", "0000 0100 0000 0000"
    both = diffusion_weights(drawing(broad, thin, "0000 0000 0000 0000"), 2, steps=5, floor=0.0)
    alone = diffusion_weights(drawing(thin), 2, steps=5, floor=0.0)
    assert both[1, 1, 1] == pytest.approx(alone[0, 1, 1])
    assert both[0, 2].max() < both[1, 1, 1] and not both[2].any()


def test_two_classes_are_one_pair() -> None:
    assert diffusion_weights(drawing("0001"), 2).max() == pytest.approx(25)
    assert diffusion_weights(drawing("0001"), 5).max() == pytest.approx(25)
