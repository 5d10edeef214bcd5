"""What the terms of a loss are given of a crop's annotation, by the names they ask for it.

distance_map   (batch, 1, z, y, x)    of centrelines that were traced in the volume
projections    three (batch, 1, rows, columns): distance maps of its projections along z, y, x
graphs         one `VoxelGraph` per crop: the centrelines themselves
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from topodelin.annotation import crop_projections, distance_map, graph_distance_map, visual_hull
from topodelin.graphs import NeuriteGraph
from topodelin.losses import VoxelGraph, crop_graph
from topodelin.training.warping import Warp
from topodelin.volumes import Box, Spacing

Voxels = tuple[int, int, int]
FROM_GRAPH = frozenset({"distance_map", "projections", "graphs"})
FROM_PLANES = frozenset({"projections"})


def graph_target(
    graph: NeuriteGraph, origin: Voxels, shape: Voxels, spacing: Spacing, d_max: float
) -> dict[str, Any]:
    """Everything that can be said of a crop whose centrelines are known.

    Args:
        graph: µm, in the frame in which the crop begins at voxel `origin`.
        shape: voxels of the crop.
        d_max: where the distance map is clipped, finest voxel edges.
    """
    distances = graph_distance_map(graph, shape, spacing, d_max, origin=origin)
    whole = VoxelGraph.of(graph, spacing)
    return {
        "distance_map": distances,
        "projections": tuple(distances.min(axis) for axis in range(3)),
        "graphs": crop_graph(whole, origin, np.add(origin, shape).tolist()),
    }


def planes_target(
    planes: Sequence[np.ndarray],
    box: Box,
    warp: Warp,
    shape: Voxels,
    spacing: Spacing,
    d_max: float,
) -> dict[str, Any]:
    """Distance maps of the projections of a crop that is annotated in projections only.

    Args:
        planes: the annotated projections of the volume, see `crop_projections`.
        box: upright, in the volume; `warp`, of turns and flips only, makes `shape` voxels of it.
    """
    turned: list[np.ndarray] = [np.empty(0)] * 3
    for axis, plane in enumerate(crop_projections(planes, box.begin, box.shape)):
        deep = np.broadcast_to(np.expand_dims(plane, axis), box.shape)
        seen_along = int(np.abs(warp.move_positions(np.eye(3)[axis : axis + 1])).argmax())
        seen = np.asarray(warp.move(deep, shape, 0).any(axis=seen_along))
        turned[seen_along] = plane_distances(seen, seen_along, spacing, d_max)
    return {"projections": tuple(turned)}


def plane_distances(plane: np.ndarray, axis: int, spacing: Spacing, d_max: float) -> np.ndarray:
    """The distance map of a projection along `axis`, in edges of the volume's finest voxel."""
    rows, columns = (spacing[other] for other in range(3) if other != axis)
    return distance_map(plane[None], (min(spacing), rows, columns), d_max)[0]


def planes_foreground(planes: Sequence[np.ndarray], box: Box) -> int:
    """About how many centreline voxels a box holds: the longest of its projected lines."""
    return max(int(np.count_nonzero(p)) for p in crop_projections(planes, box.begin, box.shape))


def planes_centreline(planes: Sequence[np.ndarray], shape: Voxels, slab: int = 64) -> np.ndarray:
    """(K, 3) voxels of the visual hull of the annotated lines, in order."""
    depth, height, width = shape
    found = [np.zeros((0, 3), np.int64)]
    for first in range(0, depth, slab):
        thick = min(slab, depth - first)
        hull = visual_hull(planes, (first, 0, 0), (thick, height, width), slack=0)
        found.append(np.argwhere(hull) + (first, 0, 0))
    return np.concatenate(found)


def narrowed(target: Mapping[str, Any], lost: Voxels) -> dict[str, Any]:
    """The central part that a network without padding predicts, `lost` voxels smaller."""
    if not any(lost):
        return dict(target)
    inner = dict(target)
    begin = np.array(lost) // 2
    if "distance_map" in target:
        size = np.array(target["distance_map"].shape) - lost
        box = tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))
        inner["distance_map"] = np.ascontiguousarray(target["distance_map"][box])
        inner["projections"] = tuple(inner["distance_map"].min(axis) for axis in range(3))
        inner["graphs"] = crop_graph(target["graphs"], begin.tolist(), (begin + size).tolist())
        return inner
    raise ValueError(
        "a network without padding cannot learn from projections alone: its output is smaller "
        "than the crop, and what lies in front of that part is unknown; set `padding: same`"
    )


def collated(targets: Sequence[Mapping[str, Any]], kinds: frozenset[str]) -> dict[str, Any]:
    """The targets of a batch as the loss takes them, only the kinds that it asks for."""
    batch: dict[str, Any] = {}
    if "distance_map" in kinds:
        batch["distance_map"] = stacked([target["distance_map"] for target in targets])
    if "projections" in kinds:
        planes = zip(*(target["projections"] for target in targets), strict=True)
        batch["projections"] = tuple(stacked(plane) for plane in planes)
    if "graphs" in kinds:
        batch["graphs"] = tuple(target["graphs"] for target in targets)
    return batch


def stacked(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    """A batch with one channel."""
    return torch.from_numpy(np.stack(arrays)[:, None])
