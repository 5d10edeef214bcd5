r"""Completeness, correctness and quality of a tracing along its centreline.

$$c = \frac{\text{matched length of the truth}}{\text{length of the truth}} \qquad
  k = \frac{\text{matched length of the prediction}}{\text{length of the prediction}} \qquad
  q = \frac{c\,k}{c + k - c\,k}$$

An edge is cut into equal pieces of at most `step`. A piece is matched when its middle lies within
`tolerance` of the nearest point on the other graph: of its edges, not of its nodes, so that the
density of nodes plays no role.

The measure sees missing and superfluous length. It does not see gaps shorter than twice the
tolerance, wrong connections or doubled branches: read it beside a connectivity metric.

References:
    C. Heipke, H. Mayer, C. Wiedemann, O. Jamet. Evaluation of automatic road extraction.
    International Archives of Photogrammetry and Remote Sensing 32, 1997. They define quality as
    matched / (matched + false + missed); the form above, usual for neurites, is the same where
    the matched lengths of both graphs agree.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph

SLACK = 1e-9  # µm; a point at exactly the tolerance counts as matched despite rounding


@dataclass(frozen=True, eq=False)
class CentrelineQuality:
    """Matched and total lengths in µm, and the stretches that found no match.

    Args:
        matched_truth, truth_length: of the truth.
        matched_predicted, predicted_length: of the prediction.
        tolerance, step: the parameters, µm.
        missed: the stretches of the truth that the prediction lacks.
        false: the stretches of the prediction that the truth lacks.

    To pool several images, add the lengths and divide then.
    """

    matched_truth: float
    truth_length: float
    matched_predicted: float
    predicted_length: float
    tolerance: float
    step: float
    missed: NeuriteGraph
    false: NeuriteGraph

    @property
    def completeness(self) -> float:
        """Share of the truth that was found, 0 to 1; NaN where there is no truth."""
        if self.truth_length == 0:
            return float("nan")
        return self.matched_truth / self.truth_length

    @property
    def correctness(self) -> float:
        """Share of the prediction that is true; NaN without truth, 0 without prediction."""
        if self.truth_length == 0:
            return float("nan")
        if self.predicted_length == 0:
            return 0.0
        return self.matched_predicted / self.predicted_length

    @property
    def quality(self) -> float:
        """Completeness and correctness in one number, 0 to 1; NaN without truth."""
        both = self.completeness * self.correctness
        return both / (self.completeness + self.correctness - both) if both else both

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, µm and ratios, ready for JSON: None where a ratio is undefined."""
        ratios = {
            "completeness": self.completeness,
            "correctness": self.correctness,
            "quality": self.quality,
        }
        return {
            "truth_length_um": self.truth_length,
            "predicted_length_um": self.predicted_length,
            "matched_truth_um": self.matched_truth,
            "matched_predicted_um": self.matched_predicted,
            "missed_um": self.truth_length - self.matched_truth,
            "false_um": self.predicted_length - self.matched_predicted,
            **{name: None if np.isnan(ratio) else ratio for name, ratio in ratios.items()},
            "tolerance_um": self.tolerance,
            "step_um": self.step,
        }

    def table(self) -> str:
        """The numbers as a small table to read."""
        missed = self.truth_length - self.matched_truth
        false = self.predicted_length - self.matched_predicted
        return "\n".join(
            [
                f"{'µm':10}{'length':>12}{'matched':>12}{'unmatched':>12}",
                f"{'truth':10}{self.truth_length:12.1f}{self.matched_truth:12.1f}"
                f"{missed:12.1f}  missed",
                f"{'traced':10}{self.predicted_length:12.1f}{self.matched_predicted:12.1f}"
                f"{false:12.1f}  false",
                "",
                f"completeness  {self.completeness:.3f}",
                f"correctness   {self.correctness:.3f}",
                f"quality       {self.quality:.3f}   within {self.tolerance:g} µm",
            ]
        )


