r"""Too long or too short: how many paths of one graph the other keeps (TLTS).

For each pair of control points that one graph joins by a path of length $L$, the other graph's
path between the nearest places has length $L'$. The pair is

* *correct* if $|L' - L| \le 0.05\,L$, *too long* or *too short* otherwise;
* *infeasible* if there is no such path, or no place within the tolerance.

The shares add up to one. The paths of the truth show gaps (infeasible, too long) and short cuts
(too short); they do not see superfluous branches and false joins, which the paths of the tracing
show, looked for in the truth.

References:
    J. D. Wegner, J. A. Montoya-Zegarra, K. Schindler. A higher-order CRF model for road network
    extraction. CVPR 2013. Programs in circulation draw pairs at random and follow the path with
    the fewest nodes; here all pairs are judged, and paths are shortest in µm.
"""

from dataclasses import dataclass, field

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
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
class PathShares:
    """Paths of one graph by what became of them in the other; each is counted from both ends.

    Args:
        correct, too_long, too_short, infeasible: numbers of paths.
        points: control points.
        starts: how many of them the paths started from.
        standard_error: of `correct_share`, from the spread between starts; 0 where all were used,
            NaN for a single one.
    """

    correct: int
    too_long: int
    too_short: int
    infeasible: int
    points: int
    starts: int
    standard_error: float = field(metadata=pooled_by(error_of_mean_over("paths")))

    @property
    def paths(self) -> int:
        """All of them."""
        return self.correct + self.too_long + self.too_short + self.infeasible

    @property
    def correct_share(self) -> float:
        """Share of correct paths, 0 to 1; NaN where there was none to judge."""
        return ratio(self.correct, self.paths)

    @property
    def too_long_share(self) -> float:
        """Share of paths that are too long, 0 to 1; NaN where there was none to judge."""
        return ratio(self.too_long, self.paths)

    @property
    def too_short_share(self) -> float:
        """Share of paths that are too short, 0 to 1; NaN where there was none to judge."""
        return ratio(self.too_short, self.paths)

    @property
    def infeasible_share(self) -> float:
        """Share of paths that do not exist, 0 to 1; NaN where there was none to judge."""
        return ratio(self.infeasible, self.paths)


@dataclass(frozen=True)
class PathLengthAgreement:
    """TLTS in both directions, with the parameters.

    Args:
        truth_paths: the paths of the truth, looked for in the tracing.
        predicted_paths: the paths of the tracing, looked for in the truth.
        tolerance, interval, min_path, slack: the parameters; an interval of NaN means the nodes.
    """

    truth_paths: PathShares
    predicted_paths: PathShares
    tolerance: float
    interval: float
    min_path: float
    slack: float

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a share is undefined."""
        return json_ready(
            {
                "tlts_correct": self.truth_paths.correct_share,
                "tlts_too_long": self.truth_paths.too_long_share,
                "tlts_too_short": self.truth_paths.too_short_share,
                "tlts_infeasible": self.truth_paths.infeasible_share,
                "tlts_standard_error": self.truth_paths.standard_error,
                "tlts_paths": self.truth_paths.paths,
                "tlts_points": self.truth_paths.points,
                "tlts_starts": self.truth_paths.starts,
                "tlts_predicted_correct": self.predicted_paths.correct_share,
                "tlts_predicted_too_long": self.predicted_paths.too_long_share,
                "tlts_predicted_too_short": self.predicted_paths.too_short_share,
                "tlts_predicted_infeasible": self.predicted_paths.infeasible_share,
                "tlts_predicted_standard_error": self.predicted_paths.standard_error,
                "tlts_predicted_paths": self.predicted_paths.paths,
                "tlts_predicted_points": self.predicted_paths.points,
                "tlts_predicted_starts": self.predicted_paths.starts,
                "tolerance_um": self.tolerance,
                "interval_um": self.interval,
                "min_path_um": self.min_path,
                "slack": self.slack,
            }
        )


def tlts(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    interval: float | None = 20.0,
    min_path: float = 0.0,
    slack: float = 0.05,
    starts: Starts = None,
) -> PathLengthAgreement:
    """Judge the paths between control points, in both directions.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm. Smooth a graph made of voxels first
            (`smooth_branches`): its paths are up to 10 % too long.
        tolerance: how far a control point may lie from the other graph, µm.
        interval: distance of the control points along a neurite, µm; None takes the nodes.
        min_path: shorter paths are not judged, µm.
        slack: relative difference of length that is still correct.
        starts: number of control points, evenly spread, that paths start from, or "all"; by
            default all where that makes at most 25 million paths, else a part of at least 1000
            and a standard error, as in `apls`.

    Without truth the shares of its paths are NaN; without a tracing all paths are infeasible.
    """
    check_positive(tolerance=tolerance, **({} if interval is None else {"interval": interval}))
    check_not_negative(min_path=min_path, slack=slack)
    check_starts(starts)
    there, back = (NodeDistances(contract_from_fixed_nodes(graph)) for graph in (truth, predicted))
    shares = []
    for one, other in ((there, back), (back, there)):
        paths = control_paths(one, other, interval=interval, tolerance=tolerance)
        shares.append(_shares(paths, paths.starts(starts), min_path, slack))
    return PathLengthAgreement(
        *shares,
        tolerance=float(tolerance),
        interval=float("nan") if interval is None else float(interval),
        min_path=float(min_path),
        slack=float(slack),
    )


def _shares(
    paths: ControlPaths, starts: np.ndarray | None, min_path: float, slack: float
) -> PathShares:
    points = len(paths)
    kinds = [np.zeros((4, 0), dtype=np.int64)]
    for block in paths.compared(starts):
        expected, found = block.expected, block.found
        judged = np.isfinite(expected) & (expected >= max(min_path, SLACK))
        lost = judged & np.isinf(found)
        longer = judged & (found > expected * (1 + slack) + SLACK) & ~lost
        shorter = judged & (found < expected * (1 - slack) - SLACK)
        kinds.append(np.stack([part.sum(axis=1) for part in (judged, longer, shorter, lost)]))
    judged, longer, shorter, lost = np.concatenate(kinds, axis=1)
    correct = judged - longer - shorter - lost
    used = points if starts is None else len(starts)
    error = 0.0 if starts is None else ratio_error(correct, judged, points)
    times = 2 if starts is None else 1  # each path is counted from both of its ends
    counts = (int(times * part.sum()) for part in (correct, longer, shorter, lost))
    return PathShares(*counts, points=points, starts=used, standard_error=error)
