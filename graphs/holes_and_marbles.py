r"""Holes and marbles: what can be reached from the same place in both graphs.

From a place on the truth walk at most `radius` along it in all directions and dig a hole at every
`interval`; from the nearest place on the tracing walk as far and drop a marble at every interval.
A hole is filled if a marble lies within `tolerance`, a marble is true if a hole does. Summed over
many starts,

$$\text{recall} = \frac{\text{filled holes}}{\text{holes}} \qquad
  \text{precision} = \frac{\text{true marbles}}{\text{marbles}}$$

Where the tracing has no place within the tolerance of a start, all holes stay empty. The measure
sees gaps, false bridges and missing and false branches as far as the radius, nothing beyond.

Holes are dug at equal distances along each branch, and starts are spread evenly over them, in an
order that the shape of the graph gives (`fixed_order`): how nodes are numbered and placed along a
branch plays no role. With fewer starts than holes the ratios are estimates, with a standard error
as that of a ratio of two means over independent starts.

References:
    J. Biagioni, J. Eriksson. Inferring road maps from global positioning system traces.
    Transportation Research Record 2291, 2012.
"""

import heapq
import itertools
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_positive, json_ready, ratio
from topodelin.graphs.contraction import ContractedGraph
from topodelin.graphs.fixed_order import even_points, in_fixed_order, points_on
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.pooling import added, pooled_by


@dataclass(frozen=True)
class Spread:
    """How a ratio of sums varies from start to start: sums over the starts.

    Args:
        parts: of the squares of the upper number.
        both: of the products of both.
        wholes: of the squares of the lower number.
    """

    parts: float
    both: float
    wholes: float

    def standard_error(self, part: float, whole: float, count: int) -> float:
        """Of `part / whole`, the sums over so many starts; NaN for fewer than two."""
        if count < 2 or not whole:
            return float("nan")
        share = part / whole
        squares = self.parts - 2 * share * self.both + share**2 * self.wholes
        return float(np.sqrt(max(0.0, squares) * count / (count - 1)) / whole)


@dataclass(frozen=True)
class HolesAndMarbles:
    """Holes and marbles of all starts, with the parameters.

    Args:
        holes, filled: of the truth.
        marbles, true: of the tracing.
        hole_spread, marble_spread: between the starts, for the standard errors.
        starts: places that were started from.
        tolerance, radius, interval: the parameters, µm.

    To pool several images, add the counts and divide then.
    """

    holes: int
    filled: int
    marbles: int
    true: int
    hole_spread: Spread
    marble_spread: Spread
    starts: int = field(metadata=pooled_by(added))
    tolerance: float
    radius: float
    interval: float

    @property
    def recall(self) -> float:
        """Share of holes that were filled, 0 to 1; NaN without truth."""
        return ratio(self.filled, self.holes)

    @property
    def precision(self) -> float:
        """Share of marbles that are true; 0 without marbles, NaN without truth."""
        if not self.holes:
            return float("nan")
        return self.true / self.marbles if self.marbles else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, 0 to 1; NaN without truth."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0

    @property
    def recall_error(self) -> float:
        """Standard error of the recall; NaN for fewer than two starts."""
        return self.hole_spread.standard_error(self.filled, self.holes, self.starts)

    @property
    def precision_error(self) -> float:
        """Standard error of the precision; NaN for fewer than two starts, or without marbles."""
        return self.marble_spread.standard_error(self.true, self.marbles, self.starts)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "holes_marbles_f1": self.f1,
                "holes_marbles_precision": self.precision,
                "holes_marbles_recall": self.recall,
                "holes_marbles_recall_error": self.recall_error,
                "holes_marbles_precision_error": self.precision_error,
                "holes": self.holes,
                "filled_holes": self.filled,
                "marbles": self.marbles,
                "true_marbles": self.true,
                "starts": self.starts,
                "tolerance_um": self.tolerance,
                "radius_um": self.radius,
                "interval_um": self.interval,
            }
        )


