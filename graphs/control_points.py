"""Control points: the places of one graph between which paths are compared with another graph."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.contraction import ContractedGraph
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.path_distances import NodeDistances, PathDistances

BLOCK = 1 << 21  # paths held at once: some tens of megabytes


@dataclass(frozen=True, eq=False, slots=True)
class ControlPoints:
    """Places on a graph.

    Args:
        edges: (K,) rows of `graph.edges`.
        fractions: (K,) place on that edge, 0 to 1.
    """

    edges: np.ndarray
    fractions: np.ndarray

    def __len__(self) -> int:
        return len(self.edges)


def control_points(contracted: ContractedGraph, interval: float | None) -> ControlPoints:
    """Points along the chains at an interval in µm, or the nodes where that is None."""
    if interval is None:
        return nodes_as_points(contracted)
    return points_along_chains(contracted, interval)


def nodes_as_points(contracted: ContractedGraph) -> ControlPoints:
    """Every node that has an edge, in the order of the nodes."""
    edges = contracted.graph.edges
    _, first = np.unique(edges.T.ravel(), return_index=True)
    return ControlPoints(first % max(len(edges), 1), (first >= len(edges)).astype(np.float64))


def points_along_chains(contracted: ContractedGraph, interval: float) -> ControlPoints:
    """Junctions, endpoints, and points at equal distances along each chain between them.

    A chain of length L has ceil(L / interval) - 1 points inside, one if L is between three
    quarters of the interval and the interval, none if it is shorter.
    """
    lengths = contracted.lengths
    inside = np.ceil(lengths / interval).astype(np.int64) - 1
    inside = np.where(lengths <= interval, (lengths >= 0.75 * interval).astype(np.int64), inside)
    chain = np.repeat(np.arange(len(lengths)), inside)
    rank = np.arange(len(chain)) - np.repeat(np.cumsum(inside) - inside, inside)
    way = lengths[chain] * (rank + 1) / (inside[chain] + 1)
    _, first = np.unique(contracted.ends.T.ravel(), return_index=True)
    end_chain, at_end = first % max(len(lengths), 1), first >= len(lengths)
    chain = np.concatenate([end_chain, chain])
    way = np.concatenate([np.where(at_end, lengths[end_chain], 0.0), way])
    return ControlPoints(*contracted.on_edges(chain, way))


@dataclass(frozen=True, eq=False, slots=True)
class ComparedPaths:
    """Paths from some control points to all, along either graph.

    Args:
        rows: (R,) the control points that the paths start from.
        snapped: (R,) whether the other graph has a place for them.
        expected: (R, K) along the graph of the control points, µm; infinite where there is no
            path, and from each point to itself.
        found: (R, K) along the other graph; infinite where there is no path, or no place within
            the tolerance for one of the ends.
    """

    rows: np.ndarray
    snapped: np.ndarray
    expected: np.ndarray
    found: np.ndarray


def compared_paths(
    source: NodeDistances,
    points: ControlPoints,
    other: NodeDistances,
    *,
    tolerance: float,
    starts: int | None = None,
) -> Iterator[ComparedPaths]:
    """Paths between all control points of a graph, and between their nearest places on another.

    Args:
        source: of the graph that the points lie on.
        points: from `control_points`.
        other: of the graph to compare with.
        tolerance: how far the nearest place on the other graph may lie, µm.
        starts: number of points, evenly spread in their order, to start from; all by default.
    """
    graph = source.contracted.graph
    start, end = graph.edges[points.edges].T
    positions = graph.positions
    place = positions[start] + points.fractions[:, None] * (positions[end] - positions[start])
    nearest = SegmentTree(other.contracted.graph).nearest(place, limit=tolerance + SLACK)
    here = PathDistances(source, points.edges, points.fractions)
    there = PathDistances(other, nearest.edges, nearest.fractions)
    count = len(points)
    rows = np.arange(count)
    if starts is not None and starts < count:
        rows = (np.arange(starts) * count) // starts
    size = max(1, BLOCK // max(count, 1))
    for block in (rows[begin : begin + size] for begin in range(0, len(rows), size)):
        expected = here.from_places(block)
        expected[np.arange(len(block)), block] = np.inf
        yield ComparedPaths(block, nearest.edges[block] >= 0, expected, there.from_places(block))
