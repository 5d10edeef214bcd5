"""A copy of an image, coarse enough to be small, as OME-Zarr: for viewers that cannot read it."""

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from topodelin.export.zarr_description import Level, ZarrImage
from topodelin.volumes import Box, Index, Volume, write_ome_zarr
from topodelin.volumes.lazy import LazyArray, Slices
from topodelin.volumes.locations import is_url
from topodelin.volumes.ome_zarr import first_image
from topodelin.volumes.pyramid import level_factors, level_shape, reduce_voxels

Progress = Callable[[int, int], None]
MAX_VOXELS = 1 << 28
READ_BYTES = 64 << 20


def write_preview(
    folder: Path,
    volume: Volume,
    *,
    reduce: str = "mean",
    max_voxels: int = MAX_VOXELS,
    progress: Progress | None = None,
) -> Index:
    """Copy a volume with its pyramid; returns how many voxels `(z, y, x)` became one.

    Voxels are merged by powers of two, the finest axes first, until `max_voxels` hold a channel;
    a smaller volume keeps its voxels. Reads boxes of at most 64 MB.

    Args:
        folder: to create.
        reduce: how voxels merge: "mean", "min" for distance maps, "max".
        max_voxels: of the copy.
        progress: called with the number of bands done and their total.
    """
    factors = preview_factors(volume, max_voxels)
    z, y, x = (f * edge for f, edge in zip(factors, volume.spacing, strict=True))
    write_ome_zarr(folder, Volume(Reduced(volume, factors, reduce), (z, y, x)), progress=progress)
    shift = [0.5 * (f - 1) * edge for f, edge in zip(factors, volume.spacing, strict=True)]
    levels = []
    for dataset in first_image(folder)["datasets"]:
        scale, move = (step[step["type"]][-3:] for step in dataset["coordinateTransformations"])
        moved = [a + b for a, b in zip(move, shift, strict=True)]
        place = (moved[0], moved[1], moved[2])
        levels.append(Level(dataset["path"], (scale[0], scale[1], scale[2]), place))
    axes = "czyx" if len(volume.data.shape) == 4 else "zyx"
    ZarrImage(folder, "0.4", axes, tuple(levels)).describe(folder)
    return factors


def too_far(path: str, volume: Volume, max_voxels: int) -> str | None:
    """Why an image behind a URL is not copied: all of it would be read; None where it may be."""
    if not is_url(path) or prod(volume.shape) <= max_voxels:
        return None
    return (
        f"not shown, {path} has {prod(volume.shape):,} voxels, too many to fetch for a copy; name "
        "a local OME-Zarr with --image, or raise --max-voxels"
    )


def preview_factors(volume: Volume, max_voxels: int) -> Index:
    """Voxels merged along each axis so that at most `max_voxels` remain."""
    if max_voxels < 1:
        raise ValueError(f"`max_voxels` must be 1 or more, got {max_voxels}")
    levels = 1
    while True:
        factors = level_factors(volume.shape, volume.spacing, levels)[-1]
        if prod(level_shape(volume.shape, factors)) <= max_voxels:
            return factors
        levels += 1


class Reduced(LazyArray):
    """A volume with voxels merged, in a type that viewers know, computed as it is read."""

    def __init__(self, volume: Volume, factors: Index, reduce: str) -> None:
        self.volume, self.factors, self.reduce = volume, factors, reduce
        self.shape = (*volume.data.shape[:-3], *level_shape(volume.shape, factors))
        self.dtype = viewable_type(volume.dtype)

    def read_slices(self, slices: Slices) -> np.ndarray:
        z, y, x = slices[-3:]
        box = Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
        return self._read(box)[slices[:-3]]

    def _read(self, box: Box) -> np.ndarray:
        source = Box(_scaled(box.begin, self.factors), _scaled(box.end, self.factors)).clip(
            self.volume.shape
        )
        channels = prod(self.volume.data.shape[:-3])
        if box.size == 1 or source.size * channels * self.volume.dtype.itemsize <= READ_BYTES:
            voxels = self.volume.read(source)
            if voxels.dtype.kind == "b":
                voxels = voxels.astype(np.uint8)
            return reduce_voxels(voxels, self.factors, self.reduce).astype(self.dtype)
        axis = int(np.argmax(box.shape))
        middle = (box.begin[axis] + box.end[axis]) // 2
        low, high = list(box.end), list(box.begin)
        low[axis] = high[axis] = middle
        halves = [
            self._read(Box(box.begin, (low[0], low[1], low[2]))),
            self._read(Box((high[0], high[1], high[2]), box.end)),
        ]
        return np.concatenate(halves, axis=axis - 3)


def viewable_type(dtype: np.dtype) -> np.dtype:
    """The type itself, or the nearest that neuroglancer and napari both show."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" or dtype == np.int64:
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")


def _scaled(corner: Index, factors: Index) -> Index:
    z, y, x = (c * f for c, f in zip(corner, factors, strict=True))
    return z, y, x
