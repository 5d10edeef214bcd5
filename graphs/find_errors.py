"""Where a tracing is wrong: gaps, false joins, missing and superfluous branches, displacement.

The truth is followed along the tracing, and the tracing along the truth. Where the truth goes on
and the tracing does not, or does so only far away along itself, there is a gap; a stretch of truth
that nothing follows up to its end is a missing branch. The other way round these are bridges
(false joins) and spurious branches. A stretch of either that runs beside a stretch of the other,
both without a match, is one displaced stretch and not two errors.

Breaks shorter than twice the tolerance, which no measure of length can see, are found too: the
places that two neighbouring points of the truth lie nearest to are then in two components of the
tracing, or joined only by a long way round.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_positive
from topodelin.graphs.matching import Matching, match
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.stretches import Stretch, stretches

KINDS = ("gap", "bridge", "missing_branch", "spurious_branch", "displaced")


@dataclass(frozen=True)
class TracingError:
    """One place to look at.

    Args:
        kind: one of `KINDS`.
        position: µm `(z, y, x)`, a point in its midst.
        length: µm of cable without a match: of the truth, and of the tracing for bridges and
            spurious branches. 0 where the two sides of a gap or bridge nearly touch.
        ends: where what is correct begins again, µm `(z, y, x)`; none for a neurite of its own.
        sides: for each end the number of its side; the other graph joins ends on one side.
        stretch: the cable between the ends, of the truth, or of the tracing for bridges and
            spurious branches.
    """

    kind: str
    position: tuple[float, float, float]
    length: float
    ends: tuple[tuple[float, float, float], ...]
    sides: tuple[int, ...] = field(compare=False, repr=False)
    stretch: NeuriteGraph = field(compare=False, repr=False)


@dataclass(frozen=True)
class TracingErrors:
    """All errors of a tracing, the longest of each kind first.

    Args:
        errors: the places.
        truth_length, predicted_length: µm.
        tolerance, step, min_length, slack, detour: the parameters.
    """

    errors: tuple[TracingError, ...]
    truth_length: float
    predicted_length: float
    tolerance: float
    step: float
    min_length: float
    slack: float
    detour: float

    def count(self, kind: str) -> int:
        """How many errors of one kind there are."""
        return self.counts[kind]

    @property
    def counts(self) -> dict[str, int]:
        """How many errors of each kind there are."""
        found = Counter(error.kind for error in self.errors)
        return {kind: found[kind] for kind in KINDS}

    @property
    def lengths(self) -> dict[str, float]:
        """µm of cable without a match in the errors of each kind."""
        return {kind: sum(e.length for e in self.errors if e.kind == kind) for kind in KINDS}

    @property
    def per_mm(self) -> dict[str, float]:
        """Errors of each kind for each mm of truth; NaN without truth."""
        mm = self.truth_length / 1000
        return {kind: n / mm if mm else float("nan") for kind, n in self.counts.items()}

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        known = self.truth_length > 0
        return {
            **{f"{kind}_count": n for kind, n in self.counts.items()},
            **{f"{kind}_um": length for kind, length in self.lengths.items()},
            **{f"{kind}_per_mm": n if known else None for kind, n in self.per_mm.items()},
            "truth_length_um": self.truth_length,
            "predicted_length_um": self.predicted_length,
            "tolerance_um": self.tolerance,
            "step_um": self.step,
            "min_length_um": self.min_length,
            "slack_um": self.slack,
            "detour": self.detour,
        }


def find_errors(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    step: float | None = None,
    min_length: float | None = None,
    slack: float | None = None,
    detour: float = 1.5,
) -> TracingErrors:
    """List the places where a tracing differs from the truth.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart the same neurite may lie in the two, µm.
        step: longest piece that is matched as a whole, µm; a quarter of the tolerance by default.
        min_length: µm; shorter missing, spurious and displaced stretches are passed over, and
            gaps that cut nothing off. The tolerance by default. A gap or a bridge between parts
            that are not joined otherwise counts whatever its length.
        slack: µm by which the way along the one graph may be longer than along the other, and
            the length from which a run on something else is more than a crossing; four
            tolerances by default.
        detour: factor by which that way may be longer.

    Graphs without edges never raise.
    """
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    step = tolerance / 4 if step is None else step
    min_length = tolerance if min_length is None else min_length
    slack = 4 * tolerance if slack is None else slack
    check_positive(tolerance=tolerance, step=step, slack=slack, detour=detour)
    there, back = (
        match(one, other, tolerance=tolerance, step=step, reach=3 * tolerance)
        for one, other in ((truth, predicted), (predicted, truth))
    )
    errors = []
    for matching, is_truth in ((there, True), (back, False)):
        beside = _beside_unmatched(matching, tolerance)
        for stretch in stretches(matching, foreign_length=slack, slack=slack, detour=detour):
            displaced = _runs_beside(stretch, beside, matching)
            kind = _kind(stretch, displaced, is_truth, min_length)
            if kind:
                errors.append(_error(kind, stretch, matching.pieces))
    errors.sort(key=lambda error: (KINDS.index(error.kind), -error.length, error.position))
    return TracingErrors(
        tuple(errors),
        truth.length,
        predicted.length,
        float(tolerance),
        float(step),
        float(min_length),
        float(slack),
        float(detour),
    )


def _kind(stretch: Stretch, displaced: bool, is_truth: bool, min_length: float) -> str:
    """What a stretch of the truth, or else of the tracing, is; nothing where it is no error."""
    if len(np.unique(stretch.sides)) > 1:
        return "gap" if is_truth else "bridge"
    if stretch.length < min_length:
        return ""
    if displaced:
        return "displaced" if is_truth else ""  # told once, from the side of the truth
    if not is_truth:
        return "spurious_branch"
    return "gap" if len(stretch.contacts) > 1 else "missing_branch"


def _beside_unmatched(matching: Matching, tolerance: float) -> np.ndarray:
    """(N,) whether a node without a match lies near cable of the other graph without a match."""
    near = np.flatnonzero(~matching.matched & (matching.edges >= 0))
    start, end = matching.other.edges[matching.edges[near]].T
    positions = matching.other.positions
    along = matching.fractions[near, None] * (positions[end] - positions[start])
    back = SegmentTree(matching.pieces).nearest(positions[start] + along, limit=tolerance + SLACK)
    beside = np.zeros(len(matching.pieces), dtype=bool)
    beside[near] = np.isinf(back.distances)
    return beside


def _runs_beside(stretch: Stretch, beside: np.ndarray, matching: Matching) -> bool:
    """Whether that is so for most of a stretch."""
    lost = stretch.nodes[~matching.matched[stretch.nodes]]
    return 2 * int(np.count_nonzero(beside[lost])) > len(lost)


def _error(kind: str, stretch: Stretch, pieces: NeuriteGraph) -> TracingError:
    ends = tuple(_point(pieces.positions[node]) for node in stretch.contacts)
    nodes, edges = np.unique(pieces.edges[stretch.edges], return_inverse=True)
    cable = NeuriteGraph(
        pieces.positions[nodes], edges.reshape(-1, 2), pieces.radii[nodes], pieces.kinds[nodes]
    )
    sides = tuple(stretch.sides.tolist())
    return TracingError(kind, _point(stretch.position), stretch.length, ends, sides, cable)


def _point(position: np.ndarray) -> tuple[float, float, float]:
    z, y, x = position.tolist()
    return z, y, x
