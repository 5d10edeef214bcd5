"""Picture: the catalogue of topological events, and what each metric makes of each.

    python benchmarks/picture_events.py [-o docs/events.png]

Each panel shows the truth as a broad pale band, a tracing with one thing wrong as a thin line, and
below it the scores at a tolerance of 3 µm, in bold where below 1: the metrics that see the event.
An arrow to the right stands for the paths of the truth in the tracing, to the left for the others.
Printed as JSON: the scores.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the drawings are those of the tests

from tests.graphs.events import EVENTS, TOLERANCE, Event  # noqa: E402
from topodelin.graphs import NeuriteGraph, score_tracing, tlts  # noqa: E402

COLUMNS = 3
TRUTH, TRACING = "#56b4e9", "#d55e00"


def scores(event: Event) -> dict[str, float]:
    """Every score that is 1 at best, of one event."""
    found = score_tracing(event.truth, event.predicted, tolerance=TOLERANCE)
    paths = tlts(event.truth, event.predicted, tolerance=TOLERANCE)
    return {
        "quality": found.quality.quality,
        "NERL": found.run_length.normalised,
        "kept": found.connectivity.kept,
        "true": found.connectivity.true,
        "APLS→": found.paths.truth_to_predicted,
        "APLS←": found.paths.predicted_to_truth,
        "TLTS→": paths.truth_paths.correct_share,
        "errors": float(len(found.errors.errors)),
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Draw, print and return the scores."""
    parser = argparse.ArgumentParser(description="Picture of the topological events.")
    parser.add_argument("-o", "--output", default="docs/events.png")
    options = parser.parse_args(arguments)
    answer = {name: scores(event) for name, event in EVENTS.items()}
    rows = -(-len(EVENTS) // COLUMNS)
    figure = Figure(figsize=(3.6 * COLUMNS, 1.75 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS).ravel()
    for panel, (name, event) in zip(axes, EVENTS.items(), strict=False):
        draw(panel, name, event, answer[name])
    for panel in axes[len(EVENTS) :]:
        panel.axis("off")
    figure.savefig(options.output, dpi=110, metadata={"Software": None})
    result = {"benchmark": "picture_events", "answer": answer, **provenance()}
    print(json.dumps(result, indent=2))
    return result


def draw(panel: Axes, name: str, event: Event, numbers: dict[str, float]) -> None:
    """One event and its scores."""
    add_lines(panel, event.truth, TRUTH, 7, 0.5)
    add_lines(panel, event.predicted, TRACING, 1.6, 1.0)
    panel.set(xlim=(-6, 106), ylim=(30, -4), aspect="equal", title=name)
    panel.axis("off")
    words = [(word, value) for word, value in numbers.items() if word != "errors"]
    for place, (word, value) in enumerate(words):
        panel.text(
            0.02 + 0.25 * (place % 4),
            -0.06 - 0.2 * (place // 4),
            f"{word} {value:.2f}",
            transform=panel.transAxes,
            fontsize=8,
            fontweight="bold" if value < 1 - 1e-9 else "normal",
            color="black" if value < 1 - 1e-9 else "#888888",
        )
    count = int(numbers["errors"])
    panel.text(
        0.77,
        -0.26,
        f"errors {count}",
        transform=panel.transAxes,
        fontsize=8,
        fontweight="bold" if count else "normal",
        color="black" if count else "#888888",
    )


def add_lines(panel: Axes, graph: NeuriteGraph, colour: str, width: float, opacity: float) -> None:
    """The edges of a graph in the plane of the drawing."""
    lines = [graph.positions[edge][:, [2, 1]] for edge in graph.edges]
    panel.add_collection(
        LineCollection(lines, colors=colour, linewidths=width, alpha=opacity, capstyle="butt")
    )


if __name__ == "__main__":
    main()
