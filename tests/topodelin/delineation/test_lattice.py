"""The lattice tiles a volume without gap or overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.delineation.lattice import DIRECTIONS, Lattice
from topodelin.volumes import Box

shapes = st.tuples(*[st.integers(1, 9)] * 3)
cubes = st.tuples(*[st.integers(1, 5)] * 3)


@given(shapes, cubes)
def test_every_voxel_belongs_to_exactly_one_cube(
    shape: tuple[int, int, int], cube: tuple[int, int, int]
) -> None:
    lattice = Lattice(shape, cube)
    owners = np.zeros(shape, int)
    for place in lattice:
        owners[lattice.core(place).slices] += 1
        assert lattice.holding(lattice.core(place).begin) == place
    assert (owners == 1).all()
    assert len(list(lattice)) == lattice.total


def test_a_cube_in_the_middle_has_26_neighbours_and_one_in_the_corner_7() -> None:
    lattice = Lattice((30, 30, 30), (10, 10, 10))
    assert len(DIRECTIONS) == 26
    assert len(list(lattice.neighbours((1, 1, 1)))) == 26
    assert len(list(lattice.neighbours((0, 0, 0)))) == 7
    assert dict(lattice.neighbours((0, 0, 0)))[0, 1, 0] == (0, 1, 0)


def test_the_last_cube_is_cut_by_the_volume_but_keeps_its_full_box() -> None:
    lattice = Lattice((10, 10, 25), (10, 10, 10))
    assert lattice.counts == (1, 1, 3)
    assert lattice.core((0, 0, 2)) == Box((0, 0, 20), (10, 10, 25))
    assert lattice.full((0, 0, 2)) == Box((0, 0, 20), (10, 10, 30))


@given(shapes, cubes, st.data())
def test_overlapping_names_the_cubes_that_share_a_voxel(
    shape: tuple[int, int, int], cube: tuple[int, int, int], data: st.DataObject
) -> None:
    lattice = Lattice(shape, cube)
    corners = st.tuples(*(st.integers(0, n) for n in shape))
    one, other = data.draw(corners), data.draw(corners)
    box = Box(one, other)
    expected = [place for place in lattice if (lattice.core(place) & box).size]
    assert list(lattice.overlapping(box)) == expected


def test_a_cube_without_voxels_is_refused() -> None:
    with pytest.raises(ValueError, match="`cube` must be three positive voxel counts"):
        Lattice((10, 10, 10), (10, 0, 10))
