"""The graph record: what it derives, what it refuses, and how graphs are put together."""

import networkx as nx
import numpy as np
import pytest

from topodelin.graphs import NeuriteGraph, as_neurite_graph, joined


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
        ([[0, 0, 0]], [[0, 0]], "a loop at node 0"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(
    positions: list[list[float]], edges: list[list[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        NeuriteGraph(np.array(positions), np.array(edges, dtype=int).reshape(-1, 2))


def test_one_radius_for_each_node() -> None:
    with pytest.raises(ValueError, match="`radii` must have one value for each of 2 nodes"):
        NeuriteGraph(np.zeros((2, 3)), np.array([[0, 1]]), np.ones(3))


def test_a_networkx_node_without_a_place_is_named() -> None:
    graph = nx.Graph()
    graph.add_node("soma")
    with pytest.raises(ValueError, match="node 'soma' must carry `pos`"):
        as_neurite_graph(graph)
