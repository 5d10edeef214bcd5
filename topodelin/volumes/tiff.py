"""TIFF in the flavours of microscopes: multi-page, BigTIFF, OME-TIFF, ImageJ hyperstacks.

Pages are found once, when the file is opened; voxels are read later and only from the pages that
hold them. Uncompressed pages are mapped, of compressed ones the touched strips or tiles are
decoded. Deflate works out of the box, other codecs need imagecodecs.

References:
    TIFF 6.0 (Adobe, 1992) and the BigTIFF extension (2007) for the chain of pages;
    tifffile reads the tags.
"""

import logging
import struct
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.lazy import CheckedArray, LazyArray, check_image
from topodelin.volumes.planes import RawPlanes
from topodelin.volumes.tiff_planes import CodedPlanes, damaged, segment_table
from topodelin.volumes.tiff_spacing import tiff_spacing
from topodelin.volumes.volume import Spacing, Volume

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_TAGS = 4096

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # our errors say it instead


def open_tiff(path: Path, spacing: Spacing | None = None) -> Volume:
    """A TIFF stack as a volume, axes `(z, y, x)`, or `(c, z, y, x)` with several channels.

    Args:
        spacing: µm per voxel `(z, y, x)`; without it the file must tell.

    Raises:
        VolumeError: not a stack of grey images, damaged, compressed with a missing codec, or
            without spacing.
    """
    array = tiff_array(path)
    check_image(path, array.shape, array.dtype)
    return Volume(CheckedArray(array, path), spacing or tiff_spacing(path))


def tiff_array(path: Path) -> LazyArray:
    """The grey values of a TIFF, 2-D or with leading axes `(z,)` or `(c, z)`, read lazily."""
    import tifffile

    check_page_chain(path)
    try:
        with tifffile.TiffFile(path) as tif:
            series = _only_series(path, tif)
            _check_promise(path, tif, series)
            return _series_array(path, tif, series)
    except (VolumeError, MemoryError):
        raise
    except Exception as error:  # whatever damaged tags provoke in the parser
        raise damaged(path, " ".join(str(error).split())[:200]) from error