def centreline_quality(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    step: float | None = None,
) -> CentrelineQuality:
    """Compare two graphs along their length.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart the same neurite may lie in the two, µm.
        step: longest piece that is judged as a whole, µm; a tenth of the tolerance by default, so
            that each end of a matched stretch is known to a twentieth of the tolerance.

    Graphs without edges never raise. Swapping the graphs swaps completeness and correctness.
    """
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    step = tolerance / 10 if step is None else step
    for name, value in (("tolerance", tolerance), ("step", step)):
        if not 0 < value < np.inf:
            raise ValueError(f"`{name}` must be a positive number of µm, got {value}")
    matched_truth, missed = _compare(truth, predicted, tolerance, step)
    matched_predicted, false = _compare(predicted, truth, tolerance, step)
    return CentrelineQuality(
        matched_truth,
        truth.length,
        matched_predicted,
        predicted.length,
        float(tolerance),
        float(step),
        missed,
        false,
    )


def _compare(
    graph: NeuriteGraph, other: NeuriteGraph, tolerance: float, step: float
) -> tuple[float, NeuriteGraph]:
    """The matched length of a graph, and its unmatched stretches as a graph."""
    pieces = np.maximum(1, np.ceil(graph.lengths / step - 1e-9)).astype(np.int64)
    edge, begin, end = _unmatched(graph, pieces, SegmentTree(other), tolerance)
    unmatched = np.bincount(edge, weights=end - begin, minlength=len(pieces))
    matched_length = float((graph.lengths * (1 - unmatched / pieces)).sum())
    return matched_length, _stretches(graph, pieces, edge, begin, end)


def _unmatched(
    graph: NeuriteGraph, pieces: np.ndarray, other: SegmentTree, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edge, first piece and one past the last piece of each unmatched run, in order, merged.

    Runs of pieces are judged at once. If the middle of a run lies at distance d from the other
    graph and the middles of its pieces within r of that, all of them lie between d - r and d + r.
    Only a run that these two bounds leave open is halved. A run of one piece has r = 0.
    """
    start = graph.positions[graph.edges[:, 0]]
    vector = graph.positions[graph.edges[:, 1]] - start
    edge = np.arange(len(pieces))
    begin, end = np.zeros_like(pieces), pieces
    runs = [np.zeros((0, 3), dtype=np.int64)]
    while len(edge):
        middle = start[edge] + ((begin + end) / (2 * pieces[edge]))[:, None] * vector[edge]
        reach = (end - begin - 1) / (2 * pieces[edge]) * graph.lengths[edge]
        limit = tolerance + SLACK + float(reach.max())
        distance = other.nearest(middle, limit=limit).distances
        lost = distance - reach > tolerance + SLACK
        runs.append(np.stack([edge[lost], begin[lost], end[lost]], axis=1))
        unsure = ~lost & (distance + reach > tolerance + SLACK)
        edge, begin, end = edge[unsure], begin[unsure], end[unsure]
        half = (begin + end) // 2
        edge, begin, end = np.tile(edge, 2), np.append(begin, half), np.append(half, end)
    edge, begin, end = _sorted_runs(np.concatenate(runs))
    opens = np.ones(len(edge), dtype=bool)
    opens[1:] = (edge[1:] != edge[:-1]) | (begin[1:] != end[:-1])
    return edge[opens], begin[opens], end[np.append(opens[1:], True)[: len(edge)]]


def _sorted_runs(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edge, begin, end = runs[np.lexsort((runs[:, 1], runs[:, 0]))].T
    return edge, begin, end


def _stretches(
    graph: NeuriteGraph, pieces: np.ndarray, edge: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> NeuriteGraph:
    """Runs of pieces as a graph; runs that reach the same node of `graph` meet in it."""
    first, last = graph.edges[edge].T
    at_first, at_last = begin == 0, end == pieces[edge]
    count = len(graph) + np.arange(len(edge))  # numbers for the cut points of either side
    heads = np.where(at_first, first, count)
    tails = np.where(at_last, last, count + len(edge))
    start = graph.positions[first]
    vector = graph.positions[last] - start
    cuts = [start + (at / pieces[edge])[:, None] * vector for at in (begin, end)]
    unknown = np.full(2 * len(edge), np.nan)
    kinds = np.tile(graph.kinds[last], 2)
    every = NeuriteGraph(
        np.concatenate([graph.positions, *cuts]),
        np.stack([heads, tails], axis=1),
        np.append(graph.radii, unknown),
        np.append(graph.kinds, kinds),
    )
    return every.select(every.degrees > 0)
