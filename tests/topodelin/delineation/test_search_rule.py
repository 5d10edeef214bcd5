"""Which neighbours the search enters."""

import numpy as np
import pytest

from topodelin.delineation.lattice import DIRECTIONS
from topodelin.delineation.search_rule import SearchRule, directions_reached, foreground

UNIT = (1.0, 1.0, 1.0)


def cube_with(*voxels: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((9, 9, 9), bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def test_a_neurite_in_the_middle_reaches_nothing() -> None:
    assert directions_reached(cube_with((4, 4, 4)), UNIT, 3.0) == ()


def test_a_neurite_at_a_face_reaches_the_cube_behind_it_only() -> None:
    assert directions_reached(cube_with((8, 4, 4)), UNIT, 3.0) == ((1, 0, 0),)


def test_a_neurite_in_a_corner_reaches_seven_cubes() -> None:
    reached = directions_reached(cube_with((0, 8, 8)), UNIT, 1.0)
    expected = {d for d in DIRECTIONS if d[0] <= 0 and d[1] >= 0 and d[2] >= 0}
    assert set(reached) == expected
    assert len(reached) == 7


def test_reach_is_measured_in_micrometres_along_each_axis() -> None:
    # The second layer from the border: within 2 µm along x, but only within 4 µm along z.
    spacing = (2.0, 1.0, 1.0)
    assert directions_reached(cube_with((4, 4, 7)), spacing, 2.0) == ((0, 0, 1),)
    assert directions_reached(cube_with((7, 4, 4)), spacing, 2.0) == ()
    assert directions_reached(cube_with((7, 4, 4)), spacing, 4.0) == ((1, 0, 0),)


def test_the_outermost_layer_is_within_any_reach() -> None:
    assert directions_reached(cube_with((4, 4, 8)), UNIT, 0.01) == ((0, 0, 1),)


def test_a_speck_is_no_foreground_and_touching_corners_make_one_component() -> None:
    distance = np.full((9, 9, 9), 5.0, np.float32)
    distance[0, 0, 0] = distance[1, 1, 1] = distance[2, 2, 2] = 1.0
    distance[7, 7, 7] = 1.0
    assert foreground(distance, 2.0, 3).sum() == 3
    assert not foreground(distance, 2.0, 4).any()
    assert not foreground(distance, 1.0, 1).any(), "the threshold itself is outside"


def test_a_rule_without_a_positive_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match="`threshold` must be positive, got 0"):
        SearchRule(threshold=0)