def check_page_chain(path: Path) -> None:
    """Walk the chain of pages to its end; a broken one is a truncated file.

    (tifffile would quietly read the pages before the break.)
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(16)
        endian = "<" if header[:2] == b"II" else ">"
        big = header[2:4] in (b"+\0", b"\0+")
        count_format, pointer_format, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
        pointer_size, count_size = (8, 8) if big else (4, 2)
        seen: set[int] = set()
        pointer = header[8:16] if big else header[4:8]
        while True:
            if len(pointer) < pointer_size:
                raise damaged(path, f"the list of pages ends after {len(seen)} pages")
            (offset,) = struct.unpack(endian + pointer_format, pointer)
            if offset == 0:
                break
            if offset in seen or offset + count_size > size:
                raise damaged(path, f"page {len(seen) + 1} is not inside the file")
            seen.add(offset)
            file.seek(offset)
            (tags,) = struct.unpack(endian + count_format, file.read(count_size))
            if not 0 < tags <= MAX_TAGS:
                raise damaged(path, f"page {len(seen)} has {tags} tags")
            file.seek(offset + count_size + tags * entry)
            pointer = file.read(pointer_size)
    if not seen:
        raise damaged(path, "it has no page")


def _only_series(path: Path, tif: Any) -> Any:
    """The one image of the file; reduced copies and labels beside it do not count."""
    every = list(tif.series)
    if not every:
        raise damaged(path, "it has no image")
    stacks = [series for series in every if len(series.shape) > 2]
    if len(every) > 1 and not stacks:
        shapes = sorted({series.shape for series in every})
        raise VolumeError(
            f"{path}: its pages have different sizes or types, {shapes[:4]}; "
            "save a stack whose pages are all alike"
        )
    if len(stacks) > 1:
        raise VolumeError(
            f"{path}: holds {len(stacks)} images of shapes {[s.shape for s in stacks][:4]}; "
            "save the one to read as its own file"
        )
    series = stacks[0] if stacks else every[0]
    if series.is_multifile or any(page is None for page in series):
        raise VolumeError(
            f"{path}: is one part of an image spread over several files, or some of its planes "
            "are missing; save it as one file, for example with Bio-Formats' bfconvert"
        )
    return series


def _check_promise(path: Path, tif: Any, series: Any) -> None:
    """Compare the voxels found with the number of planes that ImageJ wrote into the file.

    Without it a cut file whose first page stands for all planes would pass for a 2-D image.
    """
    if tif.is_imagej:
        promised = int((tif.imagej_metadata or {}).get("images", 0))
        found = prod(series.shape) // prod(series.keyframe.shape)
        if promised > found:
            raise damaged(path, f"{promised} planes are promised and {found} are there")


def _series_array(path: Path, tif: Any, series: Any) -> LazyArray:
    keyframe = series.keyframe
    if keyframe.samplesperpixel > 1 or "S" in series.axes:
        raise VolumeError(
            f"{path}: is a colour image ({keyframe.samplesperpixel} samples per pixel), a volume "
            "has one intensity per voxel; in Fiji choose Image > Color > Split Channels and save "
            "one channel"
        )
    if keyframe.dtype is None:
        raise VolumeError(f"{path}: has {keyframe.bitspersample} bits per sample; convert to 16")
    dtype = np.dtype(keyframe.dtype)
    check_image(path, (1, 1, 1), dtype)
    order = _plane_order(path, series)
    if len(keyframe.shape) != 2:
        raise VolumeError(f"{path}: has pages of shape {keyframe.shape}; save 2-D pages")
    plane_shape = (int(keyframe.shape[0]), int(keyframe.shape[1]))
    raw = dtype.newbyteorder(tif.byteorder)
    plane_bytes = prod(plane_shape) * dtype.itemsize
    if series.dataoffset is not None:
        offsets = series.dataoffset + plane_bytes * np.arange(order.size, dtype=np.int64)
        return RawPlanes(path, offsets, order, plane_shape, raw)
    pages = list(series)
    if len(pages) != order.size:
        raise damaged(path, f"it has {len(pages)} pages for {order.size} planes")
    if all(_in_one_stretch(page) for page in pages):
        offsets = np.array([page.dataoffsets[0] for page in pages], np.int64)
        return RawPlanes(path, offsets, order, plane_shape, raw)
    offsets, counts = segment_table(path, pages, plane_bytes)
    tiled = keyframe.is_tiled
    segment_shape = (
        int(keyframe.tilelength if tiled else keyframe.rowsperstrip),
        int(keyframe.tilewidth if tiled else plane_shape[1]),
    )
    across, down = (-(-n // s) for n, s in zip(plane_shape, segment_shape, strict=True))
    if across * down != offsets.shape[1]:
        raise damaged(path, f"a page has {offsets.shape[1]} segments, not {across * down}")
    return CodedPlanes(
        path, int(keyframe.index), offsets, counts, segment_shape, order, plane_shape, dtype
    )


def _plane_order(path: Path, series: Any) -> np.ndarray:
    """Number of the page at each `(z,)` or `(c, z)`, from the axes the file names."""
    axes, shape = series.axes[:-2], series.shape[:-2]
    if series.axes[-2:] != "YX":
        raise VolumeError(f"{path}: has axes {series.axes}; save it with axes ZYX")
    if len(axes) == 1 and axes in "IQ":
        axes = "Z"  # a stack of pages that says no more
    numbers = np.arange(prod(shape)).reshape(shape)
    if axes in ("", "Z", "CZ"):
        return numbers
    if axes == "ZC":
        return numbers.T
    if axes in ("T", "C"):
        marked = "time points" if axes == "T" else "channels"
        raise VolumeError(
            f"{path}: its {shape[0]} planes are marked as {marked}, not as slices; if they are "
            "slices, correct it in Fiji with Image > Properties and save again"
        )
    raise VolumeError(
        f"{path}: has axes {series.axes} of shape {series.shape}, a volume has ZYX or CZYX; save "
        "one stack of one time point as its own file, with its axes named"
    )


def _in_one_stretch(page: Any) -> bool:
    """Whether the page is plain numbers, its strips one after the other."""
    if not page.is_final or len(page.dataoffsets) == 0:
        return False
    offsets, counts = page.dataoffsets, page.databytecounts
    if len(offsets) == 1 or len(counts) != len(offsets):
        return len(offsets) == 1
    ends = np.asarray(offsets, np.int64) + np.asarray(counts, np.int64)
    return bool((ends[:-1] == np.asarray(offsets[1:], np.int64)).all())
