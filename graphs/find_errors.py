"""Where a tracing is wrong: gaps, false joins, missing and superfluous branches, displacement.

The truth is followed along the tracing, and the tracing along the truth. Where the truth goes on
and the tracing does not, or does so only far away along itself, there is a gap; a stretch of truth
that nothing follows up to its end is a missing branch. The other way round these are bridges
(false joins) and spurious branches. A stretch of either that runs beside a stretch of the other,
both without a match, is one displaced stretch and not two errors.

Two kinds of error leave no length to measure, and are found all the same. A break shorter than
twice the tolerance: the places that two neighbouring points of the truth lie nearest to are then
in two components of the tracing, or joined only by a long way round. And a loop of the truth that
the tracing follows everywhere without closing it, or the reverse: `lost_loops`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_positive
from topodelin.graphs.matching import Matching, match
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.pooling import listed, pooled_by
from topodelin.graphs.stretches import Stretch, stretches

KINDS = ("gap", "bridge", "missing_branch", "spurious_branch", "displaced")
OF_TRUTH = ("gap", "missing_branch", "displaced")  # what the tracing lacks there
REACH = 3  # tolerances within which a displaced stretch is looked for


@dataclass(frozen=True)
class TracingError:
    """One place to look at.

    Args:
        kind: one of `KINDS`.
        position: µm `(z, y, x)`, a point in its midst.
        length: µm of cable without a match: of the truth, and of the tracing for bridges and
            spurious branches. 0 where the two sides of a gap or bridge nearly touch.
        parts: µm, the longest first. Of a gap the cable of the truth on each part of the tracing
            that should be one there; of a bridge the cable of the tracing on each neurite of the
            truth that it joins. One number where these are joined elsewhere as well, and for a
            branch what it hangs on; none for a neurite of its own.
        ends: where what is correct begins again, µm `(z, y, x)`; none for a neurite of its own.
        sides: for each end the number of its side; the other graph joins ends on one side.
        stretch: the cable between the ends, of the truth, or of the tracing for bridges and
            spurious branches.
        pieces: its edges, rows of the edges of that graph after `split_long_edges(graph, step)`.
        instead: edges of the tracing, counted likewise, that run where the stretch of the truth
            should; they go when it is repaired.
    """

    kind: str
    position: tuple[float, float, float]
    length: float
    parts: tuple[float, ...]
    ends: tuple[tuple[float, float, float], ...]
    sides: tuple[int, ...] = field(compare=False, repr=False)
    stretch: NeuriteGraph = field(compare=False, repr=False)
    pieces: np.ndarray = field(compare=False, repr=False)
    instead: np.ndarray = field(compare=False, repr=False)

    @property
    def cable(self) -> float:
        """µm that it concerns: what a gap cuts off and a bridge joins to the longest of their
        parts, so 0 where these are joined elsewhere as well; of the others their own length.
        """
        return sum(self.parts[1:]) if self.kind in ("gap", "bridge") else self.length

    def as_dict(self) -> dict[str, object]:
        """Everything but the stretch by name, ready for JSON."""
        return {
            "kind": self.kind,
            "position_um": list(self.position),
            "length_um": self.length,
            "cable_um": self.cable,
            "parts_um": list(self.parts),
            "ends_um": [list(end) for end in self.ends],
            "sides": list(self.sides),
        }


@dataclass(frozen=True)
class TracingErrors:
    """All errors of a tracing, the longest of each kind first.

    Args:
        errors: the places.
        truth_length, predicted_length: µm.
        tolerance, step, min_length, slack, detour: the parameters.
    """

    errors: tuple[TracingError, ...] = field(metadata=pooled_by(listed))
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
    errors: list[TracingError] = []
    for one, other in ((truth, predicted), (predicted, truth)):
        matching = match(one, other, tolerance=tolerance, step=step, reach=REACH * tolerance)
        found = stretches(
            matching,
            foreign_length=slack,
            slack=slack,
            detour=detour,
            shortest_loop=2 * tolerance,
            tolerance=tolerance,
        )
        beside = _beside_unmatched(matching, one, tolerance)
        aside = [_runs_beside(stretch, beside, matching) for stretch in found]
        if one is predicted:  # what is displaced is told once, from the side of the truth
            errors, told = _with_instead(errors, found, aside, matching.pieces, tolerance)
            found = [s for s, known in zip(found, told, strict=True) if not known]
            aside = [False] * len(found)
        cable = _CableTable(matching)
        for stretch, displaced in zip(found, aside, strict=True):
            kind = _kind(stretch, displaced, one is truth, min_length)
            if kind:
                errors.append(_error(kind, stretch, cable))
        del matching, cable, found, beside  # a gigabyte for a million nodes
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
    if stretch.length < min_length or not stretch.length:
        return ""
    if displaced:
        return "displaced"
    if not is_truth:
        return "spurious_branch"
    return "gap" if len(stretch.contacts) > 1 else "missing_branch"


def _beside_unmatched(matching: Matching, graph: NeuriteGraph, tolerance: float) -> np.ndarray:
    """(N,) whether a node without a match lies near cable of the other graph without a match."""
    near = np.flatnonzero(~matching.matched & (matching.edges >= 0))
    start, end = matching.other.edges[matching.edges[near]].T
    positions = matching.other.positions
    along = matching.fractions[near, None] * (positions[end] - positions[start])
    beside = np.zeros(len(matching.pieces), dtype=bool)
    if len(near):
        back = SegmentTree(graph).nearest(positions[start] + along, limit=tolerance + SLACK)
        beside[near] = np.isinf(back.distances)
    return beside


def _runs_beside(stretch: Stretch, beside: np.ndarray, matching: Matching) -> bool:
    """Whether that is so for most of a stretch."""
    lost = stretch.nodes[~matching.matched[stretch.nodes]]
    return 2 * int(np.count_nonzero(beside[lost])) > len(lost)


def _with_instead(
    errors: Sequence[TracingError],
    found: Sequence[Stretch],
    aside: Sequence[bool],
    pieces: NeuriteGraph,
    tolerance: float,
) -> tuple[list[TracingError], list[bool]]:
    """The errors of the truth with the cable of the tracing beside them, and which that is."""
    told, instead = [False] * len(found), [[error.instead] for error in errors]
    known = [k for k, error in enumerate(errors) if error.length > 0]
    if not known or not any(aside):
        return list(errors), told
    owner = np.repeat(known, [len(errors[k].stretch) for k in known])
    tree = KDTree(np.concatenate([errors[k].stretch.positions for k in known]))
    for index in np.flatnonzero(aside).tolist():
        stretch = found[index]
        if len(np.unique(stretch.sides)) > 1:
            continue
        apart, near = tree.query(pieces.positions[pieces.edges[stretch.edges]].mean(axis=1))
        told[index] = float(np.median(apart)) <= REACH * tolerance
        if told[index]:
            for k in np.unique(owner[near]).tolist():
                instead[k].append(stretch.edges[owner[near] == k])
    changed = [
        replace(error, instead=np.concatenate(rows))
        for error, rows in zip(errors, instead, strict=True)
    ]
    return changed, told


class _CableTable:
    """How much cable of each component of a graph lies on each component of the other."""

    def __init__(self, matching: Matching) -> None:
        self.pieces, self._label = matching.pieces, matching.components
        pieces = self.pieces
        cable = np.bincount(pieces.edges.ravel(), np.repeat(pieces.lengths, 2) / 2, len(pieces))
        self._own = pieces.components.astype(np.int64)
        self._labels = int(self._label.max(initial=0)) + 1
        here = matching.matched
        pairs = self._own[here] * self._labels + self._label[here]
        self._pairs, row = np.unique(pairs, return_inverse=True)
        self._cable = np.bincount(row, weights=cable[here], minlength=len(self._pairs))

    def parts(self, stretch: Stretch) -> tuple[float, ...]:
        """Of the component of a stretch, on each component of the other that it touches, µm."""
        labels = np.unique(self._label[stretch.contacts])
        if not len(labels):
            return ()
        pairs = self._own[stretch.contacts[0]] * self._labels + labels
        found = self._cable[np.searchsorted(self._pairs, pairs)]
        return tuple(np.sort(found)[::-1].tolist())


def _error(kind: str, stretch: Stretch, cable: _CableTable) -> TracingError:
    pieces = cable.pieces
    ends = tuple(_point(pieces.positions[node]) for node in stretch.contacts)
    nodes, edges = np.unique(pieces.edges[stretch.edges], return_inverse=True)
    return TracingError(
        kind,
        _point(stretch.position),
        stretch.length,
        cable.parts(stretch),
        ends,
        tuple(stretch.sides.tolist()),
        NeuriteGraph(
            pieces.positions[nodes], edges.reshape(-1, 2), pieces.radii[nodes], pieces.kinds[nodes]
        ),
        stretch.edges,
        np.zeros(0, dtype=np.int64),
    )


def _point(position: np.ndarray) -> tuple[float, float, float]:
    z, y, x = position.tolist()
    return z, y, x
