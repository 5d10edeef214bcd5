"""The exact nearest point of a graph: not its nearest node, but the nearest point on its edges."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph

TIE = 3e-14  # µm, rounding; of places as near the one on the edge with the lowest number is taken
BLOCK = 1 << 16  # candidate pairs held at once, so that they stay in the cache


@dataclass(frozen=True, eq=False, slots=True)
class NearestPoints:
    """Where the nearest point of a graph lies, one entry for each point that was asked about.

    Args:
        distances: µm; infinite beyond the limit of the search.
        edges: row of `graph.edges`; -1 beyond the limit.
        fractions: place on that edge, 0 at its first node and 1 at its second; NaN beyond.
    """

    distances: np.ndarray
    edges: np.ndarray
    fractions: np.ndarray


class SegmentTree:
    """The edges of a graph, prepared for many questions about the nearest point on them.

    Long edges are cut into pieces, and a KD-tree holds the middles of the pieces. The pieces with
    the k nearest middles give a distance; no other piece can be nearer once the k-th middle is
    farther than that distance plus half the longest piece. Where that does not hold, k grows.
    """

    def __init__(self, graph: NeuriteGraph | NetworkxGraph) -> None:
        graph = as_neurite_graph(graph)
        lengths = graph.lengths
        positive = lengths[lengths > 0]
        # Never more than 6 pieces for each edge on average, however unequal the edges are.
        longest = max(np.median(positive), positive.mean() / 4) if len(positive) else 1.0
        pieces = np.maximum(1, np.ceil(lengths / longest)).astype(np.int64)
        self._edge = np.repeat(np.arange(len(lengths)), pieces)
        self._pieces = pieces
        self._rank = np.arange(len(self._edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        start, end = graph.positions[graph.edges[:, 0]], graph.positions[graph.edges[:, 1]]
        self._vector = ((end - start) / pieces[:, None])[self._edge]
        self._start = start[self._edge] + self._rank[:, None] * self._vector
        self._squared = (self._vector**2).sum(axis=1)
        self._half = float(np.sqrt(self._squared.max(initial=0.0))) / 2
        self._middles = KDTree(self._start + self._vector / 2)

    def nearest(self, points: np.ndarray, *, limit: float = np.inf) -> NearestPoints:
        """The nearest point on an edge, for each of (N, 3) points in µm `(z, y, x)`.

        Args:
            points: where to look from.
            limit: µm; farther points of the graph are not found. A low limit is fast.
        """
        points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        distances = np.full(len(points), np.inf)
        edges = np.full(len(points), -1, dtype=np.int64)
        fractions = np.full(len(points), np.nan)
        left = np.arange(len(points) if len(self._edge) else 0)
        candidates = 4
        while len(left):
            block = max(1, BLOCK // candidates)
            unsure = []
            for begin in range(0, len(left), block):
                rows = left[begin : begin + block]
                best, edge, fraction, sure = self._among(points[rows], candidates, limit)
                near = best <= limit
                distances[rows[near]] = best[near]
                edges[rows[near]] = edge[near]
                fractions[rows[near]] = fraction[near]
                unsure.append(rows[~sure])
            left = np.concatenate(unsure)
            candidates *= 4
        return NearestPoints(distances, edges, fractions)

    def _among(
        self, points: np.ndarray, candidates: int, limit: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The best of the pieces with the nearest middles, and whether none can be better."""
        count = max(2, min(candidates, len(self._edge)))  # from 2 on, answers are tables
        reach = float(np.nextafter(limit + self._half, np.inf))
        middle, piece = self._middles.query(points, k=count, distance_upper_bound=reach)
        found = piece < len(self._edge)
        piece = np.where(found, piece, 0)
        offset = points[:, None, :] - self._start[piece]
        squared, vector = self._squared[piece], self._vector[piece]
        along = np.einsum("nkd,nkd->nk", offset, vector)
        along = np.clip(along / np.where(squared > 0, squared, 1.0), 0.0, 1.0)
        offset -= along[..., None] * vector
        gap = np.sqrt(np.einsum("nkd,nkd->nk", offset, offset))
        gap[~found] = np.inf
        tied = gap <= gap.min(axis=1, keepdims=True) + TIE
        best = np.where(tied, piece, len(self._edge)).argmin(axis=1)
        row = np.arange(len(points))
        distance, piece, along = gap[row, best], piece[row, best], along[row, best]
        edge = self._edge[piece]
        fraction = (self._rank[piece] + along) / self._pieces[edge]
        last = middle[:, -1]
        sure = (last - self._half > np.minimum(distance, limit) + TIE) | (count >= len(self._edge))
        return distance, edge, fraction, sure


def nearest_on_segments(
    points: np.ndarray, graph: NeuriteGraph | NetworkxGraph, *, limit: float = np.inf
) -> NearestPoints:
    """The nearest point on the edges of `graph` for each of (N, 3) points, µm `(z, y, x)`.

    Exact, in blocks, without an array of all points against all edges. A graph without edges is
    infinitely far. For repeated questions keep a `SegmentTree`.
    """
    return SegmentTree(graph).nearest(points, limit=limit)
