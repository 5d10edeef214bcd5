"""Cutting a neurite graph at the faces of a box."""

from collections.abc import Sequence

import numpy as np

from topodelin.graphs.neurite_graph import NeuriteGraph


def clip_to_extent(graph: NeuriteGraph, extent_um: Sequence[float]) -> NeuriteGraph:
    """The part of a graph inside the box from 0 to `extent_um`, cut exactly at its faces.

    Each edge keeps the stretch inside the box (Liang and Barsky's line clipping); where it
    crosses a face a node is added, its radius interpolated. An edge that only touches the box in
    a point is dropped, and so are nodes outside.

    Args:
        graph: positions in µm.
        extent_um: the box's far corner `(z, y, x)`, µm.
    """
    extent = np.asarray(check_extent(extent_um))
    positions, radii, kinds = graph.positions, graph.radii, graph.kinds
    start, end = positions[graph.edges[:, 0]], positions[graph.edges[:, 1]]
    enter, leave = _stretch_inside(start, end, extent)
    inside = ((positions >= 0) & (positions <= extent)).all(axis=1)
    keep = enter < leave
    edges, cuts = graph.edges[keep].copy(), []
    count = len(positions)
    for side, fraction, uncut in ((0, enter[keep], 0.0), (1, leave[keep], 1.0)):
        cut = np.flatnonzero(fraction != uncut)
        pair, along = graph.edges[keep][cut], fraction[cut, None]
        cuts.append(positions[pair[:, 0]] * (1 - along) + positions[pair[:, 1]] * along)
        radii = np.append(
            radii, radii[pair[:, 0]] * (1 - along[:, 0]) + radii[pair[:, 1]] * along[:, 0]
        )
        kinds = np.append(kinds, kinds[pair[:, 1]])
        edges[cut, side] = count + np.arange(len(cut))
        count += len(cut)
    cuts = np.clip(np.concatenate(cuts), 0, extent)  # rounding
    clipped = NeuriteGraph(np.concatenate([positions, cuts]), edges, radii, kinds)
    return clipped.select(np.append(inside, np.ones(len(cuts), dtype=bool)))


def check_extent(extent_um: Sequence[float]) -> tuple[float, float, float]:
    """The extent as three positive numbers, or an error that says so."""
    try:
        extent = [float(value) for value in extent_um]
    except (TypeError, ValueError):
        extent = []
    if len(extent) != 3 or not np.isfinite(extent).all() or min(extent) <= 0:
        raise ValueError(
            f"`extent_um` must be three positive numbers, µm (z, y, x), got {extent_um!r}"
        )
    z, y, x = extent
    return z, y, x


def _stretch_inside(
    start: np.ndarray, end: np.ndarray, extent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of each segment at which it enters and leaves the box; enter >= leave: never."""
    step = end - start
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (0.0 - start) / step, (extent - start) / step
    parallel = step == 0
    within = (start >= 0) & (start <= extent)
    enter = np.where(parallel, 0.0, np.minimum(low, high))
    leave = np.where(parallel, np.where(within, 1.0, -1.0), np.maximum(low, high))
    return np.maximum(enter.max(axis=1), 0.0), np.minimum(leave.min(axis=1), 1.0)
