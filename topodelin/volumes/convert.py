"""Write a volume in another format, a band in memory at a time.

A single file appears whole or not at all. Folders of chunks or tiles go on where a former call
with the same source stopped: as long as the conversion lasts, a small file NAME.converting beside
the folder says what it is made of. Nothing finished is overwritten.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from topodelin.volumes.changed import in_slabs
from topodelin.volumes.errors import VolumeError
from topodelin.volumes.locations import file_and_member, location
from topodelin.volumes.ome_zarr_writer import write_ome_zarr
from topodelin.volumes.volume import Volume
from topodelin.volumes.whole_file import whole_file

ENDINGS = {
    ".zarr": "ome-zarr",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".v3draw": "v3draw",
    ".npy": "npy",
}
TARGETS = ("ome-zarr", "tiff", "v3draw", "npy", "terafly")
FOLDERS = ("ome-zarr", "terafly")
TYPES = {
    "tiff": ("uint8", "uint16", "float32"),
    "v3draw": ("uint8", "uint16", "float32"),
    "terafly": ("uint8", "uint16"),
}
CHUNKS = (128, 128, 128)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Converted:
    """What was written."""

    path: Path
    target: str
    shape: tuple[int, ...]
    dtype: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**self.__dict__, "path": str(self.path)}

    def __str__(self) -> str:
        size = " x ".join(str(n) for n in self.shape)
        return "\n".join(
            [f"written to {self.path}: {self.target}, {size} of {self.dtype}", *self.notes]
        )


def convert(
    volume: Volume,
    path: Path,
    *,
    target: str | None = None,
    source: str = "",
    chunks: Sequence[int] | None = None,
    levels: int | None = None,
    restart: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write `volume` to `path`.

    Args:
        path: must not exist, unless it is a folder that a former call began.
        target: one of "ome-zarr", "tiff", "v3draw", "npy" and "terafly"; without it the ending of
            the name decides: .zarr, .tif, .tiff, .v3draw or .npy.
        source: text that tells this image from others of the same shape and type.
        chunks: voxels `(z, y, x)` of a chunk of OME-Zarr (128 a side if not given) or of a tile
            of TeraFly.
        levels: of the pyramid, for the same two.
        restart: discard what an interrupted call left at `path`.
        progress: called with the number of parts done and their total.

    Raises:
        VolumeError: `path` exists, the format cannot hold the type or the channels, or the disk
            is too small.
    """
    target = target or target_of(path)
    _check(volume, path, target, chunks, levels)
    if target not in FOLDERS:
        if path.exists():
            raise _exists(path)
        _check_space(volume, path)
        notes = _write_file(volume, path, target, progress)
        return Converted(path, target, tuple(volume.data.shape), str(volume.dtype), notes)
    record = {
        "source": source, "target": target, "shape": [*volume.data.shape],
        "dtype": str(volume.dtype), "spacing": [*volume.spacing],
        "chunks": None if chunks is None else [*chunks], "levels": levels,
    }  # fmt: skip
    marker = _claim(path, record, restart)
    try:
        notes = _write_folder(volume, path, target, source, chunks, levels, progress)
    except BaseException:
        if not path.exists():  # refused before it began
            marker.unlink()
        raise
    marker.unlink()
    return Converted(path, target, tuple(volume.data.shape), str(volume.dtype), notes)


