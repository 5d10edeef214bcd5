"""Slices written to one TIFF or OME-Zarr as they come, whole or not at all."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes import Box, Index, Spacing, VolumeError, create_ome_zarr

TIFF = (".tif", ".tiff")
CHUNK = (16, 256, 256)  # at most, `(z, y, x)`
TIFF_TYPES = ("uint8", "uint16", "float32")


def check_out(path: Path, dtype: Any, *, overwrite: bool) -> None:
    """Refuse what cannot be written, before hours are spent on it."""
    if not (path.suffix.lower() in TIFF or path.suffix.lower() == ".zarr"):
        raise VolumeError(
            f"{path}: must end in .tif or .ome.zarr, got {path.suffix or 'no'} ending"
        )
    if path.suffix.lower() in TIFF and np.dtype(dtype).name not in TIFF_TYPES:
        raise VolumeError(
            f"{path}: TIFF has no values of type {np.dtype(dtype)}; write to .ome.zarr, or choose "
            "float32"
        )
    if not path.parent.is_dir():
        raise VolumeError(f"{path.parent}: is no folder; create it first")
    if path.exists() and not overwrite:
        raise VolumeError(f"{path}: exists; give another name, or --overwrite")
    if path.is_dir() and not any((path / name).is_file() for name in (".zgroup", "zarr.json")):
        raise VolumeError(f"{path}: is a folder of other files; give another name")


def write_planes(
    path: Path,
    planes: Iterator[np.ndarray],
    *,
    shape: Index,
    spacing: Spacing,
    dtype: Any,
    channels: Sequence[str] = (),
    reduce: str | None = None,
) -> None:
    """Slices `(channel, y, x)` as an image `(c, z, y, x)`; `(z, y, x)` without `channels`.

    Args:
        path: .tif (an OME-TIFF, compressed where it holds whole numbers) or .ome.zarr; an existing
            one is replaced once the new one is complete.
        shape: of the volume `(z, y, x)`.
        spacing: µm per voxel `(z, y, x)`.
        dtype: that the values are stored in.
        channels: their names.
        reduce: how voxels merge in the coarser levels of an OME-Zarr; None = no such levels.
    """
    typed = (np.asarray(plane).astype(dtype, copy=False) for plane in planes)
    with replacing(path) as partial:
        if path.suffix.lower() in TIFF:
            _write_tiff(partial, typed, shape, spacing, np.dtype(dtype), channels)
        else:
            name = path.name.removesuffix(".zarr").removesuffix(".ome")
            _write_zarr(partial, typed, shape, spacing, np.dtype(dtype), channels, reduce, name)


def _write_tiff(
    path: Path,
    planes: Iterator[np.ndarray],
    shape: Index,
    spacing: Spacing,
    dtype: np.dtype,
    channels: Sequence[str],
) -> None:
    import tifffile

    about: dict[str, Any] = {"axes": "ZCYX" if channels else "ZYX"}
    for axis, step in zip("ZYX", spacing, strict=True):
        about |= {f"PhysicalSize{axis}": step, f"PhysicalSize{axis}Unit": "µm"}
    if channels:
        about["Channel"] = {"Name": list(channels)}
    size = (shape[0], len(channels), *shape[1:]) if channels else shape
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
        writer.write(
            (image for plane in planes for image in plane),
            shape=size,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib" if dtype.kind == "u" else None,
            metadata=about,
        )


def _write_zarr(
    path: Path,
    planes: Iterator[np.ndarray],
    shape: Index,
    spacing: Spacing,
    dtype: np.dtype,
    channels: Sequence[str],
    reduce: str | None,
    name: str,
) -> None:
    from topodelin.volumes.pyramid import default_levels

    depth, height, width = (min(n, most) for n, most in zip(shape, CHUNK, strict=True))
    chunks = (depth, height, width)
    writer = create_ome_zarr(
        path,
        shape=(len(channels), *shape) if channels else shape,
        spacing=spacing,
        dtype=dtype,
        chunks=chunks,
        levels=1 if reduce is None else default_levels(shape, spacing, chunks),
        name=name,
    )
    for z in range(0, shape[0], depth):
        some = np.stack(list(islice(planes, depth)), axis=1)
        box = Box((z, 0, 0), (z + some.shape[1], *shape[1:]))
        writer.write(box, some if channels else some[0])
    if reduce is not None:
        writer.build_pyramid(reduce=reduce)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes its place at the end, or goes if an error came."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        yield partial
        if path.is_dir():  # a folder cannot be renamed over another
            path.rename(old)
        try:
            partial.replace(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        for remains in (partial, old):
            if remains.is_dir():
                shutil.rmtree(remains)
            else:
                remains.unlink(missing_ok=True)
