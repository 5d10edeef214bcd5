"""One view of a volume with what was traced drawn on it: the parts that every picture is made of.

A truth is a broad pale band and a tracing a thin line on top of it, so agreement reads as a line
inside its band: a band without a line was missed, a line without a band was invented. Both errors
are drawn thick as well, numbered, and ringed: ovals for what was missed, boxes for what was
invented. Blue and vermilion can be told apart with any colour vision, and the shapes without any.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from topodelin.graphs import NeuriteGraph, branches
from topodelin.report.projections import Projections
from topodelin.report.stretches import Stretch

AXIS_NAMES = ("z", "y", "x")
TRUTH = "#56b4e9"
MISSED = "#0072b2"
TRACING = "#d55e00"
UNREAD = "#d9d9d9"
DPI = 160
EMPTY = NeuriteGraph(np.empty((0, 3)), np.empty((0, 2), np.int64))


@dataclass(frozen=True)
class Overlay:
    """What is drawn on a projection; every part may be empty.

    Args:
        tracing: what was traced, µm.
        truth: what a person drew.
        missed: the parts of the truth that were not traced.
        false: the parts of the tracing that are not in the truth.
        gaps: the missed stretches to ring and number, in this order.
        inventions: the false branches to ring and number, in this order.
    """

    tracing: NeuriteGraph = EMPTY
    truth: NeuriteGraph = EMPTY
    missed: NeuriteGraph = EMPTY
    false: NeuriteGraph = EMPTY
    gaps: Sequence[Stretch] = field(default=())
    inventions: Sequence[Stretch] = field(default=())


def draw_image(
    axes: Axes,
    projections: Projections,
    down: int,
    right: int,
    *,
    percentiles: tuple[float, float] = (25.0, 99.7),
    gamma: float = 0.6,
    ink: float = 1.0,
) -> None:
    """Show the projection with axis `down` downwards and axis `right` to the right, in true µm.

    Bright voxels are dark on white paper. `percentiles` of the pixels become white and black;
    `gamma` below 1 lifts what is faint. `ink` is how dark the brightest voxel is drawn, 1 being
    black: less where something is to be drawn on top. Pixels that were never read are grey.
    """
    looked_along = 3 - down - right
    image = projections.images[looked_along]
    image = image if down < right else image.T
    known = image[np.isfinite(image)]
    low, high = np.percentile(known, percentiles) if known.size else (0.0, 1.0)
    high = high if high > low else low + 1
    brightness = np.clip((image - low) / (high - low), 0, 1) ** gamma
    (top, bottom), (left, far) = projections.edges_um(down), projections.edges_um(right)
    axes.set_facecolor(UNREAD)
    axes.imshow(
        np.ma.masked_invalid(brightness),
        cmap="gray_r",
        vmin=0,
        vmax=1 / ink,
        extent=(left, far, bottom, top),
        interpolation="antialiased",
    )
    size, half = projections.extent_um, [step / 2 for step in projections.spacing]
    axes.set_xlim(-half[right], size[right] - half[right])
    axes.set_ylim(size[down] - half[down], -half[down])
    axes.set_xlabel(f"{AXIS_NAMES[right]} (µm)")
    axes.set_ylabel(f"{AXIS_NAMES[down]} (µm)")


def draw_overlay(
    axes: Axes,
    overlay: Overlay,
    down: int,
    right: int,
    *,
    names: tuple[str, str] = ("gap ", "false "),
) -> None:
    """Draw the graphs and ring the errors on a view made by [`draw_image`][].

    `names` stand before the number of a gap and of a false branch; empty where room is short.
    """
    for graph, colour, width, alpha, order in (
        (overlay.truth, TRUTH, 7.0, 0.6, 2),
        (overlay.missed, MISSED, 5.0, 0.95, 3),
        (overlay.false, TRACING, 4.5, 0.95, 3),
        (overlay.tracing, TRACING, 1.6, 1.0, 4),
    ):
        lines = [graph.positions[nodes][:, [right, down]] for nodes in branches(graph)]
        style = {"colors": colour, "linewidths": width, "alpha": alpha, "zorder": order}
        axes.add_collection(
            LineCollection(lines, joinstyle="round", capstyle="round", **style), autolim=False
        )
    for number, stretch in enumerate(overlay.gaps, start=1):
        _ring(axes, stretch, down, right, f"{names[0]}{number}", MISSED, round_=True)
    for number, stretch in enumerate(overlay.inventions, start=1):
        _ring(axes, stretch, down, right, f"{names[1]}{number}", TRACING, round_=False)


def draw_scale_bar(axes: Axes, *, share: float = 0.2) -> None:
    """A bar of a round number of µm, about `share` of the view's width, at its lower right."""
    left, far = axes.get_xlim()
    bottom, top = axes.get_ylim()
    width, height = far - left, bottom - top
    length = _round_length(width * share)
    end, level = far - 0.03 * width, bottom - 0.06 * height
    halo = [withStroke(linewidth=6, foreground="white")]
    axes.plot([end - length, end], [level, level], color="black", lw=3, zorder=6, path_effects=halo)
    axes.annotate(
        f"{length:g} µm",
        ((2 * end - length) / 2, level),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        zorder=6,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )


