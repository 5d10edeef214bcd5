"""What `topodelin score` answers for one pair: the numbers that two things allow, and doubts."""

from dataclasses import dataclass, field
from typing import Any

from topodelin.cli.score_also import also_table, measure_also
from topodelin.cli.score_doubts import doubts_of
from topodelin.cli.score_files import Labels, Mask, Side
from topodelin.cli.score_options import ScoreOptions
from topodelin.graphs import (
    ExpectedRunLength,
    NeuriteGraph,
    SegmentAgreement,
    TracingScore,
    labels_at_nodes,
    run_length_of_labels,
    score_tracing,
    segment_agreement,
    split_long_edges,
)

NOTE = (
    "completeness to APLS: 1 is best, 0 worst, nan undefined. A match lies within {:g} µm.\n"
    "Errors per mm of the truth; µm is their length, 0 where only a join is missing."
)


@dataclass(frozen=True, eq=False)
class LabelScore:
    """Run lengths of a segmentation along a traced truth."""

    run_length: ExpectedRunLength

    def as_dict(self) -> dict[str, Any]:
        return {"run_length": self.run_length.as_dict()}

    def table(self) -> str:
        run = self.run_length
        return "\n".join(
            [
                f"run length    {run.normalised:.3f}   {run.expected_run_length:.1f} µm of "
                f"{run.best_run_length:.1f}",
                f"edges         {run.edge_accuracy:.3f}   correct; {run.split_edges} split, "
                f"{run.merged_edges} merged, {run.omitted_edges} omitted",
                f"labels        {run.splits} splits, {run.mergers} mergers "
                f"(on two trees for {run.merge_length:g} µm or more each)",
            ]
        )


@dataclass(frozen=True, eq=False)
class SegmentScore:
    """Agreement of two label volumes."""

    segments: SegmentAgreement

    def as_dict(self) -> dict[str, Any]:
        return {"segments": self.segments.as_dict()}

    def table(self) -> str:
        found = self.segments
        return "\n".join(
            [
                f"Rand          split {found.rand_split:.3f}, merge {found.rand_merge:.3f}   "
                "1 is best",
                f"VOI (bits)    split {found.voi_split:.3f}, merge {found.voi_merge:.3f}   "
                "0 is best",
                f"Rand error    {found.adapted_rand_error:.3f}   adapted, 0 is best",
                f"judged on the {found.voxels} voxels that are not 0 in the truth",
            ]
        )


@dataclass(frozen=True, eq=False)
class Verdict:
    """What two files score: the metrics always measured, those on request, and doubts."""

    truth: Side
    traced: Side
    score: TracingScore | LabelScore | SegmentScore
    also: dict[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Every number by name, ready for JSON."""
        also = {name: found.as_dict() for name, found in self.also.items()}
        sides = {}
        for name, side in (("truth", self.truth), ("traced", self.traced)):
            sides[f"{name}_read_as"] = type(side).__name__.lower()
            sides[f"{name}_nodes"] = None if isinstance(side, Labels) else len(side.graph)
        return {**sides, **self.score.as_dict(), **also, "warnings": list(self.doubts)}

    def table(self) -> str:
        """What was read, then the numbers."""
        sides = f"truth     {_described(self.truth)}\ntraced    {_described(self.traced)}"
        parts = [sides, self.score.table(), also_table(self.also)]
        if isinstance(self.score, TracingScore):
            parts.append(NOTE.format(self.score.quality.tolerance))
        return "\n\n".join(part for part in parts if part)


def judge(truth: Side, traced: Side, options: ScoreOptions) -> Verdict:
    """The metrics that two things allow: tracings, labels along a tracing, or two label volumes."""
    also = measure_also(options.also_names, truth, traced, options.tolerance_um)
    score = _score(truth, traced, options)
    doubts = doubts_of(truth, traced, options.tolerance_um)
    if isinstance(score, TracingScore):
        doubts += score.doubts
    return Verdict(truth, traced, score, also, tuple(doubts))


def _score(
    truth: Side, traced: Side, options: ScoreOptions
) -> TracingScore | LabelScore | SegmentScore:
    if isinstance(truth, Labels):
        return SegmentScore(_agreement(truth, traced))
    if isinstance(traced, Labels):
        return LabelScore(_run_length(truth.graph, traced, options))
    return score_tracing(
        truth.graph,
        traced.graph,
        tolerance=options.tolerance_um,
        step=options.step_um,
        starts=options.apls_starts or "all",
    )


def _agreement(truth: Labels, traced: Side) -> SegmentAgreement:
    if not isinstance(traced, Labels):
        raise ValueError(
            f"{truth.path}: a truth of labels can only be compared with labels; add --volumes mask "
            "to read it as one mask"
        )
    if truth.values.shape != traced.values.shape:
        raise ValueError(
            f"{traced.path}: label volumes must have one shape, {truth.values.shape} as "
            f"{truth.path}, got {traced.values.shape}; crop or resample it"
        )
    return segment_agreement(truth.values, traced.values)


def _run_length(truth: NeuriteGraph, traced: Labels, options: ScoreOptions) -> ExpectedRunLength:
    step = min(traced.spacing) if options.step_um is None else options.step_um
    fine = split_long_edges(truth, step).graph
    labels = labels_at_nodes(fine, traced.values, spacing=traced.spacing)
    return run_length_of_labels(fine, labels, merge_length=4 * options.tolerance_um)


def _described(side: Side) -> str:
    if isinstance(side, Labels):
        return f"{side.path}: labels, {_size(side)}"
    trees = len(set(side.graph.components[side.graph.edges[:, 0]].tolist()))
    graph = f"{len(side.graph)} nodes, {trees} connected {'part' if trees == 1 else 'parts'}"
    if isinstance(side, Mask):
        return f"{side.path}: mask, {_size(side)}; its centreline has {graph}"
    files = f"{len(side.files)} files, " if len(side.files) > 1 else ""
    return f"{side.path}: {files}{graph}"


def _size(side: Mask | Labels) -> str:
    voxels, spacing = (
        " x ".join(f"{number:g}" for number in row) for row in (side.values.shape, side.spacing)
    )
    return f"{voxels} voxels of {spacing} µm"
