"""Where trees begin: somas, ends of longest paths, nearest nodes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.sparse.csgraph import shortest_path

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, seeds
from topodelin.graphs import NeuriteGraph, joined
from topodelin.graphs.roots import (
    longest_path_roots,
    nearest_node,
    one_root_each,
    soma_roots,
    written_roots,
)


def test_trees_without_a_wanted_root_begin_at_their_lowest_node() -> None:
    graph = joined([fork(), fork(), fork()])
    assert one_root_each(graph) == [0, 5, 10]
    assert one_root_each(graph, [7, 2]) == [2, 7, 10]


def test_written_roots_are_the_nodes_that_no_edge_leads_to() -> None:
    graph = NeuriteGraph(np.eye(3).repeat(2, axis=0), np.array([(1, 0), (1, 2), (4, 3)]))
    np.testing.assert_array_equal(written_roots(graph), [1, 4, 5])


def test_the_thickest_soma_node_of_each_tree_is_its_root() -> None:
    one = replace(fork(), radii=np.array([9, 1, 3, 3, np.nan]), kinds=np.array([2, 1, 1, 1, 1]))
    lone = replace(chain((9, 9, 9)), kinds=np.array([1]))
    graph = joined([chain((0, 0, 0), (0, 0, 1)), one, lone])
    np.testing.assert_array_equal(soma_roots(graph), [4, 7])
    assert not len(soma_roots(fork()))


@settings(max_examples=20)
@given(seed=seeds)
def test_no_path_of_a_tree_is_longer_than_the_longest_from_its_root(seed: int) -> None:
    graph = random_forest(seed)
    ways = shortest_path(graph.adjacency, directed=False)
    roots = longest_path_roots(graph)
    assert sorted(graph.components[roots]) == list(range(graph.component_count))
    for root in roots.tolist():
        tree = graph.components == graph.components[root]
        assert ways[root, tree].max() == pytest.approx(ways[np.ix_(tree, tree)].max())


def test_the_nearest_node_is_found_and_an_empty_graph_has_none() -> None:
    assert nearest_node(fork(), (0, 8, 19)) == 4
    with pytest.raises(ValueError, match="must have a node"):
        nearest_node(EMPTY, (0, 0, 0))
