"""Write an OME-Zarr image chunk by chunk, over several runs if need be.

A chunk on disk is whole: it appears under its name by a rename (zarr 3.1.3 or newer), so a
process killed at any moment leaves the old chunk or the new one. Asking again for the same image
goes on with what is there. The chunks of an image depend on its voxels only, not on the order or
the number of the runs that wrote them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.lazy import CheckedArray
from topodelin.volumes.ome_zarr import first_image, is_zarr, open_ome_zarr
from topodelin.volumes.ome_zarr_image import (
    Image,
    check_description,
    check_level,
    claim_folder,
    create_level,
    describe,
    make_image,
    write_json,
)
from topodelin.volumes.pyramid import (
    REDUCTIONS,
    default_levels,
    level_shape,
    reduce_voxels,
)
from topodelin.volumes.volume import Box, Index, Volume
from topodelin.volumes.zarr_chunks import ZarrChunks, is_plain, write_chunk

Progress = Callable[[int, int], None]
BAND_BYTES = 256 << 20


def create_ome_zarr(
    path: str | os.PathLike[str],
    *,
    shape: Sequence[int],
    spacing: Sequence[float],
    dtype: Any,
    chunks: Sequence[int],
    fill_value: float = 0,
    version: str = "0.4",
    levels: int = 1,
    name: str | None = None,
) -> "OmeZarrWriter":
    """Create an OME-Zarr image, or go on with the identical one that a former run began.

    Args:
        path: the folder to create.
        shape: `(z, y, x)` or `(c, z, y, x)`.
        spacing: µm per voxel `(z, y, x)`.
        chunks: voxels of a chunk `(z, y, x)`; a chunk holds one channel.
        fill_value: what reads as long as a chunk was not written.
        version: OME-Zarr "0.4" (zarr 2) opens everywhere, "0.5" is zarr 3.
        levels: of the pyramid, the full image included; see `OmeZarrWriter.build_pyramid`.
        name: of the image, for viewers; the folder's name without its endings if not given.

    Remains of interrupted writes are removed, so open an image by this function in one process
    at a time; send the writer itself to the others.

    Raises:
        VolumeError: `path` holds something else.
    """
    root = Path(path)
    image = make_image(shape, spacing, dtype, chunks, fill_value, version, levels)
    claim_folder(root, image)
    check_description(root, image)
    for level in range(levels):
        if is_zarr(root / str(level)):
            check_level(root, image, level)
        else:
            create_level(root, image, level)
        if version == "0.4" and not (root / str(level) / ".zattrs").exists():
            write_json(root / str(level) / ".zattrs", {})  # killed between its two files
    if not first_image(root):  # last of all, so that its presence means complete
        describe(root, image, name or root.name.removesuffix(".zarr").removesuffix(".ome"))
    return OmeZarrWriter(root, image)


class OmeZarrWriter:
    """Writes whole chunks of one OME-Zarr image. Made by [`create_ome_zarr`][]; can be pickled."""

    def __init__(self, path: Path, image: Image) -> None:
        self.path, self.image = path, image
        self._arrays: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}

    @property
    def volume(self) -> Volume:
        """The full image as written so far."""
        array = self._array(0)
        if is_plain(array):
            array = ZarrChunks(self.path / "0", array)
        return Volume(CheckedArray(array, self.path), self.image.spacing)

    def write(self, box: Box, array: np.ndarray) -> None:
        """Store the voxels of a box made of whole chunks, all channels.

        Raises:
            VolumeError: the box cuts a chunk, the array has another shape or type than the box,
                or holds NaN.
        """
        self._check(box, array)
        self._write(0, box, array)

    def has(self, box: Box) -> bool:
        """Whether every chunk that the box touches was written, even if with the fill value."""
        return all(self._present(0, box))

    def build_pyramid(self, *, reduce: str = "mean", progress: Progress | None = None) -> None:
        """Compute the coarser levels from the full image, one chunk in memory at a time.

        Args:
            reduce: how voxels merge: "mean" for intensities, "min" for distance maps, "max" for
                masks.
            progress: called with the number of chunks done and their total.

        Chunks below which nothing was written stay unwritten. What an interrupted or former call
        left is computed again.
        """
        if reduce not in REDUCTIONS:
            raise ValueError(f"`reduce` must be one of {REDUCTIONS}, got {reduce!r}")
        shapes = [level_shape(self.image.shape, f) for f in self.image.factors]
        boxes = [chunk_boxes(shape, self.image.chunks) for shape in shapes]
        jobs = ((level, box) for level in range(1, len(shapes)) for box in boxes[level])
        total = sum(count_chunks(shape, self.image.chunks) for shape in shapes[1:])
        for done, (level, box) in enumerate(jobs, start=1):
            pairs = zip(self.image.factors[level], self.image.factors[level - 1], strict=True)
            step = [coarse // fine for coarse, fine in pairs]
            source = _scale(box, step).clip(shapes[level - 1])
            if any(self._present(level - 1, source)):
                voxels = np.asarray(self._array(level - 1)[(..., *source.slices)])
                self._write(level, box, reduce_voxels(voxels, step, reduce))
            if progress is not None:
                progress(done, total)
        name = str(first_image(self.path).get("name"))
        describe(self.path, self.image, name, reduce)

    def _array(self, level: int) -> Any:
        if level not in self._arrays:
            import zarr
            from zarr.storage import LocalStore

            array = zarr.open_array(LocalStore(self.path / str(level)), mode="r+")
            self._arrays[level] = array.with_config({"write_empty_chunks": True})
        return self._arrays[level]

    def sweep(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink(missing_ok=True)

    def _write(self, level: int, box: Box, array: np.ndarray) -> None:
        stored, chunks = self._array(level), self.image.chunks
        one = all(n <= chunk for n, chunk in zip(box.shape, chunks, strict=True))
        if one and not self.image.channels and is_plain(stored):
            place = [begin // chunk for begin, chunk in zip(box.begin, chunks, strict=True)]
            write_chunk(self.path / str(level), stored, place, array)
        else:
            stored[(..., *box.slices)] = array

    def _check(self, box: Box, array: np.ndarray) -> None:
        image = self.image
        if box != box.clip(image.shape) or box.size == 0:
            raise VolumeError(
                f"{self.path}: `box` must lie inside the image of shape {image.shape}, got {box}"
            )
        ends = zip(box.end, image.chunks, image.shape, strict=True)
        begins_whole = all(b % c == 0 for b, c in zip(box.begin, image.chunks, strict=True))
        if not (begins_whole and all(e % c == 0 or e == size for e, c, size in ends)):
            raise VolumeError(
                f"{self.path}: `box` must be made of whole chunks of {image.chunks}, got {box}"
            )
        expected = (*image.channels, *box.shape)
        if array.shape != expected or not np.can_cast(array.dtype, image.dtype, "same_kind"):
            raise VolumeError(
                f"{self.path}: `array` must have shape {expected} and fit into {image.dtype}, got "
                f"shape {array.shape} of {array.dtype}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise VolumeError(f"{self.path}: `array` for {box} holds NaN or infinity")

    def _present(self, level: int, box: Box) -> Iterator[bool]:
        encode = self._array(level).metadata.encode_chunk_key
        spans = [range(n) for n in self.image.channels]
        for begin, end, chunk in zip(box.begin, box.end, self.image.chunks, strict=True):
            spans.append(range(begin // chunk, -(-end // chunk)))
        for place in product(*spans):
            yield (self.path / str(level) / encode(place)).is_file()


def write_ome_zarr(
    path: str | os.PathLike[str],
    volume: Volume,
    *,
    chunks: Sequence[int] = (64, 64, 64),
    version: str = "0.4",
    levels: int | None = None,
    progress: Progress | None = None,
    pyramid_progress: Progress | None = None,
) -> Volume:
    """Copy a volume into an OME-Zarr image with a pyramid of means; returns the copy.

    Args:
        levels: of the pyramid; as many as make the coarsest fit into one chunk if not given.
        progress: called with the number of bands of full resolution done and their total.
        pyramid_progress: the same for the chunks of the coarser levels.

    Reads bands as wide as the volume, 256 MB at most where one row of chunks fits into that.
    Interrupted and called again it goes on with the first missing chunk, then builds the pyramid
    anew.
    """
    if levels is None:
        levels = default_levels(volume.shape, volume.spacing, chunks)
    writer = create_ome_zarr(
        path,
        shape=volume.data.shape,
        spacing=volume.spacing,
        dtype=volume.dtype,
        chunks=chunks,
        version=version,
        levels=levels,
    )
    band_shape = _band(volume, writer.image.chunks)
    total = count_chunks(volume.shape, band_shape)
    for done, band in enumerate(chunk_boxes(volume.shape, band_shape), start=1):
        if not writer.has(band):
            writer.write(band, volume.read(band))
        if progress is not None:
            progress(done, total)
    writer.build_pyramid(progress=pyramid_progress)
    return open_ome_zarr(Path(path))


def chunk_boxes(shape: Index, chunks: Index) -> Iterator[Box]:
    """The boxes of all chunks of a volume, in raster order, cut at its end."""
    starts = [range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True)]
    for z, y, x in product(*starts):
        yield Box((z, y, x), (z + chunks[0], y + chunks[1], x + chunks[2])).clip(shape)


def count_chunks(shape: Index, chunks: Index) -> int:
    """The number of boxes of [`chunk_boxes`][]."""
    return prod(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True))


def _band(volume: Volume, chunks: Index) -> Index:
    """A box of whole chunks as wide as the volume: compressed pages are then decoded rarely."""
    depth, rows, width = volume.shape
    row_bytes = chunks[0] * chunks[1] * width * volume.dtype.itemsize
    row_bytes *= prod(volume.data.shape[:-3])
    count = max(1, min(-(-rows // chunks[1]), BAND_BYTES // row_bytes))
    return chunks[0], count * chunks[1], -(-width // chunks[2]) * chunks[2]


def _scale(box: Box, factors: Sequence[int]) -> Box:
    z, y, x = (slice(b * f, e * f) for b, e, f in zip(box.begin, box.end, factors, strict=True))
    return Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
