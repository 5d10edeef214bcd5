"""Pictures: the catalogue of topological events, and what each metric makes of each.

    python benchmarks/picture_events.py [-o docs/events.png]

In the first, each panel shows the truth as a broad pale band, a tracing with one thing wrong as a
thin line, and below it some scores at a tolerance of 3 µm, in bold where below 1: these see the
event. An arrow to the right stands for the paths of the truth in the tracing, to the left for the
others. The second, `events_seen.png`, has a row for every score and a dot where it sees the event,
the larger the more it loses.
Printed as JSON: all scores, null where undefined or infinite.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the drawings and scores are those of the tests

from tests.graphs.events import Event  # noqa: E402
from tests.graphs.scores import CATALOGUE, SCORES  # noqa: E402
from topodelin.graphs import NeuriteGraph  # noqa: E402

COLUMNS = 3
LAYOUT = ConstrainedLayoutEngine(rect=(0, 0.025, 1, 0.97))  # room for the scores of the last row
TRUTH, TRACING = "#56b4e9", "#d55e00"
LABELS = {
    "quality": "quality",
    "nerl": "NERL",
    "kept": "kept",
    "true": "true",
    "apls there": "APLS→",
    "apls back": "APLS←",
    "tlts there": "TLTS→",
    "critical": "critical",
    "opt-j": "OPT-J",
    "opt-p": "OPT-P",
    "cldice": "clDice",
    "errors": "errors",
}
# Rows of the second picture, with a line between kinds of data.
ROWS = {
    "quality": "centreline_quality: quality",
    "esa": "spatial_distance: esa",
    "pds": "spatial_distance: pds",
    "nerl": "expected_run_length: normalised",
    "kept": "cable_connectivity: kept",
    "true": "cable_connectivity: true",
    "apls there": "apls: truth_to_predicted",
    "apls back": "apls: predicted_to_truth",
    "tlts there": "tlts: truth_paths",
    "tlts back": "tlts: predicted_paths",
    "opt-p": "path_score: f1",
    "marbles": "holes_and_marbles: f1",
    "opt-j": "junction_score: f1",
    "critical": "critical_nodes: f1",
    "junct": "junction_arms: correct, error",
    "diadem": "diadem: score",
    "betti": "betti_errors: errors",
    "errors": "find_errors: errors",
    "costs": "error_costs: costs",
    "cldice": "skeleton_overlap: cldice",
    "skeleton recall": "skeleton_overlap: recall",
    "voxel quality": "voxel_quality: quality",
    "mask betti": "mask_betti_errors: errors",
    "betti matching": "betti_matching: error",
    "iou": "confusion: iou",
    "rand split": "segment_agreement: rand_split",
    "rand merge": "segment_agreement: rand_merge",
    "nerl of labels": "run_length_of_labels: normalised",
}
FIRST_OF_MASKS, FIRST_OF_LABELS = "cldice", "rand split"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Draw, print and return the scores."""
    parser = argparse.ArgumentParser(description="Pictures of the topological events.")
    parser.add_argument("-o", "--output", default="docs/events.png")
    output = Path(parser.parse_args(arguments).output)
    scores = {
        name: {score: measure(event) for score, measure in SCORES.items()}
        for name, event in CATALOGUE.items()
    }
    for figure, path in (
        (panels(scores), output),
        (table(scores), output.with_stem(f"{output.stem}_seen")),
    ):
        figure.savefig(path, dpi=110, metadata={"Software": None})
    answer = {
        name: {
            LABELS.get(score, score): value if math.isfinite(value) else None
            for score, value in numbers.items()
        }
        for name, numbers in scores.items()
    }
    result = {"benchmark": "picture_events", "answer": answer, **provenance()}
    print(json.dumps(result, indent=2))
    return result


def panels(scores: dict[str, dict[str, float]]) -> Figure:
    """A drawing of each event with some scores below."""
    rows = -(-len(CATALOGUE) // COLUMNS)
    figure = Figure(figsize=(3.6 * COLUMNS, 1.95 * rows), layout=LAYOUT)
    axes = figure.subplots(rows, COLUMNS).ravel()
    for panel, (name, event) in zip(axes, CATALOGUE.items(), strict=False):
        draw(panel, event)
        panel.set_title(name)
        write(panel, scores[name])
    for panel in axes[len(CATALOGUE) :]:
        panel.axis("off")
    return figure


def draw(panel: Axes, event: Event) -> None:
    """The truth as a band and the tracing as a line."""
    add_lines(panel, event.truth, TRUTH, 7, 0.5)
    add_lines(panel, event.predicted, TRACING, 1.6, 1.0)
    panel.set(xlim=(-6, 106), ylim=(30, -4), aspect="equal")
    panel.axis("off")


def write(panel: Axes, numbers: dict[str, float]) -> None:
    """The scores in rows of four."""
    for place, (score, label) in enumerate(LABELS.items()):
        value, seen = numbers[score], numbers[score] < 1 - 1e-9
        text = f"{label} {value:.2f}" if score != "errors" else f"errors {round(1 - value)}"
        panel.text(
            0.02 + 0.25 * (place % 4),
            -0.06 - 0.2 * (place // 4),
            text,
            transform=panel.transAxes,
            fontsize=8,
            fontweight="bold" if seen else "normal",
            color="black" if seen else "#888888",
        )


def table(scores: dict[str, dict[str, float]]) -> Figure:
    """A row for each score, a column for each event, and a dot where the one sees the other.

    The dot is as large as what the score loses, up to 1.
    """
    names, rows = list(CATALOGUE), list(ROWS)
    if set(rows) != set(SCORES):
        raise ValueError(f"`ROWS` must name every score, got {set(rows) ^ set(SCORES)} too many")
    figure = Figure(figsize=(12.4, 8.4), layout="constrained")
    panel = figure.subplots()
    panel.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    panel.set_yticks(range(len(rows)), [ROWS[row] for row in rows], fontsize=9)
    panel.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    panel.spines[:].set_visible(False)
    for y, row in enumerate(rows):
        if y % 2 == 0:
            panel.axhspan(y - 0.5, y + 0.5, color="#f2f2f2", zorder=0)
        if row in (FIRST_OF_MASKS, FIRST_OF_LABELS):
            panel.axhline(y - 0.5, color="#888888", linewidth=1)
        for x, name in enumerate(names):
            value = scores[name][row]
            if math.isnan(value):
                panel.text(x, y, "–", ha="center", va="center", color="black")
            elif value < 1 - 1e-9:
                size = 3 + 7 * min(1.0, 1 - value) ** 0.5
                panel.plot(x, y, "o", color=TRACING, markersize=size)
    panel.set_xticks(range(len(names)), names, rotation=60, ha="left", rotation_mode="anchor")
    return figure


def add_lines(panel: Axes, graph: NeuriteGraph, colour: str, width: float, opacity: float) -> None:
    """The edges of a graph in the plane of the drawing."""
    lines = [graph.positions[edge][:, [2, 1]] for edge in graph.edges]
    panel.add_collection(
        LineCollection(lines, colors=colour, linewidths=width, alpha=opacity, capstyle="butt")
    )


if __name__ == "__main__":
    main()
