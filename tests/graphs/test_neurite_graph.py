"""The graph record: what it derives, what it refuses, and how graphs are put together."""

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs.drawings import EMPTY, betti, random_forest, random_network, ring, seeds, tubes
from topodelin.graphs import (
    NeuriteGraph,
    as_neurite_graph,
    branches,
    graph_from_mask,
    joined,
    read_swc,
    resample,
    smooth_branches,
)


def fork() -> NeuriteGraph:
    """A trunk of 3 µm that forks into 4 µm and 1 µm; and a node that hangs on nothing.

    0 --- 1 --- 2
          |
          3        4
    """
    positions = np.array([[0, 0, 0], [0, 0, 3], [0, 0, 7], [0, 1, 3], [9, 9, 9]], dtype=float)
    edges = np.array([[0, 1], [1, 2], [1, 3]])
    return NeuriteGraph(positions, edges, np.array([1.0, 2, 3, 4, 5]), np.arange(5))


def test_lengths_degrees_and_components_by_hand() -> None:
    graph = fork()
    assert graph.lengths.tolist() == [3, 4, 1] and graph.length == 8
    assert graph.degrees.tolist() == [1, 3, 1, 1, 0]
    assert graph.components.tolist() == [0, 0, 0, 0, 1]
    assert graph.adjacency[1, 2] == graph.adjacency[2, 1] == 4


def test_tips_junctions_and_paths_by_hand() -> None:
    graph = fork()
    assert graph.tips.tolist() == [0, 2, 3] and graph.junctions.tolist() == [1]
    assert graph.component_count == 2
    assert [path.tolist() for path in graph.paths] == [[0, 1], [1, 2], [1, 3]]
    assert [path.tolist() for path in graph.paths] == [path.tolist() for path in branches(graph)]


def test_an_empty_graph_has_empty_arrays() -> None:
    assert EMPTY.length == EMPTY.component_count == len(EMPTY.paths) == 0
    for array in (EMPTY.tips, EMPTY.junctions, EMPTY.lengths, EMPTY.degrees, EMPTY.components):
        assert array.shape == (0,)
    for same in (EMPTY.split(1.0), EMPTY.resample(1.0), EMPTY.smooth(), EMPTY.contract().graph):
        assert len(same) == 0
    assert len(NeuriteGraph(np.array([]), np.array([]))) == 0


@pytest.mark.parametrize(
    "name", ["lengths", "degrees", "tips", "junctions", "components", "paths", "adjacency"]
)
def test_derived_arrays_are_computed_once(name: str) -> None:
    graph = fork()
    assert getattr(graph, name) is getattr(graph, name)


