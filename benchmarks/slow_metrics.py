"""Metrics as their definitions read, pair by pair, edge by edge: twins for `speed_metrics.py`."""

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
from scipy.ndimage import distance_transform_edt

from topodelin.graphs import NeuriteGraph, split_at


def nearest_places(points: np.ndarray, graph: NeuriteGraph) -> tuple[np.ndarray, ...]:
    """Distance, edge and fraction of the nearest point on any edge, one edge after the other."""
    distances = np.full(len(points), np.inf)
    edges, fractions = np.zeros(len(points), int), np.zeros(len(points))
    for number, (a, b) in enumerate(graph.positions[graph.edges]):
        along = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        gap = np.linalg.norm(points - a - along[:, None] * (b - a), axis=1)
        nearer = gap < distances
        distances[nearer], edges[nearer], fractions[nearer] = gap[nearer], number, along[nearer]
    return distances, edges, fractions


def _ways(graph: NeuriteGraph) -> dict[int, dict[int, float]]:
    return dict(nx.all_pairs_dijkstra_path_length(graph.to_networkx(), weight="length"))


def path_direction(
    graph: NeuriteGraph, other: NeuriteGraph, tolerance: float
) -> tuple[float, float]:
    """One minus the mean cost of the paths between all nodes, and the share of correct paths."""
    distances, edges, fractions = nearest_places(graph.positions, other)
    split = split_at(other, edges, fractions)
    here, there = _ways(graph), _ways(split.graph)
    costs, correct = [], 0
    for start, ways in here.items():
        for goal, expected in ways.items():
            if start == goal:
                continue
            one, two = split.nodes[start], split.nodes[goal]
            found = there[one].get(two)
            if found is None or max(distances[start], distances[goal]) > tolerance:
                costs.append(1.0)
                continue
            costs.append(min(1.0, abs(expected - found) / expected))
            correct += abs(found - expected) <= 0.05 * expected
    return 1 - sum(costs) / len(costs), correct / len(costs)


def slow_apls(truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float) -> float:
    """APLS of the nodes, no path too short."""
    one = path_direction(truth, predicted, tolerance)[0]
    two = path_direction(predicted, truth, tolerance)[0]
    return 2 * one * two / (one + two)


def slow_tlts(truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float) -> float:
    """Share of correct paths between the nodes of the truth."""
    return path_direction(truth, predicted, tolerance)[1]


def slow_quality(truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float) -> float:
    """Centreline quality, every piece against every edge."""

    def matched(graph: NeuriteGraph, other: NeuriteGraph) -> float:
        pieces = np.ceil(graph.lengths / (tolerance / 10) - 1e-9).astype(int)
        edge = np.repeat(np.arange(len(pieces)), pieces)
        rank = np.concatenate([np.arange(count) for count in pieces])
        start, end = graph.positions[graph.edges[edge]].transpose(1, 0, 2)
        middles = start + ((rank + 0.5) / pieces[edge])[:, None] * (end - start)
        near = nearest_places(middles, other)[0] <= tolerance + 1e-9
        return float((graph.lengths / pieces)[edge[near]].sum() / graph.length)

    c, k = matched(truth, predicted), matched(predicted, truth)
    return c * k / (c + k - c * k)


def slow_spatial_distance(truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float) -> float:
    """ESA, every point against every edge; the tolerance plays no part in it."""

    def mean(graph: NeuriteGraph, other: NeuriteGraph) -> float:
        points = [
            np.linspace(a, b, int(length + 1.5))
            for (a, b), length in zip(graph.positions[graph.edges], graph.lengths, strict=True)
        ]
        return float(nearest_places(np.concatenate(points), other)[0].mean())

    return (mean(truth, predicted) + mean(predicted, truth)) / 2


def slow_voxel_quality(truth: np.ndarray, predicted: np.ndarray, tolerance: float) -> float:
    """Voxel quality by a distance map of each whole volume."""
    near = [np.asarray(distance_transform_edt(~mask)) <= tolerance for mask in (truth, predicted)]
    c, k = near[1][truth].mean(), near[0][predicted].mean()
    return float(c * k / (c + k - c * k))


SLOW: dict[str, Callable[..., Any]] = {
    "apls": slow_apls,
    "tlts": slow_tlts,
    "centreline_quality": slow_quality,
    "spatial_distance": slow_spatial_distance,
    "voxel_quality": slow_voxel_quality,
}
