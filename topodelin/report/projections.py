"""Maximum projections of a volume along its three axes, streamed so that it is never loaded whole.

A neurite is brighter than what surrounds it, so the maximum along a line of sight keeps every
neurite visible in one image. Where a volume has more voxels than the image may have pixels, each
pixel is the maximum over an equal block of voxels: a thin neurite survives, a mean would fade it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from topodelin.volumes import Box, Index, Spacing, Volume

IN_PLANE = {0: (1, 2), 1: (0, 2), 2: (0, 1)}  # axis looked along -> axes (down, right) of the image


@dataclass(frozen=True)
class Projections:
    """Three images of one volume and what a pixel means.

    Args:
        images: image `a` looks along axis `a`: 0 gives (y, x), 1 gives (z, x), 2 gives (z, y);
            float32, NaN where no voxel was read.
        block: voxels `(z, y, x)` per pixel along each axis.
        spacing: µm per voxel `(z, y, x)`.
        shape: voxels of the volume `(z, y, x)`.
    """

    images: tuple[np.ndarray, np.ndarray, np.ndarray]
    block: Index
    spacing: Spacing
    shape: Index

    @property
    def extent_um(self) -> tuple[float, float, float]:
        """Size of the volume `(z, y, x)` in µm, voxels counted whole."""
        z, y, x = (n * step for n, step in zip(self.shape, self.spacing, strict=True))
        return z, y, x

    def edges_um(self, axis: int) -> tuple[float, float]:
        """Where the pixels begin and end along an axis, µm; voxel 0 has its centre at 0.

        The last pixel may cover fewer voxels than the others, so the end can lie beyond the
        volume's.
        """
        pixels = ceil(self.shape[axis] / self.block[axis])
        step = self.spacing[axis]
        return -0.5 * step, (pixels * self.block[axis] - 0.5) * step


def maximum_projections(
    volume: Volume,
    *,
    max_pixels: int = 1600,
    boxes: Iterable[Box] | None = None,
    max_voxels: int = 32_000_000,
) -> Projections:
    """The maximum of a volume along z, y and x, the brightest channel where there are several.

    Args:
        volume: read by box, each voxel once.
        max_pixels: most pixels along any axis of an image.
        boxes: the parts to look at, for a volume too large to read; all of it by default. What
            lies outside every box stays NaN.
        max_voxels: most voxels read at a time (a single chunk of the store may exceed it).

    NaN voxels are passed over. Raises ValueError where the volume is empty.
    """
    if 0 in volume.shape:
        raise ValueError(f"`volume` must hold voxels to be projected, got shape {volume.shape}")
    block = _index(ceil(n / max_pixels) for n in volume.shape)
    pixels = [ceil(n / size) for n, size in zip(volume.shape, block, strict=True)]
    images = [np.full([pixels[a] for a in IN_PLANE[axis]], np.nan, np.float32) for axis in range(3)]
    chunks = getattr(volume.data, "chunks", None)
    for part in [volume.box] if boxes is None else boxes:
        for box in _pieces(part.clip(volume.shape), chunks, max_voxels):
            voxels = volume.read(box)
            voxels = voxels.max(axis=0) if voxels.ndim == 4 else voxels
            for axis, (down, right) in IN_PLANE.items():
                image = np.fmax.reduce(voxels, axis=axis)
                image = _reduce_blocks(image, 0, box.begin[down], block[down])
                image = _reduce_blocks(image, 1, box.begin[right], block[right])
                first = [box.begin[a] // block[a] for a in (down, right)]
                window = tuple(slice(i, i + n) for i, n in zip(first, image.shape, strict=True))
                target = images[axis][window]
                np.fmax(target, image.astype(np.float32), out=target)
    return Projections((images[0], images[1], images[2]), block, volume.spacing, volume.shape)


def _reduce_blocks(image: np.ndarray, axis: int, begin: int, size: int) -> np.ndarray:
    """Maximum over blocks of `size` along one axis; entry 0 stands for voxel `begin`."""
    number = np.arange(begin, begin + image.shape[axis]) // size
    return np.fmax.reduceat(image, np.flatnonzero(np.diff(number, prepend=-1)), axis=axis)


def _pieces(box: Box, chunks: Sequence[int] | None, max_voxels: int) -> Iterator[Box]:
    """Cut a box into pieces that start on chunk borders, grown along x first, then y, then z."""
    if not box.size:
        return
    unit = [max(1, int(c)) for c in chunks[-3:]] if chunks else [1, 1, 1]
    size = list(unit)
    for axis in (2, 1, 0):
        fits = max_voxels // int(np.prod(size, dtype=np.int64))
        size[axis] *= max(1, min(fits, ceil(box.end[axis] / unit[axis])))
    starts = [range(b // s * s, e, s) for b, e, s in zip(box.begin, box.end, size, strict=True)]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield Box((z, y, x), (z + size[0], y + size[1], x + size[2])) & box


def _index(values: Iterable[int]) -> Index:
    z, y, x = (int(value) for value in values)
    return z, y, x
