"""A tracing against its truth without an image: both, and the errors, in three projections."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from topodelin.graphs import NeuriteGraph, TracingError, branches
from topodelin.report.picture import AXIS_NAMES, TRACING, TRUTH, as_png, draw_scale_bar

VIEWS = ((0, 0, 1, 2), (0, 1, 1, 0), (1, 0, 0, 2))  # row, column, axis down, axis right
WIDTH = 10.0  # inches
TALLEST = 14.0
THINNEST = 0.12  # of the longest side: a thinner view would be a line without labels
MARKS = {  # kind -> shape, colour, words
    "gap": ("o", "#0072b2", "gap"),
    "missing_branch": ("^", "#0072b2", "missing branch"),
    "bridge": ("s", "#b2182b", "bridge"),
    "spurious_branch": ("D", "#b2182b", "spurious branch"),
    "displaced": ("v", "#009e73", "displaced"),
}


def error_picture(
    truth: NeuriteGraph,
    predicted: NeuriteGraph,
    errors: Sequence[TracingError],
    *,
    numbered: int = 20,
) -> bytes:
    """PNG: the truth as a broad pale band, the tracing as a thin line on it, the errors as marks.

    Args:
        truth, predicted: µm.
        errors: in the order of their numbers, for example of `ErrorCosts`.
        numbered: how many of them get their number beside the mark; the rest get the mark.

    A mark's shape tells the kind of error, its colour whether cable is missing or too much. All
    three views have one scale. The same graphs give the same bytes.
    """
    low, high = _box(truth, predicted)
    depth, height, width = np.maximum(high - low, THINNEST * (high - low).max()).tolist()
    inches = (WIDTH - 1.4) * (height + depth) / (width + depth) + 1.6
    figure = Figure(figsize=(WIDTH, float(np.clip(inches, 3.0, TALLEST))), layout="compressed")
    grid = figure.add_gridspec(2, 2, width_ratios=(width, depth), height_ratios=(height, depth))
    size = np.array([depth, height, width])
    for row, column, down, right in VIEWS:
        axes = figure.add_subplot(grid[row, column])
        _draw_graphs(axes, truth, predicted, down, right)
        _draw_errors(axes, errors, down, right, numbered)
        middle, half = (low + high) / 2, size / 2 * 1.05
        axes.set_xlim(middle[right] - half[right], middle[right] + half[right])
        axes.set_ylim(middle[down] + half[down], middle[down] - half[down])
        axes.set_aspect("equal")
        axes.set_xlabel(f"{AXIS_NAMES[right]} (µm)")
        axes.set_ylabel(f"{AXIS_NAMES[down]} (µm)")
        if (row, column) == (0, 0):
            draw_scale_bar(axes)
    handles = [
        Line2D([], [], color=TRUTH, lw=6, alpha=0.6, label="truth"),
        Line2D([], [], color=TRACING, lw=1.4, label="tracing"),
    ]
    for kind, (shape, colour, words) in MARKS.items():
        count = sum(error.kind == kind for error in errors)
        if count:
            style = {"color": colour, "marker": shape, "ls": "none", "mfc": "none", "mew": 1.8}
            handles.append(Line2D([], [], ms=9, label=f"{words} ({count})", **style))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return as_png(figure)


def _box(truth: NeuriteGraph, predicted: NeuriteGraph) -> tuple[np.ndarray, np.ndarray]:
    positions = np.concatenate([truth.positions, predicted.positions])
    if not len(positions):
        positions = np.zeros((1, 3))
    low, high = positions.min(axis=0), positions.max(axis=0)
    if (high - low).max() <= 0:
        low, high = low - 0.5, high + 0.5
    return low, high


def _draw_graphs(
    axes: Axes, truth: NeuriteGraph, predicted: NeuriteGraph, down: int, right: int
) -> None:
    for graph, colour, width, alpha, order in (
        (truth, TRUTH, 6.0, 0.6, 2),
        (predicted, TRACING, 1.4, 1.0, 3),
    ):
        lines = [graph.positions[nodes][:, [right, down]] for nodes in branches(graph)]
        axes.add_collection(
            LineCollection(lines, colors=colour, linewidths=width, alpha=alpha, zorder=order)
        )


def _draw_errors(
    axes: Axes, errors: Sequence[TracingError], down: int, right: int, numbered: int
) -> None:
    for kind, (shape, colour, _) in MARKS.items():
        places = np.array([e.position for e in errors if e.kind == kind]).reshape(-1, 3)
        axes.scatter(
            places[:, right],
            places[:, down],
            s=90,
            marker=shape,
            facecolors="none",
            edgecolors=colour,
            linewidths=1.8,
            zorder=4,
        )
    for number, error in reversed(list(enumerate(errors[:numbered], 1))):  # the first on top
        axes.annotate(
            str(number),
            (error.position[right], error.position[down]),
            xytext=(7, 5),
            textcoords="offset points",
            fontsize=9,
            fontweight="bold",
            color=MARKS[error.kind][1],
            zorder=5,
            annotation_clip=True,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
