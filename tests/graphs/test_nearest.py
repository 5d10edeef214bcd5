"""The nearest point on the edges of a graph, against all edges one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs.drawings import EMPTY, chain, random_network, seeds
from topodelin.graphs import NeuriteGraph, nearest_on_segments


def slow_distances(points: np.ndarray, graph: NeuriteGraph) -> np.ndarray:
    """(points, edges) distance from each point to each edge."""
    table = []
    for a, b in graph.positions[graph.edges]:
        along = (points - a) @ (b - a) / max(((b - a) ** 2).sum(), 1e-300)
        table.append(np.linalg.norm(points - a - np.clip(along, 0, 1)[:, None] * (b - a), axis=1))
    return np.stack(table, axis=1)


def test_by_hand() -> None:
    found = nearest_on_segments(
        np.array([(0, 3, 2), (0, 0, -4), (0, 0, 14)]), chain((0, 0, 0), (0, 0, 8), (0, 0, 10))
    )
    np.testing.assert_allclose(found.distances, [3, 4, 4])
    np.testing.assert_array_equal(found.edges, [0, 0, 1])
    np.testing.assert_allclose(found.fractions, [0.25, 0, 1])


@given(seed=seeds, stretch=st.sampled_from([1.0, 100.0]), far=st.sampled_from([1.0, 50.0]))
def test_distances_are_those_of_all_edges_one_by_one(seed: int, stretch: float, far: float) -> None:
    rng = np.random.default_rng(seed)
    graph = random_network(seed)
    positions = graph.positions.copy()
    positions[:5] *= stretch  # a few edges much longer than the others
    graph = NeuriteGraph(positions, graph.edges)
    points = rng.uniform(-20, 80, (60, 3)) * far
    expected = slow_distances(points, graph)
    found = nearest_on_segments(points, graph)
    np.testing.assert_allclose(found.distances, expected.min(axis=1), rtol=1e-9, atol=1e-9)
    a, b = graph.positions[graph.edges[found.edges]].transpose(1, 0, 2)
    at = a + found.fractions[:, None] * (b - a)
    np.testing.assert_allclose(
        np.linalg.norm(points - at, axis=1), found.distances, rtol=1e-6, atol=1e-6
    )
    limit = float(np.median(found.distances))
    near = nearest_on_segments(points, graph, limit=limit)
    expected_near = np.where(found.distances <= limit, found.distances, np.inf)
    np.testing.assert_allclose(near.distances, expected_near)
    assert ((near.edges == -1) == np.isinf(near.distances)).all()


def test_many_equally_far_edges_are_searched_through() -> None:
    # 200 spokes that end on a sphere around the point; one of them is a little longer.
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(200, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    inner = np.full(200, 5.0)
    inner[77] = 4.999
    positions = np.concatenate([direction * inner[:, None], direction * 9])
    spokes = NeuriteGraph(positions, np.stack([np.arange(200), np.arange(200) + 200], axis=1))
    found = nearest_on_segments(np.zeros((1, 3)), spokes)
    assert found.edges.tolist() == [77]
    assert found.distances[0] == pytest.approx(4.999)


def test_an_edge_of_length_0_is_a_point() -> None:
    dot = NeuriteGraph(np.array([(1.0, 2, 3), (1, 2, 3)]), np.array([(0, 1)]))
    assert nearest_on_segments(np.array([(1.0, 2, 5)]), dot).distances[0] == pytest.approx(2)


def test_without_edges_everything_is_infinitely_far() -> None:
    found = nearest_on_segments(np.zeros((2, 3)), EMPTY)
    assert np.isinf(found.distances).all() and (found.edges == -1).all()
    assert len(nearest_on_segments(np.zeros((0, 3)), chain((0, 0, 0), (1, 1, 1))).distances) == 0
