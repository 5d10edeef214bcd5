"""Betti errors of patches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import seeds
from topodelin.graphs import mask_betti_errors
from topodelin.graphs.patch_betti import patch_betti_errors


def test_errors_that_cancel_in_the_whole_do_not_in_patches() -> None:
    truth, predicted = np.zeros((2, 4, 12), dtype=bool)
    truth[1:3, 1:3] = True
    predicted[1:3, 9:11] = True
    assert mask_betti_errors(truth, predicted).errors == (0, 0)
    found = patch_betti_errors(truth, predicted, patch=4)
    assert (found.errors, found.patches) == ((2, 0), 3)
    assert found.means == pytest.approx((2 / 3, 0))
    assert found.as_dict() == pytest.approx(
        {"patch_error_components": 2 / 3, "patch_error_loops": 0, "patches": 3}
    )


@settings(max_examples=20)
@given(seed=seeds, size=st.integers(1, 9), step=st.integers(1, 9))
def test_every_voxel_is_in_a_patch_of_the_lattice(seed: int, size: int, step: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random((2, 5, 7)) < 0.5
    step = min(step, size)
    starts = [
        [
            (y, min(y + size, n))
            for y in sorted({*range(0, max(1, n - size), step), max(0, n - size)})
        ]
        for n in truth.shape
    ]
    expected = [
        mask_betti_errors(truth[a:b, c:d], predicted[a:b, c:d]).errors
        for a, b in starts[0]
        for c, d in starts[1]
    ]
    found = patch_betti_errors(truth, predicted, patch=size, stride=step)
    assert found.errors == tuple(np.sum(expected, axis=0)) and found.patches == len(expected)


def test_a_patch_as_large_as_the_volume_is_the_volume() -> None:
    truth = np.ones((3, 4, 5), dtype=np.uint8)
    predicted = truth.copy()
    predicted[1, 1:3, 1:4] = 0
    for patch in (9, (3, 4, 5)):
        found = patch_betti_errors(truth, predicted, patch=patch)
        assert (found.errors, found.patches) == ((0, 0, 1), 1)
    nothing = patch_betti_errors(truth * 0, truth * 0, patch=2)
    assert nothing.errors == (0, 0, 0) and nothing.patches == 12


def test_wrong_parameters_are_answered_in_one_line() -> None:
    mask = np.ones((4, 4))
    with pytest.raises(ValueError, match="`patch` must be voxels from 1 up for each of 2 axes"):
        patch_betti_errors(mask, mask, patch=0)
    with pytest.raises(ValueError, match=r"each of 2 axes, got \(2, 2, 2\)"):
        patch_betti_errors(mask, mask, patch=(2, 2, 2))
    with pytest.raises(ValueError, match=r"`stride` must be at most the patch, \(2, 2\)"):
        patch_betti_errors(mask, mask, patch=2, stride=3)
