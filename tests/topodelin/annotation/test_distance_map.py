"""Distance maps: exact, in finest voxel edges, and the same whatever box they are computed in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topodelin.annotation.drawings import chain
from topodelin.annotation import centreline_mask, distance_map, graph_distance_map, random_neurites

SPACING = (1.0, 0.33, 0.33)
seeds = st.integers(0, 2**16)


def slow_distance_map(
    mask: np.ndarray, spacing: tuple[float, float, float], d_max: float
) -> np.ndarray:
    """Every voxel against every marked one."""
    here = np.argwhere(np.ones_like(mask)) * spacing
    marked = np.argwhere(mask) * spacing
    distance = np.linalg.norm(here[:, None] - marked, axis=-1).min(axis=1, initial=np.inf)
    return np.minimum(distance / min(spacing), d_max).reshape(mask.shape)


def test_one_voxel_by_hand() -> None:
    # A slice away: 2 µm, that is 4 edges of the finest voxel (0.5 µm). A row away: 2 edges.
    mask = np.zeros((2, 2, 3), bool)
    mask[0, 0, 0] = True
    expected = [
        [[0, 1, 2], [2, np.sqrt(5), np.sqrt(8)]],
        [[4, np.sqrt(17), 4.2], [4.2, 4.2, 4.2]],
    ]
    found = distance_map(mask, (2.0, 1.0, 0.5), d_max=4.2)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@given(
    seed=seeds,
    spacing=st.tuples(*[st.floats(0.1, 3.0)] * 3),
    density=st.floats(0.0, 0.1),
    d_max=st.floats(0.5, 30.0),
)
def test_distances_are_exact(
    seed: int, spacing: tuple[float, float, float], density: float, d_max: float
) -> None:
    mask = np.random.default_rng(seed).random((5, 7, 6)) < density
    found = distance_map(mask, spacing, d_max)
    np.testing.assert_allclose(found, slow_distance_map(mask, spacing, d_max), rtol=1e-5)


def test_without_a_centreline_all_is_far() -> None:
    found = distance_map(np.zeros((3, 4, 5), bool), SPACING, 15)
    assert found.dtype == np.float32
    assert (found == 15).all()


def test_a_straight_neurite_in_finest_voxels() -> None:
    # Along x in the second slice: a slice above it lies 1 / 0.33 finest edges away.
    line = chain((1.0, 0.66, -9.0), (1.0, 0.66, 9.0))
    found = graph_distance_map(line, (3, 5, 4), SPACING, 20.0)
    np.testing.assert_allclose(found[:, 2, 0], [1 / 0.33, 0, 1 / 0.33], rtol=1e-6)
    np.testing.assert_allclose(found[1, :, 3], [2, 1, 0, 1, 2], rtol=1e-6)


@given(
    seed=seeds,
    corner=st.tuples(st.integers(-5, 10), st.integers(-9, 30), st.integers(-9, 30)),
    d_max=st.sampled_from([1.0, 4.5, 10.0]),
)
@settings(max_examples=25)
def test_the_map_of_a_crop_is_the_crop_of_the_map(
    seed: int, corner: tuple[int, int, int], d_max: float
) -> None:
    graph = random_neurites(np.random.default_rng(seed), (12.0, 10.0, 10.0))
    whole = graph_distance_map(graph, (24, 56, 56), SPACING, d_max, origin=(-6, -10, -10))
    crop = graph_distance_map(graph, (6, 15, 12), SPACING, d_max, origin=corner)
    z, y, x = corner[0] + 6, corner[1] + 10, corner[2] + 10
    np.testing.assert_allclose(crop, whole[z : z + 6, y : y + 15, x : x + 12], rtol=1e-6, atol=1e-6)


@given(seed=seeds)
def test_the_map_is_zero_on_the_centreline_and_nowhere_else(seed: int) -> None:
    graph = random_neurites(np.random.default_rng(seed), (12.0, 8.0, 8.0))
    found = graph_distance_map(graph, (12, 24, 24), SPACING, 5.0)
    np.testing.assert_array_equal(found == 0, centreline_mask(graph, (12, 24, 24), SPACING))


@pytest.mark.parametrize("d_max", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wrong_d_max_is_named(d_max: float) -> None:
    with pytest.raises(ValueError, match="`d_max` must be a positive number"):
        distance_map(np.zeros((2, 2, 2), bool), SPACING, d_max)
