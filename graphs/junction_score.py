r"""Junction score OPT-J: how many branches meet at each junction and endpoint, there and here.

A junction or endpoint $v$ of one graph is matched with a junction or endpoint of the other within
`tolerance`, or, where there is none, with the nearest point of a line, at which two branches meet.
With the number of branches $d(v)$ that meet at a point, 0 for no partner, and the sums over all
matched and unmatched junctions and endpoints of both graphs

$$\text{both} = \sum \min(d_\text{truth}, d_\text{predicted}) \qquad
  \text{recall} = \frac{\text{both}}{\sum d_\text{truth}} \qquad
  \text{precision} = \frac{\text{both}}{\sum d_\text{predicted}}$$

The score sees every break, spur, false junction and missing branch; a break far from any junction
counts as one branch on either side of it. It does not see what is connected far away.

References:
    L. Citraro, M. Koziński, P. Fua. Towards reliable evaluation of algorithms for road network
    reconstruction from aerial images. ECCV 2020. There the nodes are matched one after the other,
    each to the best that is left; here all at once, so that the order of nodes plays no role.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.assignment import assign, pairs_within
from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True)
class JunctionScore:
    """Branches at junctions and endpoints, with the parameters.

    Args:
        both: branches at matched places that both graphs have.
        truth, predicted: branches at all places, of the truth and of the tracing.
        tolerance, degree_cost, existing: the parameters, µm.

    To pool several images, add the counts and divide then.
    """

    both: int
    truth: int
    predicted: int
    tolerance: float
    degree_cost: float
    existing: float

    @property
    def recall(self) -> float:
        """Share of the branches of the truth, 0 to 1; NaN without truth."""
        return ratio(self.both, self.truth)

    @property
    def precision(self) -> float:
        """Share of the branches of the tracing; 0 without a tracing, NaN without truth."""
        if not self.predicted:
            return 0.0 if self.truth else float("nan")
        return self.both / self.predicted if self.truth else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, 0 to 1; NaN without truth."""
        if not self.truth:
            return float("nan")
        return 2 * self.both / (self.truth + self.predicted)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "opt_j_f1": self.f1,
                "opt_j_precision": self.precision,
                "opt_j_recall": self.recall,
                "opt_j_both": self.both,
                "opt_j_truth": self.truth,
                "opt_j_predicted": self.predicted,
                "tolerance_um": self.tolerance,
                "degree_cost_um": self.degree_cost,
                "existing_um": self.existing,
            }
        )


def junction_score(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    degree_cost: float = 100.0,
    existing: float = 1.0,
) -> JunctionScore:
    """Compare the junctions and endpoints of two graphs.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart two partners may lie, µm.
        degree_cost: µm that a partner with one branch more or less may lie nearer and is not
            taken.
        existing: a nearest point of a line this near to a junction or endpoint is that node, µm.

    Closed loops without a junction play no role. Without truth, scores are NaN; without a
    tracing, 0.
    """
    check_positive(tolerance=tolerance)
    check_not_negative(degree_cost=degree_cost, existing=existing)
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    here, there = _critical(truth), _critical(predicted)
    on_prediction = _places(truth, here, predicted, there, tolerance, existing)
    on_truth = _places(predicted, there, truth, here, tolerance, existing)
    rows, columns, distances = pairs_within(
        truth.positions[here], predicted.positions[there], tolerance + SLACK
    )
    # A point of a line is a partner too: each has a column of its own, after those of `there`.
    on_line = np.flatnonzero((on_prediction.distances < np.inf) & ~on_prediction.at_node)
    unlike = abs(truth.degrees[here][rows] - predicted.degrees[there][columns])
    chosen = assign(
        np.append(rows, on_line),
        np.append(columns, len(there) + on_line),
        np.append(
            distances + degree_cost * unlike,
            on_prediction.distances[on_line] + degree_cost * abs(truth.degrees[here][on_line] - 2),
        ),
    )
    partner_degrees = np.zeros(len(here), dtype=np.int64)
    nodes = chosen[chosen < len(rows)]
    partner_degrees[rows[nodes]] = predicted.degrees[there][columns[nodes]]
    partner_degrees[on_line[chosen[chosen >= len(rows)] - len(rows)]] = 2
    left = np.setdiff1d(np.arange(len(there)), columns[nodes])
    truth_degrees = np.append(truth.degrees[here], on_truth.degrees[left])
    predicted_degrees = np.append(partner_degrees, predicted.degrees[there][left])
    return JunctionScore(
        both=int(np.minimum(truth_degrees, predicted_degrees).sum()),
        truth=int(truth_degrees.sum()),
        predicted=int(predicted_degrees.sum()),
        tolerance=float(tolerance),
        degree_cost=float(degree_cost),
        existing=float(existing),
    )


def _critical(graph: NeuriteGraph) -> np.ndarray:
    """The nodes that have edges, but not two."""
    return np.flatnonzero((graph.degrees > 0) & (graph.degrees != 2))


@dataclass(frozen=True, eq=False)
class _Places:
    """The nearest points of the other graph.

    Args:
        distances: µm; infinite beyond the tolerance.
        degrees: branches that meet there; 0 beyond the tolerance.
        at_node: whether a junction or endpoint is so near that the point is that node.
    """

    distances: np.ndarray
    degrees: np.ndarray
    at_node: np.ndarray


def _places(
    graph: NeuriteGraph,
    nodes: np.ndarray,
    other: NeuriteGraph,
    critical: np.ndarray,
    tolerance: float,
    existing: float,
) -> _Places:
    nearest = SegmentTree(other).nearest(graph.positions[nodes], limit=tolerance + SLACK)
    found = np.flatnonzero(nearest.edges >= 0)
    degrees = np.where(nearest.edges >= 0, 2, 0)
    at_node = np.zeros(len(nodes), dtype=bool)
    if len(found) and len(critical):
        start, end = other.positions[other.edges[nearest.edges[found]]].transpose(1, 0, 2)
        place = start + nearest.fractions[found, None] * (end - start)
        away, which = KDTree(other.positions[critical]).query(place)
        close = np.flatnonzero(away <= existing + SLACK)
        at_node[found[close]] = True
        degrees[found[close]] = other.degrees[critical[np.asarray(which)[close]]]
    return _Places(nearest.distances, degrees, at_node)
