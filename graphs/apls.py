r"""Average path length similarity (APLS) of a truth and a tracing.

Control points are laid along one graph and moved to the nearest places on the other. For each pair
of them that the first graph joins by a path of length $L$, and the other by one of length $L'$,

$$\text{cost} = \min\left(1, \frac{|L - L'|}{L}\right)$$

and 1 where the other graph has no such path, or no place within the tolerance. The similarity of
that direction is one minus the mean cost; APLS is the harmonic mean of both directions.

From the truth to the tracing the measure sees gaps and missing branches, the other way round false
joins and superfluous branches. It does not see doubled cable of about equal length.

References:
    A. Van Etten, D. Lindenbaum, T. M. Bacastow. SpaceNet: a remote sensing dataset and challenge
    series. arXiv:1807.01232, 2018.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready
from topodelin.graphs.compared_paths import (
    ControlPaths,
    Starts,
    check_starts,
    control_paths,
    ratio_error,
)
from topodelin.graphs.fixed_order import contract_from_fixed_nodes
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph
from topodelin.graphs.path_distances import NodeDistances
from topodelin.graphs.pooling import error_of_mean_over, pooled_by


@dataclass(frozen=True)
class PathCosts:
    """Costs of the paths of one graph, seen in the other.

    Args:
        points: control points.
        starts: how many of them the paths started from.
        paths: paths that were compared, each in both directions.
        cost: their summed cost.
        standard_error: of `similarity`, from the spread between starts; 0 where all were used.
    """

    points: int
    starts: int
    paths: int
    cost: float
    standard_error: float = field(metadata=pooled_by(error_of_mean_over("paths")))

    @property
    def similarity(self) -> float:
        """One minus the mean cost; NaN where there was no path to judge."""
        return 1 - self.cost / self.paths if self.paths else float("nan")


@dataclass(frozen=True)
class PathLengthSimilarity:
    """APLS: the two directions, two means, and the parameters.

    Args:
        truth_paths: the paths of the truth, looked for in the tracing.
        predicted_paths: the paths of the tracing, looked for in the truth.
        tolerance, interval, min_path, mode: the parameters; an interval of NaN means the nodes.
    """

    truth_paths: PathCosts
    predicted_paths: PathCosts
    tolerance: float
    interval: float
    min_path: float
    mode: str

    @property
    def truth_to_predicted(self) -> float:
        """How well the tracing keeps the paths of the truth, 0 to 1; NaN without truth."""
        return self._worst_if_nothing(self.truth_paths)

    @property
    def predicted_to_truth(self) -> float:
        """How true the paths of the tracing are, 0 to 1; NaN without truth, 0 without tracing."""
        return self._worst_if_nothing(self.predicted_paths)

    @property
    def similarity(self) -> float:
        """APLS, the harmonic mean of both directions; 0 where one is 0, NaN without truth."""
        one, two = self.truth_to_predicted, self.predicted_to_truth
        return 2 * one * two / (one + two) if one * two else one * two

    @property
    def arithmetic(self) -> float:
        """The arithmetic mean of both directions."""
        return (self.truth_to_predicted + self.predicted_to_truth) / 2

    def _worst_if_nothing(self, direction: PathCosts) -> float:
        if not self.truth_paths.paths and self.mode == "exact":
            return float("nan")
        return max(direction.similarity, 0.0) if direction.paths else 0.0

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "apls": self.similarity,
                "apls_arithmetic": self.arithmetic,
                "truth_to_predicted": self.truth_to_predicted,
                "predicted_to_truth": self.predicted_to_truth,
                "truth_points": self.truth_paths.points,
                "predicted_points": self.predicted_paths.points,
                "truth_starts": self.truth_paths.starts,
                "predicted_starts": self.predicted_paths.starts,
                "truth_paths": self.truth_paths.paths,
                "predicted_paths": self.predicted_paths.paths,
                "truth_standard_error": self.truth_paths.standard_error,
                "predicted_standard_error": self.predicted_paths.standard_error,
                "tolerance_um": self.tolerance,
                "interval_um": self.interval,
                "min_path_um": self.min_path,
            }
        )


def apls(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    interval: float | None = 20.0,
    min_path: float = 10.0,
    starts: Starts = None,
    mode: Literal["exact", "cosmiq"] = "exact",
) -> PathLengthSimilarity:
    """Compare the lengths of the paths of two graphs, in both directions.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm. Smooth a graph made of voxels first
            (`smooth_branches`): its paths are up to 10 % too long.
        tolerance: how far a control point may lie from the other graph, µm.
        interval: distance of the control points along a neurite, µm; None takes the nodes.
        min_path: shorter paths are not compared, µm.
        starts: number of control points, evenly spread, that paths start from, or "all". The cost
            grows with their number times that of the points they reach. By default all where that
            makes at most 25 million paths (5000 points on one tree), else as many as make about
            that and at least 1000, and the result has a standard error (`standard_error` of its
            directions): about 0.005 for 1000 starts.
        mode: "exact", or "cosmiq" for the numbers of the published program, which compares paths
            of any length from a point that the other graph lacks, and calls what is undefined 0.

    Graphs without edges never raise.
    """
    if mode not in ("exact", "cosmiq"):
        raise ValueError(f'`mode` must be "exact" or "cosmiq", got {mode!r}')
    check_positive(tolerance=tolerance, **({} if interval is None else {"interval": interval}))
    check_not_negative(min_path=min_path)
    check_starts(starts)
    there, back = (NodeDistances(contract_from_fixed_nodes(graph)) for graph in (truth, predicted))
    costs = []
    for one, other in ((there, back), (back, there)):
        paths = control_paths(one, other, interval=interval, tolerance=tolerance)
        costs.append(_costs(paths, paths.starts(starts), min_path, mode == "cosmiq"))
    return PathLengthSimilarity(
        *costs,
        tolerance=float(tolerance),
        interval=float("nan") if interval is None else float(interval),
        min_path=float(min_path),
        mode=mode,
    )


def _costs(
    paths: ControlPaths, starts: np.ndarray | None, min_path: float, lost_of_any_length: bool
) -> PathCosts:
    points = len(paths)
    if lost_of_any_length and starts is None:
        starts = np.arange(points)  # what counts depends on which end the path starts from
    counts, sums = [np.zeros(0)], [np.zeros(0)]
    for block in paths.compared(starts):
        expected = block.expected
        judged = expected >= max(min_path, SLACK)
        if lost_of_any_length:
            judged |= ~block.snapped[:, None]
        judged &= np.isfinite(expected)
        with np.errstate(invalid="ignore"):  # infinity less infinity, where nothing is judged
            cost = np.abs(expected - block.found)
            cost *= cost > SLACK  # lengths that differ by rounding are equal
            cost /= expected
        np.minimum(cost, 1.0, out=cost)
        counts.append(judged.sum(axis=1))
        sums.append(cost.sum(axis=1, where=judged))
    count, cost = np.concatenate(counts), np.concatenate(sums)
    if starts is None:  # each path is counted from both of its ends
        return PathCosts(points, points, int(2 * count.sum()), float(2 * cost.sum()), 0.0)
    error = ratio_error(cost, count, points)
    return PathCosts(points, len(count), int(count.sum()), float(cost.sum()), error)
