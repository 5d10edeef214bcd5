"""What `topodelin score` answers for one pair of files and for a folder of them."""

from dataclasses import dataclass

import numpy as np

from topodelin.cli.score_files import Labels
from topodelin.graphs import (
    Accumulator,
    ExpectedRunLength,
    NeuriteGraph,
    SegmentAgreement,
    TracingScore,
    apls,
    cable_connectivity,
    centreline_quality,
    error_costs,
    expected_run_length,
    find_errors,
    labels_at_nodes,
    run_length_of_labels,
    score_tracing,
    segment_agreement,
    split_long_edges,
    write_errors_apo,
    write_errors_csv,
)

HEADLINES = {  # column -> metric, number
    "complete": ("quality", "completeness"),
    "correct": ("quality", "correctness"),
    "quality": ("quality", "quality"),
    "connect": ("connectivity", "connectivity"),
    "run": ("run_length", "normalised_run_length"),
    "APLS": ("paths", "apls"),
    "gaps/mm": ("errors", "gap_per_mm"),
    "bridges/mm": ("errors", "bridge_per_mm"),
}


@dataclass(frozen=True, eq=False)
class LabelScore:
    """Run lengths of a segmentation along a traced truth."""

    run_length: ExpectedRunLength

    def as_dict(self) -> dict[str, object]:
        return {"run_length": self.run_length.as_dict(), "warnings": []}

    def table(self) -> str:
        run = self.run_length
        return "\n".join(
            [
                f"run length    {run.normalised:.3f}   {run.expected_run_length:.1f} µm of "
                f"{run.best_run_length:.1f}",
                f"edges         {run.edge_accuracy:.3f}   correct; {run.split_edges} split, "
                f"{run.merged_edges} merged, {run.omitted_edges} omitted",
                f"labels        {run.splits} splits, {run.mergers} mergers",
            ]
        )


@dataclass(frozen=True, eq=False)
class SegmentScore:
    """Agreement of two label volumes."""

    agreement: SegmentAgreement

    def as_dict(self) -> dict[str, object]:
        return {"segments": self.agreement.as_dict(), "warnings": []}

    def table(self) -> str:
        found = self.agreement
        return "\n".join(
            [
                f"Rand          split {found.rand_split:.3f}, merge {found.rand_merge:.3f}",
                f"VOI (bits)    split {found.voi_split:.3f}, merge {found.voi_merge:.3f}",
                f"Rand error    {found.adapted_rand_error:.3f}   adapted",
            ]
        )


def judge(
    truth: NeuriteGraph | Labels,
    traced: NeuriteGraph | Labels,
    *,
    tolerance: float,
    step: float | None,
    starts: int | None,
) -> TracingScore | LabelScore | SegmentScore:
    """The metrics that two things allow: tracings, labels along a tracing, or two label volumes."""
    if isinstance(traced, NeuriteGraph):
        if isinstance(truth, Labels):
            raise ValueError(
                "a truth of labels can only be compared with labels; add --volumes mask to read "
                "it as one mask"
            )
        return score_tracing(truth, traced, tolerance=tolerance, step=step, starts=starts)
    if isinstance(truth, Labels):
        return SegmentScore(segment_agreement(truth.volume, traced.volume))
    fine = split_long_edges(truth, min(traced.spacing) if step is None else step).graph
    labels = labels_at_nodes(fine, traced.volume, spacing=traced.spacing)
    return LabelScore(run_length_of_labels(fine, labels, merge_length=4 * tolerance))


def write_errors(
    path: str,
    truth: NeuriteGraph,
    traced: NeuriteGraph,
    score: TracingScore,
    *,
    spacing: tuple[float, float, float],
) -> None:
    """The errors of a tracing from the most expensive on, as .apo or .csv."""
    costs = error_costs(truth, traced, score.errors)
    if path.lower().endswith(".apo"):
        write_errors_apo(path, costs.errors, spacing=spacing)
    else:
        write_errors_csv(path, costs.errors, costs=costs.costs)


def write_picture(
    path: str, truth: NeuriteGraph, traced: NeuriteGraph, score: TracingScore
) -> None:
    """Truth, tracing and errors in three projections, as PNG."""
    from topodelin.report.error_picture import error_picture

    errors = error_costs(truth, traced, score.errors).errors
    with open(path, "wb") as file:
        file.write(error_picture(truth, traced, errors))


class Folder:
    """The scores of all pairs of two folders."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.scores: list[TracingScore] = []
        self._collected = {
            "quality": Accumulator(centreline_quality),
            "connectivity": Accumulator(cable_connectivity),
            "run_length": Accumulator(expected_run_length),
            "paths": Accumulator(apls),
            "errors": Accumulator(find_errors),
        }

    def add(self, name: str, score: TracingScore) -> None:
        """Keep the score of one pair."""
        self.names.append(name)
        self.scores.append(score)
        for metric, collected in self._collected.items():
            collected.add(getattr(score, metric))

    def as_dict(self, *, seed: int = 0) -> dict[str, object]:
        """Every pair, and for each metric every number pooled and averaged, with intervals."""
        summary = {}
        for metric, collected in self._collected.items():
            estimates = collected.summary(resamples=200, seed=seed)
            summary[metric] = {
                name: {
                    "pooled": _known(estimate.pooled),
                    "pooled_interval": [
                        _known(estimate.pooled_low),
                        _known(estimate.pooled_high),
                    ],
                    "mean": _known(estimate.mean),
                    "mean_interval": [_known(estimate.mean_low), _known(estimate.mean_high)],
                }
                for name, estimate in estimates.items()
            }
        scores = zip(self.names, self.scores, strict=True)
        return {
            "pairs": {name: score.as_dict() for name, score in scores},
            "summary": summary,
            "interval_level": 0.95,
            "seed": seed,
        }

    def table(self) -> str:
        """One row for each pair, then all of them pooled and averaged."""
        wide = max(len(name) for name in [*self.names, "pooled"]) + 2
        rows = [f"{'':{wide}}" + "".join(f"{column:>11}" for column in HEADLINES)]
        for name, score in zip(self.names, self.scores, strict=True):
            numbers = [getattr(score, metric).as_dict()[key] for metric, key in HEADLINES.values()]
            rows.append(_row(name, wide, [np.nan if n is None else n for n in numbers]))
        computed = {name: found.compute() for name, found in self._collected.items()}
        for name, end in (("pooled", ""), ("mean", "_mean")):
            numbers = [computed[metric][key + end] for metric, key in HEADLINES.values()]
            rows.append(_row(name, wide, numbers))
        return "\n".join(rows)


def _row(name: str, wide: int, numbers: list[float]) -> str:
    return f"{name:{wide}}" + "".join(f"{number:11.3f}" for number in numbers)


def _known(number: float) -> float | None:
    return None if np.isnan(number) else number
