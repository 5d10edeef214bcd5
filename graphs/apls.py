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

from dataclasses import dataclass
from typing import Literal

import numpy as np

from topodelin.graphs.checks import check_not_negative, check_positive, json_ready
from topodelin.graphs.contraction import contract
from topodelin.graphs.control_points import ControlPoints, compared_paths, control_points
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph
from topodelin.graphs.path_distances import NodeDistances


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
    standard_error: float

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
    starts: int | None = None,
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
        starts: number of control points, evenly spread, that paths start from; all by default.
            The cost grows with their number times that of all. From a few thousand points on,
            1000 starts give a standard error of about 0.005.
        mode: "exact", or "cosmiq" for the numbers of the published program, which compares paths
            of any length from a point that the other graph lacks, and calls what is undefined 0.

    Graphs without edges never raise.
    """
    if mode not in ("exact", "cosmiq"):
        raise ValueError(f'`mode` must be "exact" or "cosmiq", got {mode!r}')
    check_positive(tolerance=tolerance, **({} if interval is None else {"interval": interval}))
    check_not_negative(min_path=min_path)
    if starts is not None and starts < 1:
        raise ValueError(f"`starts` must be at least 1, or None for all, got {starts}")
    there, back = (NodeDistances(contract(graph)) for graph in (truth, predicted))
    costs = []
    for one, other in ((there, back), (back, there)):
        points = control_points(one.contracted, interval)
        costs.append(_costs(one, points, other, tolerance, min_path, starts, mode == "cosmiq"))
    return PathLengthSimilarity(
        *costs,
        tolerance=float(tolerance),
        interval=float("nan") if interval is None else float(interval),
        min_path=float(min_path),
        mode=mode,
    )


def _costs(
    source: NodeDistances,
    points: ControlPoints,
    other: NodeDistances,
    tolerance: float,
    min_path: float,
    starts: int | None,
    lost_of_any_length: bool,
) -> PathCosts:
    counts, sums = [np.zeros(0)], [np.zeros(0)]
    for block in compared_paths(source, points, other, tolerance=tolerance, starts=starts):
        expected = block.expected
        judged = np.isfinite(expected) & (expected >= max(min_path, 1e-9))
        if lost_of_any_length:
            judged |= np.isfinite(expected) & ~block.snapped[:, None]
        with np.errstate(invalid="ignore"):  # infinity less infinity, where nothing is judged
            cost = np.minimum(np.abs(expected - block.found) / expected, 1.0)
        counts.append(judged.sum(axis=1))
        sums.append(np.where(judged, cost, 0.0).sum(axis=1))
    count, cost = np.concatenate(counts), np.concatenate(sums)
    error = 0.0
    if len(count) < len(points) and count.sum():
        spread = cost - count * (cost.sum() / count.sum())  # of a ratio of two sums
        left = 1 - len(count) / len(points)
        error = float(np.sqrt(left * (spread**2).sum()) / count.sum())
    return PathCosts(len(points), len(count), int(count.sum()), float(cost.sum()), error)