def target_of(path: Path) -> str:
    """The format that the ending of a name asks for."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(
            f"{path}: its ending names no format that is written; end it in .ome.zarr, .tif, "
            f".v3draw or .npy, or say --to {' or '.join(TARGETS)}"
        )
    return ENDINGS[path.suffix.lower()]


def source_text(
    image: str, *, channel: int | None = None, dtype: str | None = None, rescale: bool = False
) -> str:
    """What a conversion is made of: the image with its size and time of change, and the changes."""
    where = location(image)
    parts = [str(where) if isinstance(where, str) else str(where.absolute())]
    if not isinstance(where, str) and file_and_member(where)[0].is_file():
        status = file_and_member(where)[0].stat()
        parts.append(f"{status.st_size} bytes of {status.st_mtime_ns}")
    if channel is not None:
        parts.append(f"channel {channel}")
    if dtype is not None:
        parts.append(f"{dtype}{', rescaled' if rescale else ''}")
    return ", ".join(parts)


def _check(
    volume: Volume, path: Path, target: str, chunks: Sequence[int] | None, levels: int | None
) -> None:
    if target not in TARGETS:
        raise ValueError(f"`target` must be one of {', '.join(TARGETS)}, got {target!r}")
    if not path.absolute().parent.is_dir():
        raise VolumeError(f"{path}: has no folder to stand in; make {path.parent}")
    if target not in FOLDERS and (chunks is not None or levels is not None):
        raise ValueError(f"{path}: {target} has no chunks and no levels; leave them out")
    types = TYPES.get(target)
    if types is not None and volume.dtype.name not in types:
        raise VolumeError(
            f"{path}: {target} holds {', '.join(types)}, and the image is {volume.dtype}; say "
            f"--dtype {types[-1]} to change it, with --rescale to map its intensities"
        )
    if target == "terafly" and len(volume.data.shape) == 4:
        raise VolumeError(
            f"{path}: a TeraFly folder is written with one of {volume.data.shape[0]} channels; "
            "say which with --channel, counted from 0"
        )


def _check_space(volume: Volume, path: Path) -> None:
    needed = prod(volume.data.shape) * volume.dtype.itemsize
    free = shutil.disk_usage(path.absolute().parent).free
    if needed > free:
        raise VolumeError(
            f"{path}: needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free there; choose "
            "another disk, or OME-Zarr, which is compressed"
        )


def _write_file(
    volume: Volume, path: Path, target: str, progress: Progress | None
) -> tuple[str, ...]:
    z, y, x = volume.spacing
    silent = (f"the file cannot tell its spacing; give it again: --spacing {z:g},{y:g},{x:g}",)
    if target == "v3draw":
        from topodelin.volumes.vaa3d import write_v3draw

        write_v3draw(path, in_slabs(volume), progress=progress)
        return silent
    if target == "npy":
        _write_npy(volume, path, progress)
        return silent
    return _write_tiff(volume, path, progress)


def _write_npy(volume: Volume, path: Path, progress: Progress | None) -> None:
    header = {"shape": volume.data.shape, "fortran_order": False, "descr": volume.dtype.str}
    with whole_file(path) as part, part.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for page in _pages(volume, progress, by_slice=False):
            file.write(np.ascontiguousarray(page).data)


def _write_tiff(volume: Volume, path: Path, progress: Progress | None) -> tuple[str, ...]:
    from topodelin.volumes.tiff_writer import (
        CLASSIC_LIMIT,
        MOST_PAGES,
        PAGE_OVERHEAD,
        imagej_description,
        write_pages,
    )

    channels = prod(volume.data.shape[:-3])
    pages = channels * volume.shape[0]
    size = prod(volume.data.shape) * volume.dtype.itemsize + pages * PAGE_OVERHEAD
    big = size > CLASSIC_LIMIT or pages > MOST_PAGES
    text = imagej_description(volume.shape[0], channels, volume.spacing)
    planes = _pages(volume, progress, by_slice=True)
    write_pages(path, planes, pages, volume.spacing, text, bigtiff=big)
    if not big:
        return ()
    return ("it is a BigTIFF, which Vaa3D cannot open; for Vaa3D write .v3draw or --to terafly",)


def _pages(volume: Volume, progress: Progress | None, *, by_slice: bool) -> Iterator[np.ndarray]:
    """Every plane, channel by channel, or slice by slice with its channels one after the other."""
    data = in_slabs(volume).data
    depth, channels = volume.shape[0], volume.data.shape[:-3]
    numbers = [(c,) for c in range(channels[0])] if channels else [()]
    pairs = [(z, c) for z in range(depth) for c in numbers] if by_slice else [
        (z, c) for c in numbers for z in range(depth)
    ]  # fmt: skip
    for done, (z, channel) in enumerate(pairs, start=1):
        yield np.asarray(data[(*channel, z)])
        if progress is not None:
            progress(done, len(pairs))


def _claim(path: Path, record: dict[str, object], restart: bool) -> Path:
    """The file that marks the conversion as begun, or an error where something else lies."""
    marker = path.with_name(f"{path.name}.converting")
    begun = path.exists() and marker.is_file()
    if path.exists() and not begun:
        raise _exists(path)
    if begun and restart:
        shutil.rmtree(path)
    elif begun:
        try:
            former = json.loads(marker.read_text(encoding="utf-8"))
        except ValueError:
            former = {}
        for name, value in record.items():
            if former.get(name) != value:
                raise VolumeError(
                    f"{path}: was begun with {name} {former.get(name)}, now it is {value}; give "
                    "another name, or add --restart to discard it"
                )
    with whole_file(marker) as part:
        part.write_text(json.dumps(record, indent=2), encoding="utf-8")
    return marker


def _write_folder(
    volume: Volume,
    path: Path,
    target: str,
    source: str,
    chunks: Sequence[int] | None,
    levels: int | None,
    progress: Progress | None,
) -> tuple[str, ...]:
    if target == "ome-zarr":
        size = CHUNKS if chunks is None else chunks
        write_ome_zarr(
            path, volume, chunks=size, levels=levels, progress=progress, pyramid_progress=progress
        )
        return ()
    from topodelin.volumes.terafly_writer import TILE, write_terafly

    write_terafly(
        path,
        volume,
        levels=levels,
        tile=chunks or TILE,
        source={"made of": source},
        progress=progress,
    )
    return ("open it in Vaa3D with Advanced > Big-Image-Data > TeraFly",)


def _exists(path: Path) -> VolumeError:
    return VolumeError(f"{path}: exists already and is not overwritten; give another name")