def legend_handles(overlay: Overlay) -> list[Artist]:
    """One legend entry for each thing that the overlay really draws."""
    entries: list[tuple[bool, Artist]] = [
        (len(overlay.truth.edges) > 0, Line2D([], [], color=TRUTH, lw=7, alpha=0.6, label="truth")),
        (
            len(overlay.tracing.edges) > 0,
            Line2D([], [], color=TRACING, lw=1.6, label="tracing"),
        ),
        (
            len(overlay.missed.edges) > 0,
            Line2D([], [], color=MISSED, lw=5, marker="o", ms=14, mfc="none", label="gap (missed)"),
        ),
        (
            len(overlay.false.edges) > 0,
            Line2D(
                [], [], color=TRACING, lw=5, marker="s", ms=14, mfc="none", label="false branch"
            ),
        ),
    ]
    return [handle for drawn, handle in entries if drawn]


def as_png(figure: Figure, *, colours: int = 64) -> bytes:
    """The figure as PNG with a palette, a fifth of the bytes; the same for the same figure."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    image = Image.fromarray(pixels).quantize(
        colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    nearly_white = 248  # the paper, which the palette averaged with the faintest noise
    image.putpalette([255 if v >= nearly_white else v for v in image.getpalette() or []])
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _ring(
    axes: Axes, stretch: Stretch, down: int, right: int, name: str, colour: str, *, round_: bool
) -> None:
    """An oval with its name above, or a box with its name below, unless there is no room there."""
    (left, far), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    padding = 0.012 * np.hypot(far - left, bottom - top)
    low = np.array([stretch.low_um[right], stretch.low_um[down]])
    high = np.array([stretch.high_um[right], stretch.high_um[down]])
    (x, y), size = (low + high) / 2, high - low
    around = size * (np.sqrt(2) if round_ else 1) + 2 * padding  # an oval through the corners
    width, height = np.maximum(around, 4 * padding).tolist()
    style = {"fill": False, "edgecolor": colour, "linewidth": 2.0, "zorder": 5}
    if round_:
        axes.add_patch(Ellipse((x, y), width, height, **style))
    else:
        axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, **style))
    room = 0.07 * (bottom - top)
    above = y - height / 2 - room > top if round_ else y + height / 2 + room > bottom
    edge = 0.045 * (far - left)  # half a name
    axes.annotate(
        name,
        (float(np.clip(x, left + edge, far - edge)), y - height / 2 if above else y + height / 2),
        xytext=(0, 3 if above else -3),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        color=colour,
        fontweight="bold",
        zorder=7,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )


def _round_length(length: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is at most `length`."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))
