"""A whole brain as one small picture: image averaged, prediction kept by its brightest voxel.

Averaging would make thin neurites vanish, so of the distance map each voxel of the preview gets the
smallest value in its block. Of the map only chunks that were written are read, most of a brain has
none; of the image the coarsest level that is still fine enough, where it has levels.
"""

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from pathlib import Path

import numpy as np

from topodelin.export.finished_run import FinishedRun
from topodelin.export.frame import Frame
from topodelin.export.overlay_volume import OverlaySource
from topodelin.export.written_chunks import WrittenChunks
from topodelin.volumes import Box, Index, Volume, VolumeError, open_volume
from topodelin.volumes.pyramid import reduce_voxels
from topodelin.volumes.terafly import is_terafly, terafly_levels

SOURCE_EDGE = 256  # voxels along each axis that are read at a time
SAME_LEVEL = 0.02  # how far the ratio of two levels may be from a whole number

Progress = Callable[[int, int], None]


def preview_blocks(image: Volume, longest: int) -> Index:
    """How many voxels of the image along each axis become one voxel of the preview.

    Args:
        longest: voxels that the preview has at most along any axis.

    Voxels of the preview are about as long along each axis, in µm, and never finer than the image.
    """
    if longest < 1:
        raise ValueError(f"`longest` must be at least 1 voxel, got {longest}")
    least = np.ceil(np.array(image.shape) / longest)
    sizes = np.where(least > 1, least * np.array(image.spacing), 0)
    edge = sizes.max()  # µm, a voxel of the preview along the axis that has to shrink most
    even = np.floor(edge / np.array(image.spacing) + 1e-9)
    z, y, x = np.maximum(even, least).astype(int).tolist()
    return z, y, x


def preview(
    run: FinishedRun,
    source: OverlaySource,
    *,
    longest: int,
    progress: Progress | None = None,
) -> tuple[Volume, Frame]:
    """The overlay of the whole image, scaled down, and where its voxels lie.

    Args:
        run: it knows where image and distance map are stored.
        source: made of that run.
        longest: voxels along the longest axis, at most.
        progress: called with the number of blocks done and their total.

    Only the preview itself is held in memory: 134 MB for 512 voxels along each axis in uint8.
    """
    image, recipe = source.image, source.recipe
    frame = Frame.of_blocks(image, preview_blocks(image, longest))
    level = _level_for(run, image, frame)
    chunks = WrittenChunks(run.folder.distance_map)
    result = np.zeros((*recipe.channels, *frame.shape), recipe.dtype)
    boxes = list(_boxes(frame, image))
    for done, box in enumerate(boxes, start=1):
        grey = _merged(level, frame, box)
        near = _nearest(source.distance_map, frame, box, run.d_max, chunks)
        result[(..., *box.slices)] = recipe.apply(grey, near, source.intensity)
        if progress is not None:
            progress(done, len(boxes))
    return Volume(result, frame.spacing), frame


