"""What `topodelin score` answers for two folders: a row for each pair, then all of them."""

from typing import Any

import numpy as np

from topodelin.cli.score_also import METRICS
from topodelin.cli.score_verdict import LabelScore, SegmentScore, Verdict
from topodelin.graphs import (
    Accumulator,
    Estimate,
    apls,
    betti_errors,
    cable_connectivity,
    centreline_quality,
    expected_run_length,
    find_errors,
    segment_agreement,
)

RESAMPLES = 200
COLLECTED = {  # field of a score -> metric that it is the result of
    "quality": centreline_quality,
    "connectivity": cable_connectivity,
    "run_length": expected_run_length,
    "paths": apls,
    "topology": betti_errors,
    "errors": find_errors,
    "segments": segment_agreement,
}
COLUMNS = {  # field of a score -> column, number; those of the fields that a score has are shown
    "quality": {"complete": "completeness", "correct": "correctness", "quality": "quality"},
    "connectivity": {"connect": "connectivity"},
    "run_length": {"run": "normalised_run_length"},
    "paths": {"APLS": "apls"},
    "errors": {"gaps/mm": "gap_per_mm", "bridges/mm": "bridge_per_mm"},
    "segments": {
        "Rand split": "rand_split",
        "Rand merge": "rand_merge",
        "VOI split": "voi_split",
        "VOI merge": "voi_merge",
        "Rand error": "adapted_rand_error",
    },
}
LABEL_COLUMNS = {"ERL µm": "expected_run_length_um", "splits": "splits", "mergers": "mergers"}
KINDS: dict[type, str] = {
    LabelScore: "labels along a tracing",
    SegmentScore: "two label volumes",
}
WIDE = 11
ENDS = {"pooled": "pooled", "  from": "pooled_low", "  to": "pooled_high", "mean": "mean"}
NOTE = (
    "pooled: lengths and counts of all pairs together; from, to: where 95 % of such pools lie,\n"
    "drawn again from these pairs; mean: every pair counts the same. Rates are per mm of the truth."
)


class Folder:
    """The verdicts on all pairs of two folders."""

    def __init__(self) -> None:
        self.pairs: dict[str, dict[str, Any]] = {}  # all numbers; voxels and graphs are let go
        self._rows: dict[str, dict[str, dict[str, Any]]] = {}
        self._kind = ""
        self._collected: dict[str, Accumulator] = {}

    def add(self, name: str, verdict: Verdict) -> None:
        """Keep the verdict on one pair; all must be of one kind."""
        kind = KINDS.get(type(verdict.score), "two tracings")
        if self.pairs and kind != self._kind:
            raise ValueError(
                f"{verdict.traced.path}: this pair gives {kind}, the pairs before it {self._kind}; "
                "add --volumes mask or --volumes labels, or score them apart"
            )
        self._kind = kind
        results = _results(verdict)
        self.pairs[name] = verdict.as_dict()
        self._rows[name] = {metric: result.as_dict() for metric, result in results.items()}
        for metric, result in results.items():
            collect = COLLECTED[metric] if metric in COLLECTED else METRICS[metric].metric
            self._collected.setdefault(metric, Accumulator(collect)).add(result)

    def as_dict(self, *, seed: int = 0) -> dict[str, Any]:
        """Every pair, and for each metric every number pooled and averaged, with intervals."""
        return {
            "pairs": self.pairs,
            "summary": {
                metric: {name: _as_dict(estimate) for name, estimate in numbers.items()}
                for metric, numbers in self._summary(seed).items()
            },
            "interval_level": 0.95,
            "seed": seed,
        }

    def table(self) -> str:
        """One row for each pair, then all of them pooled, with an interval, and averaged."""
        columns, summary = self._columns(), self._summary(0)
        estimates = [summary[metric].get(key) for _, metric, key in columns]
        rows = [
            (name, [found[metric].get(key) for _, metric, key in columns])
            for name, found in self._rows.items()
        ]
        for name, end in ENDS.items():
            rows.append((name, [found and getattr(found, end) for found in estimates]))
        wide = max(len(name) for name, _ in rows) + 2
        widths = [max(WIDE, len(column) + 2) for column, _, _ in columns]
        lines = [
            " " * wide + "".join(f"{c:>{w}}" for (c, _, _), w in zip(columns, widths, strict=True))
        ]
        for name, numbers in rows:
            cells = zip((np.nan if n is None else n for n in numbers), widths, strict=True)
            lines.append(f"{name:{wide}}" + "".join(f"{number:{w}.3f}" for number, w in cells))
        return "\n".join([*lines, "", NOTE])

    def _columns(self) -> list[tuple[str, str, str]]:
        """Name, metric and number of each column of the table."""
        columns = []
        for metric in self._collected:
            shown = COLUMNS.get(metric, {})
            if metric in METRICS:
                shown = {METRICS[metric].headlines[0]: METRICS[metric].headlines[0]}
            columns += [(column, metric, key) for column, key in shown.items()]
            if metric == "run_length" and "quality" not in self._collected:
                columns += [(column, metric, key) for column, key in LABEL_COLUMNS.items()]
        return columns

    def _summary(self, seed: int) -> dict[str, dict[str, Estimate]]:
        return {
            metric: collected.summary(resamples=RESAMPLES, seed=seed)
            for metric, collected in self._collected.items()
        }


def _results(verdict: Verdict) -> dict[str, Any]:
    """The results of all metrics of one pair by name."""
    always = {name: getattr(verdict.score, name, None) for name in COLLECTED}
    return {name: found for name, found in always.items() if found is not None} | verdict.also


def _as_dict(estimate: Estimate) -> dict[str, Any]:
    return {
        "pooled": _known(estimate.pooled),
        "pooled_interval": [_known(estimate.pooled_low), _known(estimate.pooled_high)],
        "mean": _known(estimate.mean),
        "mean_interval": [_known(estimate.mean_low), _known(estimate.mean_high)],
    }


def _known(number: float) -> float | None:
    return None if np.isnan(number) else number