def holes_and_marbles(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    radius: float = 80.0,
    interval: float | None = None,
    starts: int = 200,
) -> HolesAndMarbles:
    """Compare what can be reached from the same places along two graphs.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart a hole and its marble, or the two starts, may lie, µm.
        radius: how far to walk along either graph, µm.
        interval: distance of holes along an edge, µm; half the tolerance by default. It must not
            exceed the tolerance, or a marble may lie between the holes of its own line.
        starts: number of holes, evenly spread in their order, to start from.
    """
    interval = tolerance / 2 if interval is None else interval
    check_positive(tolerance=tolerance, radius=radius, interval=interval)
    if interval > tolerance:
        raise ValueError(
            f"`interval` must be at most the tolerance, {tolerance} µm, got {interval}"
        )
    if starts < 1:
        raise ValueError(f"`starts` must be a number from 1 up, got {starts}")
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    one, two = (_Places(in_fixed_order(graph), interval) for graph in (truth, predicted))
    count = min(starts, len(one.positions))
    begin = np.arange(count) * len(one.positions) // max(count, 1)
    nearest = SegmentTree(two.chains.graph).nearest(one.positions[begin], limit=tolerance + SLACK)
    # Beyond the tolerance edge and fraction stand for nothing, and are not used.
    there = two.chains.on_chains(nearest.edges, nearest.fractions) if len(two.chain) else begin
    rows = np.zeros((count, 4), dtype=np.int64)  # holes, filled, marbles, true
    for row, start, edge, way in zip(
        rows, begin.tolist(), nearest.edges.tolist(), there.tolist(), strict=True
    ):
        hole = one.within(int(one.chain[start]), float(one.way[start]), radius)
        row[0] = len(hole)
        if edge >= 0:
            marble = two.within(int(two.chains.chain[edge]), way, radius)
            row[1:] = _near(hole, marble, tolerance), len(marble), _near(marble, hole, tolerance)
    hole, filled, marble, true = rows.T.astype(float)
    return HolesAndMarbles(
        *rows.sum(axis=0).tolist(),
        hole_spread=_spread(filled, hole),
        marble_spread=_spread(true, marble),
        starts=count,
        tolerance=float(tolerance),
        radius=float(radius),
        interval=float(interval),
    )


def _spread(part: np.ndarray, whole: np.ndarray) -> Spread:
    return Spread(float(part @ part), float(part @ whole), float(whole @ whole))


class _Places:
    """Places at equal distances along a graph, and those within a way of another place.

    Args:
        chains: from `in_fixed_order`.
        interval: longest distance of two places along a chain, µm.
    """

    def __init__(self, chains: ContractedGraph, interval: float) -> None:
        self.chains = chains
        points = even_points(chains, interval)
        count, ends = len(chains.nodes), chains.ends.ravel()
        # Each junction or endpoint is one place, before all others.
        first, last = points.first[:-1], points.first[1:] - 1
        inside = np.ones(len(points.chain), dtype=bool)
        inside[first] = inside[last] = False
        _, end = np.unique(ends, return_index=True)
        at_end = np.stack([first, last], axis=1).ravel()[end]
        kept = np.concatenate([at_end, np.flatnonzero(inside)])
        self.chain, self.way = points.chain[kept], points.way[kept]
        self.positions = points_on(chains, self.chain, self.way)
        # The places inside chain c: those from self._first[c] to self._first[c + 1].
        self._first = (count + points.first - 2 * np.arange(len(points.first))).tolist()
        self._lengths = chains.lengths.tolist()
        self._ends = chains.ends.tolist()
        by_node = np.argsort(ends, kind="stable")
        bounds = np.searchsorted(ends[by_node], np.arange(count + 1)).tolist()
        self._chains_at = [
            (by_node[low:high] // 2).tolist() for low, high in itertools.pairwise(bounds)
        ]

    def within(self, chain: int, way: float, radius: float) -> np.ndarray:
        """(K, 3) the places at most `radius` from a place, along the graph."""
        limit = radius + SLACK
        one, two = self._ends[chain]
        queue = [(way, one), (self._lengths[chain] - way, two)]
        heapq.heapify(queue)
        ways: dict[int, float] = {}
        while queue:
            far, node = heapq.heappop(queue)
            if far > limit:
                break
            if node in ways:
                continue
            ways[node] = far
            for at in self._chains_at[node]:
                start, end = self._ends[at]
                heapq.heappush(queue, (far + self._lengths[at], end if start == node else start))
        found = [np.array(list(ways), dtype=np.int64)]
        for at in {chain, *(at for node in ways for at in self._chains_at[node])}:
            inside = np.arange(self._first[at], self._first[at + 1])
            along = self.way[inside]
            start, end = (ways.get(node, np.inf) for node in self._ends[at])
            far = np.minimum(start + along, end + self._lengths[at] - along)
            if at == chain:
                far = np.minimum(far, np.abs(along - way))
            found.append(inside[far <= limit])
        return self.positions[np.concatenate(found)]


def _near(points: np.ndarray, others: np.ndarray, tolerance: float) -> int:
    """How many have one of the others within the tolerance."""
    if not len(points) or not len(others):
        return 0
    limit = tolerance + SLACK
    bound = float(np.nextafter(limit, np.inf))
    distances, _ = KDTree(others).query(points, distance_upper_bound=bound)
    return int((distances <= limit).sum())
