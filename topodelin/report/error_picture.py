"""A tracing against its truth without an image: both, and the errors, in three projections."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from topodelin.graphs import NeuriteGraph, TracingError, branches
from topodelin.report.picture import AXIS_NAMES, TRACING, TRUTH, as_png

VIEWS = ((0, 0, 1, 2), (0, 1, 1, 0), (1, 0, 0, 2))  # row, column, axis down, axis right
WIDTH = 10.0  # inches
TALLEST = 14.0
THINNEST = 0.12  # of the longest side: a thinner view would be a line without labels
MARGIN = 0.04  # of the longest side, around the graphs: room for marks and numbers
MARK = 9.5  # points across
DIGIT = 6.5  # points across
AROUND = 8  # places for a number next to its mark
_ANGLES = np.pi * np.array([0.25, 0.75, 1.75, 1.25, 0, 1, 0.5, 1.5])
_RING = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_RING = _RING / np.abs(_RING).max(axis=1, keepdims=True)  # a square, as numbers are boxes
OFFSETS = np.concatenate([distance * _RING for distance in (1.05, 1.8, 2.8, 4.0, 5.5)])
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

    A mark's shape tells the kind of error, its colour whether cable is missing or too much; the
    cable itself is drawn in it. All three views have one scale. The same graphs give the same
    bytes.
    """
    low, high = _box(truth, predicted)
    middle, longest = (low + high) / 2, float((high - low).max())
    half = np.maximum(high - low, THINNEST * longest) / 2 + MARGIN * longest
    depth, height, width = half.tolist()
    inches = (WIDTH - 1.4) * (height + depth) / (width + depth) + 1.6
    figure = Figure(figsize=(WIDTH, float(np.clip(inches, 3.0, TALLEST))), layout="compressed")
    grid = figure.add_gridspec(2, 2, width_ratios=(width, depth), height_ratios=(height, depth))
    views = []
    for row, column, down, right in VIEWS:
        axes = figure.add_subplot(grid[row, column])
        _draw_graphs(axes, truth, predicted, down, right)
        _draw_errors(axes, errors, down, right)
        axes.set_xlim(middle[right] - half[right], middle[right] + half[right])
        axes.set_ylim(middle[down] + half[down], middle[down] - half[down])
        axes.set_aspect("equal")
        axes.set_xlabel(f"{AXIS_NAMES[right]} (µm)")
        axes.set_ylabel(f"{AXIS_NAMES[down]} (µm)")
        views.append((axes, down, right))
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
    figure.draw_without_rendering()  # from here on it is known where a point lies on the paper
    figure.set_layout_engine("none")
    for axes, down, right in views:
        _number_errors(axes, errors[:numbered], down, right, figure.dpi)
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


def _draw_errors(axes: Axes, errors: Sequence[TracingError], down: int, right: int) -> None:
    """The cable of each error, and a mark on it."""
    for kind, (shape, colour, _) in MARKS.items():
        own = [error for error in errors if error.kind == kind]
        lines = [
            error.stretch.positions[nodes][:, [right, down]]
            for error in own
            for nodes in branches(error.stretch)
        ]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=2.6, zorder=4))
        places = np.array([error.position for error in own]).reshape(-1, 3)
        axes.scatter(
            places[:, right],
            places[:, down],
            s=MARK**2,
            marker=shape,
            facecolors="none",
            edgecolors=colour,
            linewidths=1.8,
            zorder=5,
        )


def _number_errors(
    axes: Axes, errors: Sequence[TracingError], down: int, right: int, dpi: float
) -> None:
    """The number of each error beside its mark, off all marks and other numbers if possible.

    Tried are places all around the mark and then farther away, with a line that leads there.
    """
    if not errors:
        return
    to_points = 72 / dpi
    at = np.array([(error.position[right], error.position[down]) for error in errors])
    marks = axes.transData.transform(at) * to_points
    frame = axes.get_window_extent()
    low, high = np.array(frame.min) * to_points, np.array(frame.max) * to_points
    taken, half_taken = marks.copy(), np.full((len(marks), 2), MARK / 2)
    for number, (error, mark) in enumerate(zip(errors, marks, strict=True), 1):
        half = np.array([DIGIT * len(str(number)) / 2 + 1, 5.0])
        centres = mark + OFFSETS * (half + MARK / 2)
        over = np.abs(centres[:, None] - taken) < half + half_taken
        crowd = over.all(axis=2).sum(axis=1)
        crowd += 2 * ((centres - half < low) | (centres + half > high)).any(axis=1)
        offset = centres[crowd.argmin()] - mark  # the first, which is the nearest, of the best
        taken = np.vstack([taken, mark + offset])
        half_taken = np.vstack([half_taken, half])
        colour = MARKS[error.kind][1]
        far = crowd.argmin() >= AROUND
        axes.annotate(
            str(number),
            at[number - 1],
            xytext=tuple(offset.tolist()),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold",
            color=colour,
            zorder=7,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.8, "shrinkA": 0}
            if far
            else None,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
