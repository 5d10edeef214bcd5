r"""Vaa3D images: v3draw, mapped and written band by band; v3dpbd, its packed sister, decoded.

Both begin with 43 bytes:

    24 bytes   raw_image_stack_by_hpeng (v3draw) or v3d_volume_pkbitdf_encod (v3dpbd)
     1 byte    L or B, the byte order of all that follows
     int16     bytes per voxel: 1 = uint8, 2 = uint16, 4 = float32
     4 int32   sizes x, y, z, c

and go on with the voxels, x running fastest, then y, z, c. Old v3draw files give the sizes as four
int16 (35 bytes in all); they are told by the length of the file. There is no place for the size of
a voxel.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

import numpy as np

from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.lazy import CheckedArray, LazyArray, MappedArray, check_bytes, check_image
from topodelin.volumes.vaa3d_pbd import PackedArray
from topodelin.volumes.volume import Spacing, Volume
from topodelin.volumes.whole_file import whole_file

RAW_KEY = b"raw_image_stack_by_hpeng"
PBD_KEY = b"v3d_volume_pkbitdf_encod"
MAGIC = (RAW_KEY, PBD_KEY)
TYPES = {1: "uint8", 2: "uint16", 4: "float32"}
HEADER, SHORT_HEADER = 43, 35  # bytes
BAND_BYTES = 64 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Vaa3dHeader:
    """What the first bytes of a file say.

    Args:
        shape: `(c, z, y, x)`.
        dtype: in the byte order of the file.
        offset: of the first voxel, or of the packed bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int


def open_v3d(path: Path, spacing: Spacing | None = None) -> Volume:
    """A v3draw or v3dpbd file as a volume, `(z, y, x)`, or `(c, z, y, x)` with several channels.

    Args:
        path: the file. A v3draw is mapped and read by box. A v3dpbd has no places to enter it:
            it is decoded whole when its first voxel is read, and kept; see
            [`PackedArray`][topodelin.volumes.vaa3d_pbd.PackedArray].
        spacing: µm per voxel `(z, y, x)`; must be given, the file cannot tell it.

    Raises:
        VolumeError: damaged, truncated, of an unknown type, or without spacing.
    """
    array = v3d_array(path)
    if spacing is None:
        raise spacing_needed(path, "a Vaa3D image does not tell the size of its voxels")
    return Volume(CheckedArray(array, path), spacing)


def v3d_array(path: Path) -> LazyArray:
    """The voxels of a v3draw or v3dpbd file, `(z, y, x)` or `(c, z, y, x)`, read lazily."""
    with path.open("rb") as file:
        start = file.read(HEADER)
    header = _header(path, start)
    shape = header.shape if header.shape[0] > 1 else header.shape[1:]
    check_image(path, shape, header.dtype)
    kind = MappedArray if start.startswith(RAW_KEY) else PackedArray
    return kind(path, shape, header.dtype, header.offset)


def _header(path: Path, start: bytes) -> Vaa3dHeader:
    if len(start) < SHORT_HEADER:
        raise VolumeError(f"{path}: is truncated within its header; copy it again from its origin")
    order = {b"L": "<", b"B": ">"}.get(start[24:25])
    if order is None:
        raise VolumeError(
            f"{path}: its byte order is {start[24:25]!r}, which is neither L nor B, so the header "
            "is damaged; save it again in Vaa3D"
        )
    (size,) = struct.unpack(order + "h", start[25:27])
    if size not in TYPES or (start.startswith(PBD_KEY) and size == 4):
        known = "1 and 2" if start.startswith(PBD_KEY) else "1, 2 and 4"
        raise VolumeError(
            f"{path}: has {size} bytes per voxel, known are {known}; "
            "save it in Vaa3D as 8 or 16 bits"
        )
    dtype = np.dtype(order + np.dtype(TYPES[size]).str[1:])
    short = struct.unpack(order + "4h", start[27:SHORT_HEADER])
    if start.startswith(RAW_KEY) and min(short) > 0:
        if path.stat().st_size == SHORT_HEADER + prod(short) * size:
            return Vaa3dHeader(short[::-1], dtype, SHORT_HEADER)
    check_bytes(path, HEADER, "a header and no voxels")
    sizes = struct.unpack(order + "4i", start[27:HEADER])
    if min(sizes) < 1:
        raise VolumeError(
            f"{path}: gives the impossible sizes {sizes} for x, y, z, c; save it again in Vaa3D"
        )
    return Vaa3dHeader(sizes[::-1], dtype, HEADER)


def write_v3draw(
    path: str | os.PathLike[str], volume: Volume, *, progress: Progress | None = None
) -> None:
    """Write a volume as v3draw, little-endian; the file appears whole or not at all.

    Args:
        path: the file to write.
        volume: uint8, uint16 or float32, axes `(z, y, x)` or `(c, z, y, x)`; read in bands of
            slices of at most 64 MB, where one slice fits into that.
        progress: called with the number of bands done and their total.

    The spacing has no place in the file; give it again when the file is read.

    Raises:
        VolumeError: another type of voxel.
    """
    where = Path(path)
    if volume.dtype.name not in TYPES.values():
        raise VolumeError(
            f"{where}: a v3draw file holds uint8, uint16 or float32, got {volume.dtype}; "
            "convert the volume first"
        )
    dtype = volume.dtype.newbyteorder("<")
    depth, *plane = volume.shape
    channels = volume.data.shape[:-3]
    thick = max(1, BAND_BYTES // (prod(plane) * dtype.itemsize))
    bands = list(product(*(range(count) for count in channels), range(0, depth, thick)))
    sizes = (*volume.shape[::-1], prod(channels))
    with whole_file(where) as part, part.open("wb") as file:
        file.write(RAW_KEY + b"L" + struct.pack("<h4i", dtype.itemsize, *sizes))
        for done, (*channel, first) in enumerate(bands, start=1):
            band = volume.data[(*channel, slice(first, min(first + thick, depth)))]
            file.write(np.ascontiguousarray(band, dtype).data)
            if progress is not None:
                progress(done, len(bands))
