"""What is sampled along a graph depends on its shape alone."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import (
    EMPTY,
    chain,
    random_forest,
    random_network,
    ring,
    rotation,
    seeds,
)
from tests.graphs.test_centreline_quality import moved_a_little, split_edges
from topodelin.graphs import NeuriteGraph, holes_and_marbles, joined, path_score
from topodelin.graphs.fixed_order import even_points, in_fixed_order, points_on


def renumbered(graph: NeuriteGraph, seed: int) -> NeuriteGraph:
    """Other numbers of the nodes, another order of the edges, other ends first."""
    rng = np.random.default_rng(seed)
    place = rng.permutation(len(graph))
    positions = np.empty_like(graph.positions)
    positions[place] = graph.positions
    edges = place[rng.permutation(graph.edges)]
    turned = rng.random(len(edges)) < 0.5
    return NeuriteGraph(positions, np.where(turned[:, None], edges[:, ::-1], edges))


def moved(graph: NeuriteGraph, seed: int) -> NeuriteGraph:
    return NeuriteGraph(graph.positions @ rotation(seed).T + (5, -300, 70), graph.edges)


def ring_with_a_bend() -> NeuriteGraph:
    positions = ring().positions.copy()
    positions[5] *= 1.1
    return NeuriteGraph(positions, ring().edges)


def network(seed: int) -> NeuriteGraph:
    """Trees, cycles, a closed loop without a junction."""
    rest = random_network(seed)
    return joined([rest, ring_with_a_bend()]) if seed % 2 else rest


def points(graph: NeuriteGraph) -> np.ndarray:
    chains = in_fixed_order(graph)
    found = even_points(chains, 1.5)
    return points_on(chains, found.chain, found.way)


@settings(max_examples=25)
@given(seed=seeds)
def test_points_along_a_graph_are_those_of_its_shape(seed: int) -> None:
    graph = network(seed)
    expected = points(graph)
    np.testing.assert_allclose(points(renumbered(graph, seed)), expected, atol=1e-6)
    np.testing.assert_allclose(points(split_edges(graph)), expected, atol=1e-6)
    turned = expected @ rotation(seed).T + (5, -300, 70)
    np.testing.assert_allclose(points(moved(graph, seed)), turned, atol=1e-6)


def test_a_regular_ring_begins_at_one_place_whatever_its_numbers() -> None:
    for seed in range(5):
        np.testing.assert_allclose(points(renumbered(ring(), seed)), points(ring()), atol=1e-9)
    np.testing.assert_allclose(points(split_edges(ring())), points(ring()), atol=1e-9)


@settings(max_examples=25)
@given(seed=seeds)
def test_the_chains_in_fixed_order_are_those_of_the_graph(seed: int) -> None:
    graph = network(seed)
    chains = in_fixed_order(graph)
    assert chains.lengths.sum() == pytest.approx(graph.length)
    rows = chains.by_place
    assert (np.diff(chains.chain[rows]) >= 0).all() and (chains.sign == 1).all()
    heads, tails = chains.graph.edges.T
    for number, (start, end) in enumerate(chains.ends.tolist()):
        mine = np.flatnonzero(chains.chain == number)
        assert chains.nodes[start] == heads[mine[0]] and chains.nodes[end] == tails[mine[-1]]
        assert (heads[mine[1:]] == tails[mine[:-1]]).all()
        lengths = chains.graph.lengths[mine]
        np.testing.assert_allclose(chains.begin[mine], np.cumsum(lengths) - lengths, atol=1e-9)
        assert chains.begin[mine[0]] == 0


def test_a_graph_without_cable_has_no_chains() -> None:
    dots = NeuriteGraph(np.zeros((3, 3)), np.zeros((0, 2), dtype=np.int64))
    for graph in (EMPTY, dots):
        assert len(in_fixed_order(graph).lengths) == len(points(graph)) == 0
    assert len(points(chain((0, 0, 0), (0, 0, 0)))) == 2  # an edge without a length


def paths(truth: NeuriteGraph, predicted: NeuriteGraph) -> dict[str, float | None]:
    return path_score(truth, predicted, tolerance=2.0, repeats=3, seed=7).as_dict()


def holes(truth: NeuriteGraph, predicted: NeuriteGraph) -> dict[str, float | None]:
    return holes_and_marbles(truth, predicted, tolerance=2.0, radius=25.3, starts=40).as_dict()


@pytest.mark.parametrize("score", [paths, holes])
@settings(max_examples=25)
@given(seed=seeds)
def test_renumbering_splitting_and_moving_change_no_score(
    score: Callable[[NeuriteGraph, NeuriteGraph], dict[str, float | None]], seed: int
) -> None:
    truth = network(seed) if seed % 3 else random_forest(seed)
    predicted = moved_a_little(truth, seed, 0.8)
    kept = np.random.default_rng(seed).random(len(predicted.edges)) > 0.1
    predicted = NeuriteGraph(predicted.positions, predicted.edges[kept])
    expected = score(truth, predicted)
    for one, two in (
        (renumbered(truth, seed), renumbered(predicted, seed + 1)),
        (split_edges(truth), predicted),
        (truth, split_edges(predicted)),
        (moved(truth, seed), moved(predicted, seed)),
    ):
        assert score(one, two) == pytest.approx(expected, abs=1e-9)
