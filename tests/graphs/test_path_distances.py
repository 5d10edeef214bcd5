"""Lengths of paths between places: trees by depth, networks by Dijkstra, against slow programs."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import dijkstra

from tests.graphs.drawings import chain, fork, random_forest, random_network, ring, seeds
from topodelin.graphs import NeuriteGraph, joined, split_at
from topodelin.graphs.contraction import contract
from topodelin.graphs.path_distances import NodeDistances, PathDistances


def slow_paths(graph: NeuriteGraph, nodes: np.ndarray) -> np.ndarray:
    """(K, K) path lengths between nodes by networkx, infinite without a path."""
    table = np.full((len(nodes), len(nodes)), np.inf)
    ways = dict(nx.all_pairs_dijkstra_path_length(graph.to_networkx(), weight="length"))
    for i, a in enumerate(nodes.tolist()):
        for j, b in enumerate(nodes.tolist()):
            table[i, j] = ways[a].get(b, np.inf)
    return table


def some_places(graph: NeuriteGraph, seed: int, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Edges and fractions, ends of edges and equal places among them."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, len(graph.edges), count), rng.random(count).round(1)


def test_by_hand() -> None:
    # The ends of the trunk, the middle of the trunk, the end of the side branch, and nowhere.
    edges, fractions = np.array([0, 1, 0, 3, -1]), np.array([0, 1, 0.5, 1, np.nan])
    paths = PathDistances(NodeDistances(contract(fork())), edges, fractions).among(np.arange(5))
    found = paths.rows(np.array([0, 3, 4]))
    nowhere = np.inf
    np.testing.assert_allclose(
        found,
        [[0, 20, 5, 30, nowhere], [30, 30, 25, 0, nowhere], [nowhere] * 5],
        atol=1e-12,
    )


@settings(max_examples=30)
@given(seed=seeds, cycles=st.sampled_from([0, 1, 8]))
def test_distances_are_those_on_the_uncontracted_graph(seed: int, cycles: int) -> None:
    graph = random_network(seed, extra=cycles)
    edges, fractions = some_places(graph, seed)
    edges[3] = -1
    there = edges >= 0
    split = split_at(graph, edges[there], fractions[there])
    expected = np.full((12, 12), np.inf)
    expected[np.ix_(there, there)] = slow_paths(split.graph, split.nodes)
    paths = PathDistances(NodeDistances(contract(graph)), edges, fractions)
    every, few = np.arange(12), np.array([7, 3, 5])
    np.testing.assert_allclose(paths.among(every).rows(every), expected, atol=1e-8)
    found = paths.among(few).rows(np.array([2, 0]))
    np.testing.assert_allclose(found, expected[np.ix_(few[[2, 0]], few)], atol=1e-8)


@settings(max_examples=5)
@given(seed=seeds)
def test_depths_of_trees_give_the_distances_of_dijkstra(seed: int) -> None:
    graph = joined([random_forest(seed + k, count=200, trees=1) for k in range(3)])
    edges, fractions = some_places(graph, seed, count=300)
    split = split_at(graph, edges, fractions)
    expected = np.asarray(dijkstra(split.graph.adjacency, indices=split.nodes))[:, split.nodes]
    between = NodeDistances(contract(graph))
    assert between.forest.acyclic.all() and len(between.forest.acyclic) == 3
    every = np.arange(300)
    found = PathDistances(between, edges, fractions).among(every).rows(every)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_rings_and_doubled_branches_are_no_trees() -> None:
    doubled = NeuriteGraph(
        np.array([(0, 0, 0), (0, 5, 5), (0, -1, 5), (0, 0, 10), (0, 0, 20), (0, 0, -9)]),
        np.array([(0, 1), (1, 3), (0, 2), (2, 3), (3, 4), (0, 5)]),
    )
    between = NodeDistances(contract(joined([ring(), doubled, fork()])))
    assert sorted(between.forest.acyclic.tolist()) == [False, False, True]
    assert sorted(between.sizes.tolist()) == [0, 1, 4]


def test_a_path_takes_the_shorter_of_two_branches_and_the_shorter_way_round() -> None:
    around = ring(count=60)
    paths = PathDistances(NodeDistances(contract(around)), np.array([10, 50]), np.array([0.0, 0.0]))
    step = around.lengths[0]
    found = paths.among(np.arange(2)).rows(np.arange(2))
    np.testing.assert_allclose(found, [[0, 20 * step], [20 * step, 0]], atol=1e-9)


def test_groups_hold_whole_components_and_small_ones_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = joined([fork(), random_network(0), fork(), fork(), random_network(1, extra=0)])
    edges, fractions = some_places(graph, 0, count=200)
    edges[7] = -1
    monkeypatch.setattr("topodelin.graphs.path_distances.TOGETHER", 30)
    paths = PathDistances(NodeDistances(contract(graph)), edges, fractions)
    groups = paths.groups()
    places = np.concatenate(groups)
    assert sorted(places.tolist()) == [place for place in range(200) if place != 7]
    held = [set(paths.components[group].tolist()) for group in groups]
    assert sum(map(len, held)) == len(set().union(*held))  # none is in two groups
    assert any(len(components) > 1 for components in held)
    assert all(len(group) <= 30 or len(held[i]) == 1 for i, group in enumerate(groups))


@pytest.mark.parametrize("kept", [0, 10])
def test_tables_are_the_same_when_they_are_not_all_held(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = joined([random_network(seed, extra=6) for seed in range(3)])
    edges, fractions = some_places(graph, 0, count=60)
    every = np.arange(60)
    expected = PathDistances(NodeDistances(contract(graph)), edges, fractions).among(every)
    monkeypatch.setattr("topodelin.graphs.path_distances.KEPT", kept)
    found = PathDistances(NodeDistances(contract(graph)), edges, fractions).among(every)
    for rows in (every, every[::-7]):
        np.testing.assert_array_equal(found.rows(rows), expected.rows(rows))


def test_a_chain_alone_has_its_length() -> None:
    paths = PathDistances(
        NodeDistances(contract(chain((0, 0, 0), (0, 0, 4), (0, 3, 8)))),
        np.array([0, 1]),
        np.array([0.25, 1.0]),
    )
    np.testing.assert_allclose(paths.among(np.arange(2)).rows(np.array([1])), [[8, 0]], atol=1e-12)