def _boxes(frame: Frame, image: Volume) -> Iterator[Box]:
    """Boxes of the preview whose blocks of the image are about `SOURCE_EDGE` voxels long."""
    blocks = [round(f / s) for f, s in zip(frame.spacing, image.spacing, strict=True)]
    edges = [max(1, SOURCE_EDGE // block) for block in blocks]
    starts = [range(0, n, edge) for n, edge in zip(frame.shape, edges, strict=True)]
    for z, y, x in product(*starts):
        yield Box((z, y, x), (z + edges[0], y + edges[1], x + edges[2])).clip(frame.shape)


def _level_for(run: FinishedRun, image: Volume, frame: Frame) -> Volume:
    """The coarsest level of the image whose voxels the preview merges without remainder."""
    known = run.settings.get("image") or {}
    path = run.image_path or known.get("path")
    best = image
    for folder in _level_folders(Path(path)) if path else []:
        try:
            data = open_volume(folder, spacing=image.spacing).data
        except VolumeError:
            continue  # a damaged level is no reason to give up: the image itself is there
        if len(data.shape) != 3:
            continue
        spans = [round(n / m) for n, m in zip(image.shape, data.shape, strict=True)]
        if not _covers(image.shape, data.shape, spans):
            continue
        dz, dy, dx = (s * span for s, span in zip(image.spacing, spans, strict=True))
        level = Volume(data, (dz, dy, dx))
        merged = np.array(frame.spacing) / np.array(level.spacing)
        if (np.abs(merged - np.rint(merged)) < SAME_LEVEL).all() and merged.min() > 0.5:
            best = level if prod(level.shape) < prod(best.shape) else best
    return best


def _covers(full: Index, level: tuple[int, ...], spans: list[int]) -> bool:
    """Whether a level holds one voxel for each `spans` voxels, the last one cut or left out."""
    triples = zip(full, level, spans, strict=True)
    return all(span > 0 and m in (n // span, -(-n // span)) for n, m, span in triples)


def _level_folders(path: Path) -> list[Path]:
    """Where an OME-Zarr image or a TeraFly folder keeps its coarser levels."""
    if not path.is_dir():
        return []
    if is_terafly(path):
        return terafly_levels(path)[1:]
    return [entry for entry in path.iterdir() if entry.is_dir() and entry.name.isdecimal()]


def _merged(level: Volume, frame: Frame, box: Box) -> np.ndarray:
    """The mean of the image over each voxel of a box of the preview, float32."""
    spans = [round(f / s) for f, s in zip(frame.spacing, level.spacing, strict=True)]
    begin = [b * span for b, span in zip(box.begin, spans, strict=True)]
    end = [e * span for e, span in zip(box.end, spans, strict=True)]
    source = Box((begin[0], begin[1], begin[2]), (end[0], end[1], end[2])).clip(level.shape)
    if source.size == 0:  # the level leaves out the last voxel
        return np.zeros(box.shape, np.float32)
    means = reduce_voxels(level.read(source).astype(np.float32), spans, "mean")
    missing = [(0, n - m) for n, m in zip(box.shape, means.shape, strict=True)]
    return np.pad(means, missing, mode="edge")


def _nearest(
    distance: Volume, frame: Frame, box: Box, far: float, chunks: WrittenChunks
) -> np.ndarray:
    """The smallest distance in each voxel of a box of the preview; `far` where none was computed.

    A voxel of the preview counts all voxels of the map that reach into it, so at least one.
    """
    ranges = []
    for axis in range(3):
        step = frame.spacing[axis]
        first = frame.origin[axis] - step / 2  # µm, the edge of voxel 0 of the preview
        edges = first + step * np.arange(box.begin[axis], box.end[axis] + 1)
        at = edges / distance.spacing[axis]  # voxel n of the map spans n - 0.5 to n + 0.5
        last = distance.shape[axis] - 1
        low = np.clip(np.floor(at[:-1] + 0.5 + 1e-6), 0, last).astype(np.int64)
        high = np.clip(np.ceil(at[1:] - 0.5 - 1e-6), low, last).astype(np.int64)
        ranges.append((low, high))
    z, y, x = (slice(int(low[0]), int(high[-1]) + 1) for low, high in ranges)
    source = Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
    if not chunks.any(source):
        return np.full(box.shape, far, np.float32)
    result = distance.read(source)
    for axis, (low, high) in enumerate(ranges):
        result = _range_minima(result, axis, low - low[0], high - low[0])
    return result


def _range_minima(array: np.ndarray, axis: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The minimum of `array[low[i] : high[i] + 1]` along an axis, for each i."""
    turned = np.moveaxis(array, axis, 0)
    padded = np.concatenate([turned, turned[-1:]])  # so that high + 1 is a place, too
    pairs = np.stack([low, high + 1], axis=1).ravel()
    return np.moveaxis(np.minimum.reduceat(padded, pairs, axis=0)[::2], 0, axis)
