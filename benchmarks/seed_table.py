"""The table of docs/reproduce.md, made from the records in benchmarks/results/."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from provenance import ROOT

RESULTS = ROOT / "benchmarks" / "results"
HEADER = (
    "experiment",
    "tested on",
    "score",
    "study",
    "here",
    "weights",
    "steps",
    "CPU minutes",
    "beside the size, changed",
)
NAMES = {
    "iou": "IoU",
    "dice": "Dice",
    "pixel_error": "pixel error",
    "pixel_rand_error": "pixel Rand error",
    "region_rand_error": "region Rand error",
    "miou": "mean IoU",
    "miou_subset": "mean IoU of organelles",
    "f1": "macro F1",
    "average_precision": "average precision",
    "kappa": "kappa",
    "crf_f1": "macro F1 after the CRF",
    "crf_kappa": "kappa after the CRF",
    "quality": "quality",
    "completeness": "completeness",
    "correctness": "correctness",
    "validation_loss": "squared error",
}
SHOWN = (  # the first row of names that a record has all of
    ("iou", "dice", "pixel_error", "pixel_rand_error", "region_rand_error"),
    ("miou", "miou_subset"),
    ("f1", "average_precision", "kappa", "crf_f1", "crf_kappa"),
    ("quality", "completeness", "correctness"),
    ("validation_loss",),
)


def table(results: Path, order: Iterable[str]) -> str:
    """Markdown: one row an experiment, the study's figures beside ours."""
    files = [results / f"{name}.json" for name in sorted(order)]
    records = [json.loads(file.read_text("utf-8")) for file in files if file.exists()]
    lines = [HEADER, ("---",) * len(HEADER), *map(row, records)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def row(record: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a record."""
    scores, published = record["scores"], record["published"]
    shown = next(names for names in SHOWN if all(name in scores for name in names))
    tested = record["parts"].get("test", record["parts"]["validation"])
    return (
        f"`{record['experiment']}`",
        ", ".join(place.removesuffix(".tif").replace(".tif ", " ") for place in tested),
        "<br>".join(NAMES[name] for name in shown),
        "<br>".join(number(published.get(name)) for name in shown),
        "<br>".join(number(scores[name]) for name in shown),
        f"{record['weights']:,}",
        str(record["steps"]),
        f"{record['cpu_minutes']:.1f}",
        record["note"],
    )


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