@pytest.mark.parametrize("name", ["lengths", "degrees", "tips", "junctions", "components"])
def test_derived_arrays_cannot_be_written_to(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(fork(), name)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        fork().paths[0][0] = 1


CHANGES = [
    lambda graph: graph.split(2.5),
    lambda graph: graph.resample(2.5),
    lambda graph: graph.smooth(),
]


@pytest.mark.parametrize("change", CHANGES, ids=["split", "resample", "smooth"])
@given(seed=seeds)
def test_components_cycles_ends_and_junctions_stay(
    change: Callable[[NeuriteGraph], NeuriteGraph], seed: int
) -> None:
    graph = random_network(seed)
    changed = change(graph)
    assert betti(changed) == betti(graph)
    assert changed.component_count == graph.component_count
    for name in ("tips", "junctions"):
        before, after = (g.positions[getattr(g, name)] for g in (graph, changed))
        np.testing.assert_array_equal(
            after[np.lexsort(after.T)], before[np.lexsort(before.T)], err_msg=name
        )


@given(seed=seeds, longest=st.sampled_from([0.3, 2.0, 1e6]))
def test_splitting_keeps_the_length(seed: int, longest: float) -> None:
    graph = random_network(seed)
    split = graph.split(longest)
    assert split.length == pytest.approx(graph.length, rel=1e-12)
    assert split.lengths.max() <= longest * (1 + 1e-9)
    np.testing.assert_array_equal(split.positions[: len(graph)], graph.positions)


@given(seed=seeds)
def test_contracting_keeps_lengths_components_cycles_and_ends(seed: int) -> None:
    graph = random_network(seed)
    small = graph.contract()
    assert small.lengths.sum() == pytest.approx(graph.length)
    ends = nx.MultiGraph(small.nodes[small.ends].tolist())
    components, cycles = betti(graph)
    assert nx.number_connected_components(ends) == components
    assert ends.number_of_edges() - ends.number_of_nodes() + components == cycles
    degrees = graph.degrees[small.nodes]
    kept = np.union1d(graph.tips, graph.junctions)
    np.testing.assert_array_equal(small.nodes[degrees != 2], kept)
    assert dict(ends.degree) == dict(zip(small.nodes.tolist(), degrees.tolist(), strict=True))


@pytest.mark.parametrize("longest", [0.0, -1.0, np.nan, np.inf])
def test_edges_cannot_be_split_into_nothing(longest: float) -> None:
    with pytest.raises(ValueError, match="`longest` must be a positive number of µm"):
        fork().split(longest)


def test_methods_are_the_functions_of_the_package(tmp_path: Path) -> None:
    graph = random_network(1)
    pairs = [
        (graph.resample(2.0), resample(graph, 2.0)),
        (graph.smooth(4, reach=(9, 0, 0)), smooth_branches(graph, 4, reach=(9, 0, 0))),
        (
            NeuriteGraph.from_mask(tubes(2), (2, 1, 1), min_branch_um=4, smoothing=3),
            graph_from_mask(tubes(2), (2, 1, 1), min_branch_um=4, smoothing=3),
        ),
    ]
    for one, two in pairs:
        np.testing.assert_array_equal(one.positions, two.positions)
        np.testing.assert_array_equal(one.edges, two.edges)


def test_a_network_goes_through_json_bit_by_bit(tmp_path: Path) -> None:
    graph = random_network(3)
    graph.to_json(tmp_path / "graph.json")
    back = NeuriteGraph.from_json(tmp_path / "graph.json")
    for name in ("positions", "edges", "radii", "kinds"):
        np.testing.assert_array_equal(getattr(back, name), getattr(graph, name))


def test_trees_go_through_swc_and_a_ring_does_not(tmp_path: Path) -> None:
    path = tmp_path / "trees.swc"
    graph = random_forest(3)
    graph.to_swc(path, header=["by hand"], roots=[int(graph.tips[0])])
    back = NeuriteGraph.from_swc(path)
    assert back.length == pytest.approx(graph.length, abs=0.01)
    np.testing.assert_allclose(back.positions[0], graph.positions[graph.tips[0]], atol=5.1e-5)
    np.testing.assert_array_equal(np.sort(back.kinds), np.sort(graph.kinds))
    scaled = NeuriteGraph.from_swc(path, unit="voxel", spacing=(3, 1, 1))
    np.testing.assert_array_equal(scaled.positions, read_swc(path).positions * (3, 1, 1))
    with pytest.raises(ValueError, match="edges that close a cycle"):
        ring().to_swc(tmp_path / "ring.swc")


def test_an_edge_without_length_still_connects() -> None:
    graph = NeuriteGraph(np.zeros((2, 3)), np.array([[0, 1]]))
    assert graph.components.tolist() == [0, 0]


def test_the_arrays_are_copies_that_cannot_be_written_to() -> None:
    positions = np.zeros((1, 3))
    graph = NeuriteGraph(positions, np.empty((0, 2), dtype=int))
    positions[0] = 1
    assert graph.positions.sum() == 0
    with pytest.raises(ValueError, match="read-only"):
        graph.positions[0] = 1


def test_a_selection_keeps_the_edges_between_its_nodes() -> None:
    part = fork().select(np.array([False, True, True, True, False]))
    assert part.edges.tolist() == [[0, 1], [0, 2]]
    assert part.radii.tolist() == [2, 3, 4] and part.kinds.tolist() == [1, 2, 3]


def test_a_round_trip_through_networkx_changes_nothing() -> None:
    graph, back = fork(), as_neurite_graph(fork().to_networkx())
    assert np.array_equal(back.positions, graph.positions)
    assert np.array_equal(back.edges, graph.edges)
    assert np.array_equal(back.radii, graph.radii) and np.array_equal(back.kinds, graph.kinds)


def test_joined_graphs_lie_side_by_side() -> None:
    both = joined([fork(), fork()])
    assert len(both) == 10 and both.length == 16
    assert both.edges[3:].tolist() == (fork().edges + 5).tolist()
    assert both.components.max() == 3
    assert both.radii.tolist() == [1, 2, 3, 4, 5] * 2


def test_joining_nothing_gives_an_empty_graph() -> None:
    assert len(joined([])) == 0


@pytest.mark.parametrize(
    ("positions", "edges", "message"),
    [
        ([[0, 0, np.nan]], [], "`positions` must be finite"),
        ([[0, 0, 0]], [[0, 1]], "`edges` must hold rows of the 1 positions"),
        ([[0, 0, 0]], [[0, -1]], "`edges` must hold rows of the 1 positions, got -1"),
        ([[0, 0, 0]], [[0, 0]], "a loop at node 0"),
        ([[0, 1], [2, 3], [4, 5]], [], r"got shape \(3, 2\); put z = 0 before y and x"),
        ([[0, 1, 2, 3]] * 3, [], r"\(z, y, x\) for each node, got shape \(3, 4\)"),
        ([0, 1, 2], [], r"`positions` must have a row .* got shape \(3,\)"),
        ([[[0, 1, 2]]], [], r"`positions` must have a row .* got shape \(1, 1, 3\)"),
        ([[0, 0, 0]] * 3, [[0, 1, 2]], r"`edges` must have a row of two nodes .* \(1, 3\)"),
        ([[0, 0, 0]] * 2, [[0, 0.5]], r"`edges` must have a row of two nodes \(whole"),
        ([[0, 0, 0]] * 2, [[0, np.nan]], r"`edges` must have a row of two nodes \(whole"),
        ([[0, 0, 0]] * 2, [[True, False]], "of bool"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(positions: list, edges: list, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        NeuriteGraph(np.array(positions), np.array(edges))
    assert "\n" not in str(caught.value)


def test_one_radius_for_each_node() -> None:
    with pytest.raises(ValueError, match="`radii` must have one value for each of 2 nodes"):
        NeuriteGraph(np.zeros((2, 3)), np.array([[0, 1]]), np.ones(3))


def test_a_networkx_node_without_a_place_is_named() -> None:
    graph = nx.Graph()
    graph.add_node("soma")
    with pytest.raises(ValueError, match="node 'soma' must carry `pos`"):
        as_neurite_graph(graph)


def test_a_plane_lies_at_z_0_and_is_not_mixed_with_space() -> None:
    graph = nx.Graph()
    graph.add_node("a", pos=(1.0, 2.0))
    graph.add_node("b", pos=(3.0, 4.0))
    graph.add_edge("a", "b")
    flat = NeuriteGraph.from_networkx(graph)
    np.testing.assert_array_equal(flat.positions, [(0, 1, 2), (0, 3, 4)])
    graph.nodes["b"]["pos"] = (0.0, 3.0, 4.0)
    with pytest.raises(ValueError, match="2 numbers at node 'a' and 3 at node 'b'; add z"):
        NeuriteGraph.from_networkx(graph)
