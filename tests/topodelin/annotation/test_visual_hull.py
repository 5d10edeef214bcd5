"""Crops of volumes whose projections are annotated show what runs through the crop, no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.annotation import check_planes, crop_projections, visual_hull

SHAPE = (8, 10, 12)


def planes_of(volume: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(volume.any(axis)) for axis in range(3)]


def line_along_x(z: int, y: int) -> np.ndarray:
    volume = np.zeros(SHAPE, dtype=bool)
    volume[z, y] = True
    return volume


@given(seed=st.integers(0, 10_000), slack=st.integers(0, 2))
def test_the_hull_holds_every_annotated_voxel(seed: int, slack: int) -> None:
    volume = np.random.default_rng(seed).random(SHAPE) < 0.01
    hull = visual_hull(planes_of(volume), (0, 0, 0), SHAPE, slack=slack)
    assert hull[volume].all()


def test_the_hull_of_one_line_is_that_line() -> None:
    volume = line_along_x(3, 4)
    np.testing.assert_array_equal(visual_hull(planes_of(volume), (0, 0, 0), SHAPE, slack=0), volume)


def test_a_crop_of_the_hull_is_the_hull_of_the_crop() -> None:
    planes = planes_of(np.random.default_rng(0).random(SHAPE) < 0.02)
    whole = visual_hull(planes, (0, 0, 0), SHAPE)
    crop = visual_hull(planes, (2, 3, 4), (5, 4, 6))
    np.testing.assert_array_equal(crop, whole[2:7, 3:7, 4:10])


def test_a_line_behind_the_crop_is_not_seen_in_it() -> None:
    both = line_along_x(1, 2) | line_along_x(6, 7)
    z, y, x = crop_projections(planes_of(both), (0, 0, 0), (4, 10, 12))  # the upper half
    for seen, axis in ((z, 0), (y, 1), (x, 2)):
        np.testing.assert_array_equal(seen, line_along_x(1, 2)[:4].any(axis))


def test_annotations_that_disagree_by_a_pixel_are_kept_with_slack() -> None:
    planes = planes_of(line_along_x(3, 4))
    planes[1] = np.roll(planes[1], 1, axis=0)  # (z, x): one voxel deeper than the others say
    loose = crop_projections(planes, (0, 0, 0), SHAPE, slack=1)
    strict = crop_projections(planes, (0, 0, 0), SHAPE, slack=0)
    for kept, lost, plane in zip(loose, strict, planes, strict=True):
        np.testing.assert_array_equal(kept, plane)
        assert not lost.any()


def test_planes_in_another_order_are_refused() -> None:
    z, y, x = planes_of(line_along_x(3, 4))
    check_planes([z, y, x], SHAPE)
    with pytest.raises(ValueError, match="along z, y and x .* mind their order"):
        check_planes([x, y, z], SHAPE)
