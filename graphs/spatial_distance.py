r"""Spatial distance of two tracings, as BigNeuron reports it: ESA, DSA and PDS.

Points are set along every edge about one `interval` apart, both ends included, and the distance of
each to the nearest line of the other tracing is taken.

* ESA, entire structure average: the mean distance.
* DSA, different structure average: the mean over the points at least `threshold` away.
* PDS, percentage of different structure: the share of such points, here from 0 to 1.

Each is the mean of its two directions. They see displacement and missing or false cable and are
blind to topology: a break of one edge changes almost nothing.

References:
    H. Peng et al. V3D enables real-time 3D visualization and quantitative analysis of large-scale
    biological image data sets. Nature Biotechnology 28, 2010.
"""

from dataclasses import dataclass, field

import numpy as np

from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.pooling import maximum, pooled_by

BLOCK = 1 << 20  # points held at once


@dataclass(frozen=True)
class DirectedDistance:
    """Distances of the points of one graph from the lines of the other.

    Args:
        points: how many.
        distance: their sum, µm; infinite where the other graph has no line.
        far_points: those at least the threshold away.
        far_distance: the sum of their distances, µm.
        largest: the largest distance, µm; 0 without points.
    """

    points: int
    distance: float
    far_points: int
    far_distance: float
    largest: float = field(metadata=pooled_by(maximum))

    @property
    def mean(self) -> float:
        """µm; NaN without points."""
        return ratio(self.distance, self.points)

    @property
    def far_mean(self) -> float:
        """µm; NaN without a point that far away."""
        return ratio(self.far_distance, self.far_points)

    @property
    def far_share(self) -> float:
        """From 0 to 1; NaN without points."""
        return ratio(self.far_points, self.points)


@dataclass(frozen=True)
class SpatialDistance:
    """Distances in both directions, with the parameters.

    Args:
        truth: of the points of the truth from the tracing.
        predicted: of the points of the tracing from the truth.
        threshold, interval: the parameters, µm.
    """

    truth: DirectedDistance
    predicted: DirectedDistance
    threshold: float
    interval: float

    @property
    def esa(self) -> float:
        """Mean distance, µm, 0 at best; NaN without truth, infinite without a tracing."""
        return self._both(self.truth.mean, self.predicted.mean)

    @property
    def dsa(self) -> float:
        """Mean over distant points, µm; 0 where no point is that far, NaN without truth."""
        if not self.truth.points:
            return float("nan")
        parts = [part.far_mean for part in (self.truth, self.predicted) if part.far_points]
        return sum(parts) / len(parts) if parts else 0.0

    @property
    def pds(self) -> float:
        """Share of distant points, 0 to 1, 0 at best; NaN without truth, 1 without a tracing."""
        return self._both(self.truth.far_share, self.predicted.far_share)

    @property
    def hausdorff(self) -> float:
        """The larger of the two largest distances, µm; NaN without truth."""
        if not self.truth.points:
            return float("nan")
        return max(self.truth.largest, self.predicted.largest)

    def _both(self, truth: float, predicted: float) -> float:
        if not self.truth.points:
            return float("nan")
        return (truth + predicted) / 2 if self.predicted.points else truth

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where one is undefined or infinite."""
        numbers = json_ready(
            {
                "esa_um": self.esa,
                "esa_truth_um": self.truth.mean,
                "esa_predicted_um": self.predicted.mean,
                "dsa_um": self.dsa,
                "pds": self.pds,
                "pds_truth": self.truth.far_share,
                "pds_predicted": self.predicted.far_share,
                "hausdorff_um": self.hausdorff,
                "truth_points": self.truth.points,
                "predicted_points": self.predicted.points,
                "threshold_um": self.threshold,
                "interval_um": self.interval,
            }
        )
        return {name: None if value == np.inf else value for name, value in numbers.items()}


def spatial_distance(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    threshold: float = 2.0,
    interval: float = 1.0,
) -> SpatialDistance:
    """Measure how far two graphs are from each other.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        threshold: from where on a point counts as different, µm; published for voxels.
        interval: distance of the points along an edge, µm; an edge of length L has
            floor(L / interval + 1.5) points, and if that is one it is the middle.
    """
    check_positive(interval=interval)
    check_not_negative(threshold=threshold)
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    return SpatialDistance(
        _directed(truth, predicted, threshold, interval),
        _directed(predicted, truth, threshold, interval),
        float(threshold),
        float(interval),
    )


def _directed(
    graph: NeuriteGraph, other: NeuriteGraph, threshold: float, interval: float
) -> DirectedDistance:
    count = np.floor(graph.lengths / interval + 1.5).astype(np.int64)
    points, tree = int(count.sum()), SegmentTree(other)
    first = np.cumsum(count) - count
    start, end = graph.positions[graph.edges].transpose(1, 0, 2)
    total = far_total = largest = 0.0
    far_points = 0
    for begin in range(0, points, BLOCK):
        point = np.arange(begin, min(begin + BLOCK, points))
        edge = np.searchsorted(first, point, side="right") - 1
        steps = count[edge] - 1
        along = np.where(steps > 0, (point - first[edge]) / np.maximum(steps, 1), 0.5)[:, None]
        distances = tree.nearest(start[edge] + along * (end[edge] - start[edge])).distances
        far = distances[distances >= threshold]
        total += float(distances.sum())
        largest = max(largest, float(distances.max()))
        far_points, far_total = far_points + len(far), far_total + float(far.sum())
    return DirectedDistance(points, total, far_points, far_total, largest)
