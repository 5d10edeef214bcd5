"""Truncated distance maps: what a network is trained to predict from an image.

A distance map is 0 on the centreline and grows with the Euclidean distance to it up to `d_max`,
where it stays. Distances are counted in edges of the finest voxel, so that the same network and
the same `d_max` suit stacks of the same relative anisotropy.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import distance_transform_edt

from topodelin.annotation.centreline import centreline_mask, check_origin, check_shape
from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.volumes.volume import check_spacing


def distance_map(
    mask: Bool[np.ndarray, "z y x"], spacing: Sequence[float], d_max: float
) -> Float32[np.ndarray, "z y x"]:
    r"""The distance of every voxel to the nearest marked one, exact, truncated at `d_max`.

    $$D(p) = \min\Bigl(d_{max},\; \frac{1}{\min_a s_a} \min_{q \in M}
      \sqrt{\textstyle\sum_a s_a^2 (p_a - q_a)^2}\Bigr)$$

    Args:
        mask: $M$, True on the centreline. Without any, the map is `d_max` everywhere.
        spacing: $s$, µm per voxel `(z, y, x)`.
        d_max: $d_{max}$, in edges of the finest voxel.
    """
    scale = check_spacing(spacing)
    limit = check_d_max(d_max)
    if not mask.any():
        return np.full(mask.shape, limit, dtype=np.float32)
    finest = min(scale)
    sampling = [value / finest for value in scale]
    distances = np.asarray(distance_transform_edt(~mask, sampling=sampling))
    return np.minimum(distances, limit).astype(np.float32)


def graph_distance_map(
    graph: NeuriteGraph,
    shape: Sequence[int],
    spacing: Sequence[float],
    d_max: float,
    *,
    origin: Sequence[int] = (0, 0, 0),
) -> Float32[np.ndarray, "z y x"]:
    """The [`distance_map`][] of a graph's centreline, in a box of its volume.

    Centrelines that pass outside the box count too: the mask is computed with a margin of
    `d_max` around it, so the map of a crop equals the crop of the map. The ends of the volume
    are unknown here; a graph cut at them gives the map of the cut graph.

    Args:
        graph: positions in µm; the centre of voxel `index` lies at `index * spacing`.
        shape: voxels of the box `(z, y, x)`.
        spacing: µm per voxel `(z, y, x)`.
        d_max: where the map stops growing, in edges of the finest voxel.
        origin: voxel of the graph's frame at which the box begins.
    """
    scale = check_spacing(spacing)
    limit = check_d_max(d_max)
    margin = [int(np.ceil(limit * min(scale) / value)) for value in scale]
    size, first = check_shape(shape), check_origin(origin)
    mask = centreline_mask(
        graph,
        [n + 2 * m for n, m in zip(size, margin, strict=True)],
        scale,
        origin=[o - m for o, m in zip(first, margin, strict=True)],
    )
    inner = tuple(slice(m, m + n) for n, m in zip(size, margin, strict=True))
    return np.ascontiguousarray(distance_map(mask, scale, limit)[inner])


def check_d_max(d_max: float) -> float:
    """`d_max` as a positive number, or an error that says so."""
    if not np.isfinite(d_max) or d_max <= 0:
        raise ValueError(f"`d_max` must be a positive number of finest voxel edges, got {d_max!r}")
    return float(d_max)
