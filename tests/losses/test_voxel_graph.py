"""Graphs in voxels: to and from µm, and cut exactly at the faces of a crop."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_files import needs_shared, shared
from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.losses.voxel_graph import VoxelGraph, crop_graph

seeds = st.integers(0, 2**16)
dims = st.sampled_from([2, 3])
NO_EDGES = np.empty((0, 2), np.int64)


def random_graph(seed: int, dims: int, side: float = 20.0) -> VoxelGraph:
    """A chain with a few shortcuts, in a cube from 0 to `side`."""
    rng = np.random.default_rng(seed)
    chain = [(n, n + 1) for n in range(7)]
    return VoxelGraph(rng.random((9, dims)) * side, np.array([*chain, (0, 4), (2, 6)]))


def chain(*positions: tuple[float, ...]) -> VoxelGraph:
    """Nodes joined in the given order."""
    return VoxelGraph(
        np.array(positions), np.array([(n, n + 1) for n in range(len(positions) - 1)])
    )


def length(graph: VoxelGraph) -> float:
    start, end = graph.positions[graph.edges[:, 0]], graph.positions[graph.edges[:, 1]]
    return float(np.linalg.norm(end - start, axis=1).sum())


def distance_to(graph: VoxelGraph, point: np.ndarray) -> float:
    """From a point to the nearest edge."""
    start, end = graph.positions[graph.edges[:, 0]], graph.positions[graph.edges[:, 1]]
    step = end - start
    along = np.clip(((point - start) * step).sum(1) / (step * step).sum(1), 0, 1)
    return float(np.linalg.norm(start + along[:, None] * step - point, axis=1).min())


def test_a_position_in_um_becomes_a_voxel_of_the_crop() -> None:
    graph = NeuriteGraph(np.array([[4.0, 3.0, 1.5], [8.0, 3.0, 3.0]]), np.array([[0, 1]]))
    voxels = VoxelGraph.of(graph, (2.0, 1.0, 0.5), origin=(1, 0, 2))
    assert voxels.positions.tolist() == [[1, 3, 1], [3, 3, 4]]
    assert voxels.edges.tolist() == [[0, 1]] and not voxels.frozen.any()


@given(seed=seeds)
def test_to_um_and_back_is_the_same_graph(seed: int) -> None:
    graph = random_graph(seed, 3)
    spacing, origin = (2.0, 0.7, 0.5), (4, 100, 7)
    again = VoxelGraph.of(graph.to_neurite_graph(spacing, origin), spacing, origin)
    np.testing.assert_allclose(again.positions, graph.positions, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(again.edges, graph.edges)


def test_two_values_of_spacing_see_the_graph_along_z() -> None:
    graph = NeuriteGraph(np.array([[4.0, 3.0, 1.5], [8.0, 3.0, 3.0]]), np.array([[0, 1]]))
    seen = VoxelGraph.of(graph, (1.0, 0.5), origin=(9, 1, 2))
    assert seen.dims == 2 and seen.positions.tolist() == [[2, 1], [2, 4]]
    back = seen.to_neurite_graph((1.0, 0.5), origin=(9, 1, 2))
    assert back.positions.tolist() == [[0, 3, 1.5], [0, 3, 3]]


def test_a_graph_cannot_be_changed_and_does_not_change_what_it_was_made_of() -> None:
    positions = np.zeros((2, 2))
    graph = VoxelGraph(positions, np.array([[0, 1]]))
    positions[0] = 5
    assert not graph.positions.any()
    with pytest.raises(ValueError, match="read-only"):
        graph.positions[0] = 5


def test_a_graph_survives_pickling() -> None:
    graph = crop_graph(random_graph(0, 3), (5, 5, 5), (16, 16, 16))
    copy = pickle.loads(pickle.dumps(graph))
    for name in ("positions", "edges", "frozen"):
        np.testing.assert_array_equal(getattr(copy, name), getattr(graph, name))
    assert repr(copy) == f"VoxelGraph({len(graph)} nodes, {len(graph.edges)} edges, 3-D)"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((2, 4)), NO_EDGES), r"`positions` must be \(nodes, 2\) or \(nodes, 3\)"),
        ((np.zeros(0), NO_EDGES), r"np.empty\(\(0, 3\)\) for an empty graph"),
        ((np.full((2, 3), np.inf), NO_EDGES), "`positions` must be finite"),
        ((np.zeros((2, 3)), np.array([[0, 2]])), "rows of the 2 positions, got 2"),
        ((np.zeros((2, 3)), np.array([[-1, 0]])), "rows of the 2 positions, got -1"),
        ((np.zeros((2, 3)), np.array([[0, 1], [1, 1]])), "two different nodes, got a loop at 1"),
        ((np.zeros((2, 3)), NO_EDGES, np.zeros(2)), "`frozen` must have the shape of `positions`"),
    ],
)
def test_what_is_no_graph_is_refused(arrays: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VoxelGraph(*arrays)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 1.0, 0.0), (1.0, np.nan, 1.0), 2.0])
def test_a_spacing_that_is_none_is_refused(spacing: object) -> None:
    graph = NeuriteGraph(np.zeros((1, 3)), NO_EDGES)
    with pytest.raises((ValueError, TypeError), match="`spacing` must be|Type-check"):
        VoxelGraph.of(graph, spacing)  # type: ignore[arg-type]


def test_an_origin_of_too_few_axes_is_refused() -> None:
    graph = NeuriteGraph(np.zeros((1, 3)), NO_EDGES)
    with pytest.raises(ValueError, match="`origin` must be a voxel of the volume"):
        VoxelGraph.of(graph, (1.0, 1.0, 1.0), origin=(0, 0))


def test_a_graph_goes_to_um_with_the_spacing_of_its_axes() -> None:
    with pytest.raises(ValueError, match="`spacing` must be 3 numbers for a 3-D graph"):
        VoxelGraph(np.zeros((1, 3)), NO_EDGES).to_neurite_graph((1.0, 1.0))


def test_a_line_that_leaves_ends_in_a_node_on_the_face() -> None:
    #   ......+.      the box ends at the centre of its last voxel, 6
    #   ..o---|--o
    cropped = crop_graph(chain((1, 2), (1, 9)), (0, 0), (4, 7))
    assert cropped.positions.tolist() == [[1, 2], [1, 6]]
    assert cropped.edges.tolist() == [[0, 1]]
    assert cropped.frozen.tolist() == [[False, False], [False, True]]


def test_a_segment_with_both_ends_outside_keeps_what_crosses_the_box() -> None:
    cropped = crop_graph(chain((5, 0), (5, 20)), (3, 4), (9, 11))
    assert cropped.positions.tolist() == [[2, 0], [2, 6]]
    assert cropped.edges.tolist() == [[0, 1]]
    assert cropped.frozen.tolist() == [[False, True], [False, True]]


def test_a_node_put_on_an_edge_of_the_box_is_frozen_in_both_coordinates() -> None:
    cropped = crop_graph(chain((2, 2), (8, 8)), (0, 0), (6, 6))
    assert cropped.positions.tolist() == [[2, 2], [5, 5]]
    assert cropped.frozen.tolist() == [[False, False], [True, True]]


def test_a_node_on_the_face_is_frozen_where_its_edge_leaves() -> None:
    leaving = crop_graph(chain((2, 2), (2, 5), (2, 8)), (0, 0), (6, 6))
    assert leaving.positions.tolist() == [[2, 2], [2, 5]]
    assert leaving.edges.tolist() == [[0, 1]]
    assert leaving.frozen.tolist() == [[False, False], [False, True]]
    staying = crop_graph(chain((2, 2), (2, 5)), (0, 0), (6, 6))
    assert not staying.frozen.any()


def test_an_edge_along_a_face_stays() -> None:
    cropped = crop_graph(chain((0, 1), (0, 9)), (0, 0), (4, 6))
    assert cropped.positions.tolist() == [[0, 1], [0, 5]]
    assert cropped.frozen.tolist() == [[False, False], [False, True]]


@given(far=st.floats(6, 100), face=st.integers(1, 20))
def test_rounding_does_not_push_a_cut_beyond_another_face(far: float, face: int) -> None:
    cropped = crop_graph(chain((face, 1), (face, far)), (0, 0), (face + 1, 6))
    assert cropped.positions.tolist() == [[face, 1], [face, 5]]


def test_an_edge_beside_the_box_is_dropped() -> None:
    assert len(crop_graph(chain((-0.1, 1), (-0.1, 3)), (0, 0), (6, 6))) == 0


def test_an_edge_that_only_touches_a_corner_is_dropped() -> None:
    assert len(crop_graph(chain((-1, 1), (1, -1)), (0, 0), (6, 6))) == 0


def test_between_the_last_centre_and_the_end_of_the_crop_is_outside() -> None:
    cropped = crop_graph(chain((1, 2), (1, 5.5)), (0, 0), (4, 6))
    assert cropped.positions.tolist() == [[1, 2], [1, 5]]
    assert cropped.frozen.tolist() == [[False, False], [False, True]]


def test_a_neighbour_a_rounding_beyond_the_face_is_cut_all_the_same() -> None:
    beyond = np.nextafter(5.0, 6.0)
    cropped = crop_graph(chain((-1e9, 2), (beyond, 2)), (0, 0), (6, 6))
    assert cropped.positions.tolist() == [[0, 2], [5, 2]]
    assert cropped.frozen.tolist() == [[True, False], [True, False]]


def test_lone_nodes_stay_inside_and_go_outside() -> None:
    lone = VoxelGraph(np.array([[1.0, 1.0], [1.0, 8.0], [5.0, 5.0]]), NO_EDGES)
    assert crop_graph(lone, (0, 0), (6, 6)).positions.tolist() == [[1, 1], [5, 5]]


def test_an_edge_of_length_zero_stays() -> None:
    cropped = crop_graph(chain((3, 3), (3, 3)), (1, 1), (6, 6))
    assert cropped.positions.tolist() == [[2, 2], [2, 2]] and len(cropped.edges) == 1


def test_what_was_frozen_stays_frozen() -> None:
    first = crop_graph(chain((1, 2), (1, 9)), (0, 0), (4, 7))
    again = crop_graph(first, (1, 3), (4, 7))
    assert again.positions.tolist() == [[0, 3], [0, 0]]
    assert again.frozen.tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize("dims", [2, 3])
def test_an_empty_graph_has_an_empty_crop(dims: int) -> None:
    empty = VoxelGraph(np.empty((0, dims)), NO_EDGES)
    cropped = crop_graph(empty, (0,) * dims, (6,) * dims)
    assert cropped.positions.shape == (0, dims) and cropped.edges.shape == (0, 2)


@pytest.mark.parametrize(
    ("begin", "end"), [((0, 0), (6, 6)), ((0, 0, 0), (6, 6)), ((0, 6, 0), (6, 6, 6))]
)
def test_a_crop_of_no_voxel_is_refused(begin: tuple[int, ...], end: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`begin` and `end` must be 3 voxel indices each"):
        crop_graph(random_graph(0, 3), begin, end)


@given(seed=seeds, dims=dims, cut=st.integers(1, 19))
def test_crops_that_share_their_faces_share_out_the_whole_length(
    seed: int, dims: int, cut: int
) -> None:
    graph = random_graph(seed, dims)
    halves = [(0, cut + 1), (cut, 22)]  # the closed boxes [0, cut] and [cut, 21]
    crops = [
        crop_graph(graph, [b for b, _ in box], [e for _, e in box])
        for box in itertools.product(halves, repeat=dims)
    ]
    assert sum(map(length, crops)) == pytest.approx(length(graph), rel=1e-12)


@given(seed=seeds, dims=dims)
def test_a_crop_lies_in_its_box_and_on_the_graph(seed: int, dims: int) -> None:
    graph = random_graph(seed, dims)
    begin, end = np.array([4, 7, 2][:dims]), np.array([15, 16, 18][:dims])
    cropped = crop_graph(graph, begin.tolist(), end.tolist())
    last = end - begin - 1
    assert ((cropped.positions >= 0) & (cropped.positions <= last)).all()
    on_face = (cropped.positions == 0) | (cropped.positions == last)
    np.testing.assert_array_equal(cropped.frozen, on_face)  # random nodes lie on no face
    used = np.unique(cropped.edges)
    assert all(distance_to(graph, p) < 1e-9 for p in cropped.positions[used] + begin)


@given(seed=seeds, dims=dims)
def test_a_crop_of_a_crop_is_the_crop(seed: int, dims: int) -> None:
    graph = random_graph(seed, dims)
    once = crop_graph(graph, (5,) * dims, (14,) * dims)
    twice = crop_graph(crop_graph(graph, (2,) * dims, (18,) * dims), (3,) * dims, (12,) * dims)
    np.testing.assert_allclose(twice.positions, once.positions, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(twice.frozen, once.frozen)
    np.testing.assert_array_equal(twice.edges, once.edges)


def golden_crop(name: str, sample: int) -> tuple[VoxelGraph, dict[str, np.ndarray]]:
    """Our crop of a stored graph, and what the published program made of it."""
    with np.load(shared("goldens", f"{name}.npz")) as golden:
        positions = golden[f"nodes_{sample}"].reshape(-1, len(golden["shape"]))
        begin, end = golden[f"crop_{sample}"].T.tolist()
        theirs = {
            "positions": golden[f"traj_{sample}"][0],
            "frozen": golden[f"fixed_{sample}"],
            "edges": golden[f"cropped_edges_{sample}"],
            "source": golden[f"cropped_source_{sample}"],
            "last": golden["shape"] - 1,
        }
        return crop_graph(VoxelGraph(positions, golden[f"edges_{sample}"]), begin, end), theirs


@needs_shared
@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("snake2d_default_64x56", 0),
        ("snake2d_nograph_32", 0),
        ("snake2d_outside_32", 0),
        ("snake2d_stiff_b2_48x64", 1),
        ("snake2d_topology_64", 0),
        ("snake3d_default_b2_40x36x44", 0),
        ("snake3d_stiff_40", 0),
    ],
)
def test_a_graph_that_no_face_cuts_is_that_of_the_published_program(name: str, sample: int) -> None:
    ours, theirs = golden_crop(name, sample)
    np.testing.assert_allclose(ours.positions, theirs["positions"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(ours.edges, theirs["edges"])
    np.testing.assert_array_equal(ours.frozen, theirs["frozen"])


@needs_shared
@pytest.mark.parametrize(
    ("name", "sample", "alike"),
    [
        ("snake2d_crop_b2_48x40", 0, 44),
        ("snake2d_crop_b2_48x40", 1, 62),
        ("snake3d_crop_24x20x28", 0, 44),
    ],
)
def test_cuts_are_those_of_the_published_program_where_conventions_agree(
    name: str, sample: int, alike: int
) -> None:
    # The program keeps nodes up to a voxel beyond the last centre, which then have a node on the
    # face behind them; all other nodes are in the same place with the same freedom.
    ours, theirs = golden_crop(name, sample)
    beyond = np.any(theirs["positions"] > theirs["last"], axis=1)
    beside = np.isin(np.arange(len(beyond)), theirs["edges"][beyond[theirs["edges"]].any(axis=1)])
    same = ~beyond & ~(beside & (theirs["source"] < 0))
    assert same.sum() == alike
    gap = np.abs(theirs["positions"][same][:, None] - ours.positions).max(axis=2)
    assert (gap.min(axis=1) < 1e-4).all()
    np.testing.assert_array_equal(ours.frozen[gap.argmin(axis=1)], theirs["frozen"][same])
