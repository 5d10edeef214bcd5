"""Skeletons of cubes, stitched, are the skeleton of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter1d
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from topodelin.delineation.lattice import Lattice
from topodelin.delineation.tracing.fragments import Fragment, fragment, voxel_keys
from topodelin.delineation.tracing.stitching import SkeletonGraph, stitch

UNIT = (1.0, 1.0, 1.0)
SIZE = 48


def distances_to(centreline: np.ndarray) -> np.ndarray:
    """Distance of every voxel from the nearest true one, voxels."""
    return np.asarray(distance_transform_edt(~centreline), dtype=np.float32)


def curves(seed: int) -> np.ndarray:
    """The distance map of a few smooth random curves, (48, 48, 48) voxels."""
    rng = np.random.default_rng(seed)
    centreline = np.zeros((SIZE, SIZE, SIZE), bool)
    for _ in range(3):
        steps = gaussian_filter1d(rng.normal(size=(1000, 3)), 40, axis=0)
        steps *= 0.3 / np.linalg.norm(steps, axis=1, keepdims=True)
        points = np.rint(steps.cumsum(axis=0) + rng.uniform(8, SIZE - 8, 3)).astype(int)
        centreline[tuple(points[((points >= 0) & (points < SIZE)).all(axis=1)].T)] = True
    return distances_to(centreline)


def by_cubes(
    distance: np.ndarray, cube: int, overlap: int, threshold: float = 2.0
) -> list[Fragment]:
    lattice = Lattice(distance.shape, (cube, cube, cube))
    found = []
    for place in lattice:
        core = lattice.core(place)
        box = core.grow(overlap).clip(distance.shape)
        part = distance[box.slices]
        found.append(fragment(part, box, core, distance.shape, threshold=threshold, min_voxels=5))
    return found


def components(graph: SkeletonGraph) -> int:
    ones = np.ones(len(graph.edges))
    links = coo_array((ones, tuple(graph.edges.T)), shape=(len(graph), len(graph)))
    return connected_components(links, directed=False)[0]


@settings(max_examples=5)
@given(st.integers(0, 10_000), st.sampled_from([16, 19, 24]))
def test_cubes_give_the_skeleton_of_the_whole_voxel_for_voxel(seed: int, cube: int) -> None:
    distance = curves(seed)
    whole = stitch(by_cubes(distance, SIZE, 1), distance.shape, UNIT)
    pieces = stitch(by_cubes(distance, cube, 8), distance.shape, UNIT)
    np.testing.assert_array_equal(pieces.voxels, whole.voxels)
    np.testing.assert_array_equal(pieces.edges, whole.edges)
    np.testing.assert_array_equal(pieces.distances, whole.distances)


def test_the_order_of_the_fragments_changes_nothing() -> None:
    distance = curves(5)
    fragments = by_cubes(distance, 20, 8)
    first = stitch(fragments, distance.shape, UNIT)
    second = stitch(reversed(fragments), distance.shape, UNIT)
    np.testing.assert_array_equal(first.voxels, second.voxels)
    np.testing.assert_array_equal(first.edges, second.edges)


def test_a_neurite_that_runs_inside_the_border_layer_stays_a_line() -> None:
    centreline = np.zeros((40, 40, 60), bool)
    centreline[20, 20, 5:55] = True  # the first layer of cubes (1, 1, *), edge of eight cubes
    distance = distances_to(centreline)
    graph = stitch(by_cubes(distance, 20, 8), distance.shape, UNIT)
    assert components(graph) == 1
    assert (graph.voxels[:, :2] == 20).all()
    assert len(graph) == pytest.approx(50, abs=2)
    assert len(graph.edges) == len(graph) - 1


def test_a_junction_on_the_corner_of_eight_cubes_is_one_junction() -> None:
    centreline = np.zeros((40, 40, 40), bool)
    centreline[20, 20, 4:36] = centreline[20, 4:20, 20] = centreline[4:20, 20, 20] = True
    distance = distances_to(centreline)
    graph = stitch(by_cubes(distance, 20, 8), distance.shape, UNIT)
    whole = stitch(by_cubes(distance, 40, 1), distance.shape, UNIT)
    assert components(graph) == components(whole) == 1
    np.testing.assert_array_equal(graph.voxels, whole.voxels)


def test_a_loop_across_four_cubes_stays_closed() -> None:
    z, y, x = np.indices((20, 40, 40))
    ring = np.hypot(np.hypot(y - 19.5, x - 19.5) - 12, z - 10)
    graph = stitch(by_cubes(ring.astype(np.float32), 20, 8), ring.shape, UNIT)
    assert components(graph) == 1
    assert len(graph.edges) == len(graph), "one cycle"


def test_neighbours_that_disagree_are_joined_through_the_mask_on_their_border() -> None:
    # With a single voxel of overlap the skeletons of thick neurites miss each other at the border;
    # the component of the mask there still says that they belong together.
    distance = np.full((20, 20, 40), 9.0, np.float32)
    near = Fragment(
        keys=np.array([19]), distances=np.zeros(1, np.float32),
        crossings=np.array([[19, 20]]), borders=np.array([[19, 19], [20, 60]]),
    )  # fmt: skip
    far = Fragment(
        keys=np.array([100, 779]), distances=np.zeros(2, np.float32),
        crossings=np.zeros((0, 2), np.int64), borders=np.array([[100, 60], [779, 60]]),
    )  # fmt: skip
    graph = stitch([near, far], distance.shape, UNIT)
    keys = voxel_keys(graph.voxels, (20, 20, 40))
    assert keys[graph.edges].tolist() == [[19, 100]], "the nearer of the two"

    alone = stitch([near], distance.shape, UNIT)
    keys = voxel_keys(alone.voxels, (20, 20, 40))
    assert keys.tolist() == [19, 60], "the voxel that names the component ends the branch"
    assert np.isnan(alone.distances).tolist() == [False, True]


def test_both_sides_call_a_component_on_their_border_the_same() -> None:
    centreline = np.zeros((24, 24, 48), bool)
    centreline[10, 12, 4:44] = True
    fragments = by_cubes(distances_to(centreline), 24, 8)
    left, right = (set(map(tuple, part.borders.tolist())) for part in fragments)
    shared = {key for key, _ in left} & {key for key, _ in right}
    assert shared
    names = {(key, name) for key, name in left | right if key in shared}
    assert names <= left
    assert names <= right


def test_specks_inside_a_cube_go_and_those_at_its_border_stay() -> None:
    distance = np.full((20, 20, 40), 9.0, np.float32)
    distance[10, 10, 9:11] = 0  # inside the first cube
    distance[4, 4, 19:21] = 0  # across the border
    graph = stitch(by_cubes(distance, 20, 8), distance.shape, UNIT)
    assert set(map(tuple, graph.voxels[:, :2].tolist())) <= {(4, 4)}


def test_nothing_stitched_is_an_empty_graph() -> None:
    assert len(stitch([], (4, 4, 4), UNIT)) == 0
    empty = by_cubes(np.full((8, 8, 8), 9.0, np.float32), 4, 2)
    graph = stitch(empty, (8, 8, 8), UNIT)
    assert (len(graph), graph.edges.shape) == (0, (0, 2))


@settings(max_examples=5)
@given(st.integers(0, 10_000))
def test_the_graph_has_as_many_components_as_the_mask(seed: int) -> None:
    distance = curves(seed)
    graph = stitch(by_cubes(distance, 20, 8), distance.shape, UNIT)
    labels = np.asarray(label(distance < 2.0, connectivity=3))
    assert components(graph) == labels.max()
