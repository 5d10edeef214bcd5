"""The pictures of a report: before and after, three views, and the cubes never computed."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from topodelin.report.coverage import Coverage
from topodelin.report.picture import (
    Overlay,
    as_png,
    draw_image,
    draw_overlay,
    draw_scale_bar,
    legend_handles,
)
from topodelin.report.projections import Projections

WIDTH = 10.0  # inches
TALLEST = 16.0
UNDER_OVERLAY = 0.6  # ink of an image that something is drawn on
VEIL = "#4d4d4d"
Y, X, Z = 1, 2, 0


def before_and_after(projections: Projections, overlay: Overlay) -> bytes:
    """PNG: the volume seen from above, bare, and again with the overlay; the larger side stacked.

    Wide volumes are shown one above the other, tall ones side by side.
    """
    _, height, width = projections.extent_um
    stacked = width >= height
    rows, columns = (2, 1) if stacked else (1, 2)
    inches = rows * (WIDTH / columns - 0.8) * height / width + 1.2
    figure = _figure(inches)
    bare, drawn = figure.subplots(rows, columns, sharex=True, sharey=True)
    draw_image(bare, projections, Y, X)
    draw_image(drawn, projections, Y, X, ink=UNDER_OVERLAY)
    draw_overlay(drawn, overlay, Y, X)
    draw_scale_bar(bare)
    bare.set_title("what the microscope saw", loc="left")
    drawn.set_title("what was traced", loc="left")
    _legend(figure, overlay)
    return as_png(figure)


def three_views(projections: Projections, overlay: Overlay) -> bytes:
    """PNG: the overlay from above, from the side and from the front, aligned and to one scale."""
    depth, height, width = projections.extent_um
    thinnest = 0.12 * max(depth, height, width)  # a thinner view would be a line without labels
    depth_shown, height_shown = max(depth, thinnest), max(height, thinnest)
    width_shown = max(width, thinnest)
    inches = (WIDTH - 1.4) * (height_shown + depth_shown) / (width_shown + depth_shown) + 1.6
    figure = _figure(inches)
    grid = figure.add_gridspec(
        2, 2, width_ratios=(width_shown, depth_shown), height_ratios=(height_shown, depth_shown)
    )
    for row, column, down, right in ((0, 0, Y, X), (0, 1, Y, Z), (1, 0, Z, X)):
        axes = figure.add_subplot(grid[row, column])
        draw_image(axes, projections, down, right, ink=UNDER_OVERLAY)
        draw_overlay(axes, overlay, down, right, names=("", ""))
        if (row, column) == (0, 0):
            draw_scale_bar(axes)
    _legend(figure, overlay)
    return as_png(figure)


def coverage_picture(projections: Projections, coverage: Coverage) -> bytes:
    """PNG: the lattice over the volume from above, dimmed by the share of cubes not computed.

    A column of cubes none of which was computed is hatched too, so it stands out in any colours.
    """
    _, height, width = projections.extent_um
    figure = _figure((WIDTH - 0.8) * height / width + 1.2)
    axes = figure.subplots()
    draw_image(axes, projections, Y, X)
    limits = axes.get_xlim(), axes.get_ylim()
    share = 1 - coverage.visited.mean(axis=0)
    origin = [-step / 2 for step in projections.spacing]
    across = origin[X] + coverage.cube_um[X] * np.arange(share.shape[1] + 1)
    along = origin[Y] + coverage.cube_um[Y] * np.arange(share.shape[0] + 1)
    veil = np.zeros((*share.shape, 4))
    veil[..., :3], veil[..., 3] = to_rgb(VEIL), 0.55 * share
    axes.imshow(veil, extent=(across[0], across[-1], along[-1], along[0]), zorder=2)
    untouched = np.ma.masked_less(share, 1)
    with_hatch = axes.pcolor(across, along, untouched, facecolor="none", hatch="//", zorder=3)
    with_hatch.set(facecolor="none", edgecolor=(0.2, 0.2, 0.2, 0.6), linewidth=0)
    axes.vlines(across, along[0], along[-1], color="white", linewidth=1, zorder=4)
    axes.hlines(along, across[0], across[-1], color="white", linewidth=1, zorder=4)
    axes.set(xlim=limits[0], ylim=limits[1])
    draw_scale_bar(axes)
    some, never = (*to_rgb(VEIL), 0.3), (*to_rgb(VEIL), 0.55)
    kinds = (
        (share == 0, Patch(facecolor="white", edgecolor="black", label="every cube computed")),
        ((share > 0) & (share < 1), Patch(facecolor=some, label="some cubes below it computed")),
        (share == 1, Patch(facecolor=never, hatch="//", label="never computed")),
    )
    handles = [patch for cells, patch in kinds if cells.any()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return as_png(figure)


def _figure(inches: float) -> Figure:
    return Figure(figsize=(WIDTH, float(np.clip(inches, 3.0, TALLEST))), layout="compressed")


def _legend(figure: Figure, overlay: Overlay) -> None:
    handles = legend_handles(overlay)
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=4, frameon=False, handlelength=3
        )
