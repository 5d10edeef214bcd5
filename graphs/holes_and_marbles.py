r"""Holes and marbles: what can be reached from the same place in both graphs.

From a place on the truth walk at most `radius` along it in all directions and dig a hole at every
`interval`; from the nearest place on the tracing walk as far and drop a marble at every interval.
A hole is filled if a marble lies within `tolerance`, a marble is true if a hole does. Summed over
many starts,

$$\text{recall} = \frac{\text{filled holes}}{\text{holes}} \qquad
  \text{precision} = \frac{\text{true marbles}}{\text{marbles}}$$

Where the tracing has no place within the tolerance of a start, all holes stay empty. The measure
sees gaps, false bridges and missing and false branches as far as the radius, nothing beyond.

References:
    J. Biagioni, J. Eriksson. Inferring road maps from global positioning system traces.
    Transportation Research Record 2291, 2012.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_positive, json_ready, ratio
from topodelin.graphs.edge_splitting import split_at, split_long_edges
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True)
class HolesAndMarbles:
    """Holes and marbles of all starts, with the parameters.

    Args:
        holes, filled: of the truth.
        marbles, true: of the tracing.
        starts: places that were started from.
        tolerance, radius, interval: the parameters, µm.

    To pool several images, add the counts and divide then.
    """

    holes: int
    filled: int
    marbles: int
    true: int
    starts: int
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

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "holes_marbles_f1": self.f1,
                "holes_marbles_precision": self.precision,
                "holes_marbles_recall": self.recall,
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
    one = _without_dots(split_long_edges(truth, interval).graph)
    two = _without_dots(split_long_edges(predicted, interval).graph)
    count = min(starts, len(one))
    begin = np.arange(count) * len(one) // max(count, 1)
    nearest = SegmentTree(two).nearest(one.positions[begin], limit=tolerance + SLACK)
    found = nearest.edges >= 0
    # The starts on the tracing become nodes of it, but are no marbles.
    walked = split_at(two, nearest.edges[found], nearest.fractions[found])
    there = np.full(count, -1, dtype=np.int64)
    there[found] = walked.nodes
    holes = filled = marbles = true = 0
    for here, start in zip(begin.tolist(), there.tolist(), strict=True):
        hole = one.positions[_within(one, here, radius)]
        holes += len(hole)
        if start < 0:
            continue
        reached = _within(walked.graph, start, radius)
        marble = two.positions[reached[reached < len(two)]]
        marbles += len(marble)
        filled += _near(hole, marble, tolerance)
        true += _near(marble, hole, tolerance)
    return HolesAndMarbles(
        holes, filled, marbles, true, count, float(tolerance), float(radius), float(interval)
    )


def _without_dots(graph: NeuriteGraph) -> NeuriteGraph:
    return graph.select(graph.degrees > 0)


def _within(graph: NeuriteGraph, start: int, radius: float) -> np.ndarray:
    """The nodes at most `radius` from one along the graph."""
    ways = np.asarray(dijkstra(graph.adjacency, indices=start, limit=radius + SLACK))
    return np.flatnonzero(ways <= radius + SLACK)


def _near(points: np.ndarray, others: np.ndarray, tolerance: float) -> int:
    """How many have one of the others within the tolerance."""
    if not len(points) or not len(others):
        return 0
    limit = tolerance + SLACK
    bound = float(np.nextafter(limit, np.inf))
    distances, _ = KDTree(others).query(points, distance_upper_bound=bound)
    return int((distances <= limit).sum())
