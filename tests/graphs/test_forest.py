"""Forests: cycles cut, crumbs dropped."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import EMPTY, betti, fork, random_network, ring, seeds
from topodelin.graphs import (
    NeuriteGraph,
    drop_small_components,
    joined,
    separated,
    spanning_forest,
)


def test_a_ring_is_cut_at_its_heaviest_edge() -> None:
    graph = ring(6)
    forest = spanning_forest(graph, weights=[1, 1, 9, 1, 1, 1])
    np.testing.assert_array_equal(forest.edges, np.delete(graph.edges, 2, axis=0))


def test_among_equal_edges_the_last_is_cut() -> None:
    forest = spanning_forest(ring(6), weights=np.ones(6))
    np.testing.assert_array_equal(forest.edges, ring(6).edges[:-1])


def test_an_edge_of_length_or_weight_0_can_stay() -> None:
    graph = NeuriteGraph(np.zeros((2, 3)), np.array([(0, 1)]))
    assert len(spanning_forest(graph).edges) == 1
    assert len(spanning_forest(graph, weights=[0.0]).edges) == 1


@given(seed=seeds)
def test_the_forest_is_the_minimum_one(seed: int) -> None:
    graph = random_network(seed)
    forest = spanning_forest(graph)
    expected = nx.minimum_spanning_tree(graph.to_networkx(), weight="length")
    assert forest.length == pytest.approx(expected.size(weight="length"))
    assert betti(forest) == (betti(graph)[0], 0)
    assert len(forest) == len(graph)


def test_weights_must_be_one_number_for_each_edge() -> None:
    with pytest.raises(ValueError, match="one number for each of 6 edges"):
        spanning_forest(ring(6), weights=[1.0])
    with pytest.raises(ValueError, match="NaN"):
        spanning_forest(ring(6), weights=[np.nan] * 6)


def test_small_components_go_and_large_ones_stay() -> None:
    crumb = np.array([(5, 5, 5), (5, 5, 6), (9, 9, 9)])
    graph = NeuriteGraph(
        np.concatenate([fork().positions, crumb]), np.concatenate([fork().edges, [(5, 6)]])
    )
    assert drop_small_components(graph, 1.5).length == pytest.approx(40.0)
    assert len(drop_small_components(graph, 1.0)) == 7
    assert len(drop_small_components(graph, 0.0)) == 8
    assert len(drop_small_components(EMPTY, 1.0)) == len(spanning_forest(EMPTY)) == 0


@given(seed=seeds)
def test_components_come_apart_and_together_again(seed: int) -> None:
    graph = random_network(seed)
    parts = separated(graph)
    whole = joined([part for part, _ in parts])
    nodes = np.concatenate([own for _, own in parts])
    assert [int(own[0]) for _, own in parts] == sorted(int(own[0]) for _, own in parts)
    assert all(part.component_count == 1 for part, _ in parts)
    for name in ("positions", "radii", "kinds"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(graph, name)[nodes])
    edges = [tuple(edge) for edge in nodes[whole.edges].tolist()]
    assert sorted(edges) == sorted(tuple(edge) for edge in graph.edges.tolist())
    assert separated(EMPTY) == []
