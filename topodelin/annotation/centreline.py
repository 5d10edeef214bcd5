"""The centreline of a neurite graph on the voxel grid: the skeleton a distance map starts from."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.volumes.volume import check_spacing

STEP_VOXELS = 0.25  # between two samples of a segment, in voxels along its fastest axis


def centreline_mask(
    graph: NeuriteGraph,
    shape: Sequence[int],
    spacing: Sequence[float],
    *,
    origin: Sequence[int] = (0, 0, 0),
) -> Bool[np.ndarray, "z y x"]:
    """Mark the voxels that the edges of a graph pass.

    Each edge is sampled every quarter of a voxel (along the axis on which it advances most, in
    voxels) and each sample marks the voxel whose centre is nearest. So consecutive voxels of an
    edge touch, at least by a corner, and every marked voxel has its centre within half a voxel
    diagonal of the edge; a voxel of which an edge cuts less than a quarter may stay unmarked.
    Which voxels are marked depends on the edge alone: a mask computed for a part of the volume
    equals that part of the mask of the whole.

    Args:
        graph: positions in µm; the centre of voxel `index` lies at `index * spacing`. A node
            without edges marks its own voxel.
        shape: voxels of the mask `(z, y, x)`. What leaves it is cut off.
        spacing: µm per voxel `(z, y, x)`.
        origin: voxel of the graph's frame at which the mask's first voxel lies.
    """
    size = check_shape(shape)
    first = np.asarray(check_origin(origin))
    scale = np.asarray(check_spacing(spacing))
    nodes = graph.positions / scale
    mask = np.zeros(size, dtype=bool)
    voxels = [_nearest(nodes[graph.degrees == 0])]
    start, end = nodes[graph.edges[:, 0]], nodes[graph.edges[:, 1]]
    last = first + size
    near = (np.maximum(start, end) >= first - 1) & (np.minimum(start, end) <= last)
    start, end = start[near.all(axis=1)], end[near.all(axis=1)]
    voxels.append(_nearest(_samples(start, end)))
    index = np.concatenate(voxels) - first
    index = index[((index >= 0) & (index < size)).all(axis=1)]
    mask[tuple(index.T)] = True
    return mask


def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """The shape as three whole numbers that are not negative, or an error that says so."""
    return _three_integers(shape, "shape", least=0)


def check_origin(origin: Sequence[int]) -> tuple[int, int, int]:
    """The origin as three whole numbers, or an error that says so."""
    return _three_integers(origin, "origin", least=None)


def _three_integers(values: Sequence[int], name: str, *, least: int | None) -> tuple[int, int, int]:
    try:
        numbers = [int(value) for value in values]
        whole = len(numbers) == 3 and all(n == v for n, v in zip(numbers, values, strict=True))
    except (TypeError, ValueError):
        numbers, whole = [], False
    if not whole or (least is not None and min(numbers) < least):
        rule = "whole numbers" if least is None else f"whole numbers from {least}"
        raise ValueError(f"`{name}` must be three {rule}, voxels (z, y, x), got {values!r}")
    z, y, x = numbers
    return z, y, x


def _samples(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(S, 3) points on the segments, both ends included, at most `STEP_VOXELS` apart."""
    advance = np.abs(end - start).max(axis=1, initial=0.0)
    steps = np.maximum(np.ceil(advance / STEP_VOXELS), 1).astype(np.int64)
    segment = np.repeat(np.arange(len(steps)), steps + 1)
    first = np.cumsum(steps + 1) - (steps + 1)
    fraction = (np.arange(len(segment)) - first[segment]) / steps[segment]
    return start[segment] + fraction[:, None] * (end - start)[segment]


def _nearest(points: np.ndarray) -> np.ndarray:
    """The voxel that holds each point; a point on a face belongs to the voxel above it."""
    return np.floor(points + 0.5).astype(np.int64)
