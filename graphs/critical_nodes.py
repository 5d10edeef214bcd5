"""Junctions and endpoints of a tracing, each matched with one of the truth.

The measure sees broken neurites, spurs and branch points that were missed. It does not see a
wrong connection that makes no new junction or endpoint, nor cable that is displaced between them.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.assignment import assign, pairs_within
from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_positive, json_ready, ratio
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True)
class CriticalNodes:
    """How many junctions and endpoints found a partner.

    Args:
        truth: junctions and endpoints of the truth.
        predicted: of the tracing.
        matched: pairs.
        distance: sum over the pairs, µm.
        tolerance: the parameter, µm.

    To pool several images, add the counts and divide then.
    """

    truth: int
    predicted: int
    matched: int
    distance: float
    tolerance: float

    @property
    def recall(self) -> float:
        """Share of the truth that was found, 0 to 1; NaN without truth."""
        return ratio(self.matched, self.truth)

    @property
    def precision(self) -> float:
        """Share of the tracing that is true; 0 without a tracing, NaN without truth."""
        if not self.predicted:
            return 0.0 if self.truth else float("nan")
        return self.matched / self.predicted

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, 0 to 1; NaN without truth."""
        if not self.truth:
            return float("nan")
        return 2 * self.matched / (self.truth + self.predicted)

    @property
    def mean_distance(self) -> float:
        """Of the pairs, µm; NaN without any."""
        return ratio(self.distance, self.matched)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "critical_f1": self.f1,
                "critical_precision": self.precision,
                "critical_recall": self.recall,
                "critical_truth": self.truth,
                "critical_predicted": self.predicted,
                "critical_matched": self.matched,
                "critical_distance_um": self.mean_distance,
                "tolerance_um": self.tolerance,
            }
        )


def critical_nodes(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
) -> CriticalNodes:
    """Match the junctions and endpoints of two graphs, one to one.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart two partners may lie, µm.

    As many as possible are matched, and of those choices the one with the least sum of distances
    is taken. A junction may match an endpoint. Nodes without edges do not count.
    """
    check_positive(tolerance=tolerance)
    one, two = (critical_positions(as_neurite_graph(graph)) for graph in (truth, predicted))
    rows, columns, distances = pairs_within(one, two, tolerance + SLACK)
    chosen = assign(rows, columns, distances)
    total = float(distances[chosen].sum())
    return CriticalNodes(len(one), len(two), len(chosen), total, float(tolerance))


def critical_positions(graph: NeuriteGraph) -> np.ndarray:
    """(K, 3) positions of the nodes that have edges, but not two."""
    return graph.positions[(graph.degrees > 0) & (graph.degrees != 2)]
