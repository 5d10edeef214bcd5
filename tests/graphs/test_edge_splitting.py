"""Edges cut at places: by hand, and by law that nothing but the nodes changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs.drawings import EMPTY, betti, chain, fork, random_network, seeds
from topodelin.graphs import NeuriteGraph, centreline_quality, split_at, split_long_edges


def test_places_become_nodes_once_and_ends_of_edges_stay() -> None:
    graph = NeuriteGraph(fork().positions, fork().edges, np.array([1.0, 3, 1, 1, np.nan]))
    split = split_at(graph, np.array([3, 0, 0, 0, 1, 0]), np.array([0.5, 0.75, 0.25, 0, 1, 0.75]))
    np.testing.assert_array_equal(split.nodes, [7, 6, 5, 0, 2, 6])
    np.testing.assert_allclose(split.graph.positions[5:], [(0, 0, 2.5), (0, 0, 7.5), (0, 10, 15)])
    np.testing.assert_allclose(split.graph.radii[5:], [1.5, 2.5, np.nan])
    np.testing.assert_array_equal(split.parents, [0, 0, 0, 1, 2, 3, 3])
    np.testing.assert_array_equal(split.graph.edges[:3], [(0, 5), (5, 6), (6, 1)])


@given(seed=seeds, longest=st.sampled_from([0.5, 3.0, 1000.0]))
def test_short_pieces_lie_on_the_same_lines(seed: int, longest: float) -> None:
    graph = random_network(seed)
    split = split_long_edges(graph, longest)
    assert split.graph.lengths.max() <= longest * (1 + 1e-9)
    assert betti(split.graph) == betti(graph)
    np.testing.assert_allclose(
        np.bincount(split.parents, weights=split.graph.lengths), graph.lengths
    )
    np.testing.assert_array_equal(split.graph.degrees[: len(graph)], graph.degrees)
    assert centreline_quality(graph, split.graph, tolerance=1e-6, step=1).quality == 1


def test_nothing_to_cut() -> None:
    assert len(split_long_edges(EMPTY, 1.0).graph) == 0
    assert len(split_at(fork(), np.array([], np.int64), np.array([])).graph) == 5


@pytest.mark.parametrize("fractions", [[1.5], [np.nan], [0.5, 0.5]])
def test_a_place_beyond_the_edge_is_refused(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="`fractions` must hold one number from 0 to 1"):
        split_at(chain((0, 0, 0), (0, 0, 1)), np.array([0]), np.array(fractions))
