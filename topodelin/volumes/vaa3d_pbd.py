r"""Voxels packed by Vaa3D (v3dpbd): runs of literals, of repeats and of small differences.

The stream is a row of blocks, each one code byte and what follows it. $p$ is the voxel before, 0 at
the beginning; differences are taken from it one after the other, across blocks.

    8 bits   code 0..32      code + 1 voxels as they are
             33..127         code - 32 differences of 2 bits, lowest bits first: 0, 1, 2, -1
             128..255        code - 127 times the one voxel that follows

    16 bits  code 0..31      code + 1 voxels as they are
             32..79          code - 31 differences of 3 bits: 0 to 4, -1 to -3
             80..182         code - 79 differences of 4 bits: 0 to 8, -1 to -7
             183..222        code - 182 differences of 5 bits: 0 to 16, -1 to -15
             223..255        code - 222 times the one voxel that follows

In 16 bits, differences are packed highest bits first, and those above half of the range are
negative: of $b$ bits, $d > 2^{b-1}$ stands for $2^{b-1} - d$. Each block begins at a whole byte.

The table was found by asking an independent reader (v3d-py-helper) what it makes of single blocks.
Its documentation says that files of 16 bits from elsewhere do with fewer codes; it writes those
without 80 to 222 then. All are read.
"""

from math import prod
from pathlib import Path
from typing import Any, no_type_check

import numpy as np
from numba import njit

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.lazy import LazyArray, Slices

MOST_PER_BYTE = {1: 64, 2: 11}  # voxels that one packed byte can stand for


class PackedArray(LazyArray):
    """The voxels of a v3dpbd file. The whole image is decoded at the first read and then kept.

    Takes as much memory as the image unpacked; each process that gets a copy decodes its own.

    Args:
        shape: of the image, last axis fastest.
        offset: byte at which the first block begins.

    Raises:
        VolumeError: the file is too short for the voxels it promises, or 16 bits big-endian; when
            read, the image does not fit into memory or its blocks do not give its voxels.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype, offset: int) -> None:
        self.path, self.shape, self.offset = path, shape, offset
        if dtype.byteorder == ">":
            raise VolumeError(
                f"{path}: is a big-endian v3dpbd of 16 bits, whose packing is not documented; "
                "save it as v3draw in Vaa3D"
            )
        self.dtype = dtype.newbyteorder("=")
        packed = path.stat().st_size - offset
        if prod(shape) > packed * MOST_PER_BYTE[dtype.itemsize]:
            raise _truncated(path, f"{shape} voxels do not fit into {packed:,} packed bytes")
        self._voxels: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_voxels": None}

    def read_slices(self, slices: Slices) -> np.ndarray:
        if self._voxels is None:
            self._voxels = self._decode().reshape(self.shape)
        return self._voxels[slices].copy()

    def _decode(self) -> np.ndarray:
        packed = np.fromfile(self.path, np.uint8, offset=self.offset)
        try:
            voxels = np.empty(prod(self.shape), self.dtype)
        except MemoryError:
            size = prod(self.shape) * self.dtype.itemsize
            raise VolumeError(
                f"{self.path}: takes {size:,} bytes of memory unpacked, which are not there; save "
                "it as v3draw in Vaa3D, that is read piece by piece"
            ) from None
        decode = _decode8 if self.dtype.itemsize == 1 else _decode16
        found = decode(packed, voxels)
        if found != len(voxels):
            raise _truncated(self.path, f"its blocks hold {found:,} of {len(voxels):,} voxels")
        return voxels


def _truncated(path: Path, what: str) -> VolumeError:
    return VolumeError(f"{path}: is truncated or damaged, {what}; copy it again from its origin")


@njit(cache=True, nogil=True)
@no_type_check
def _decode8(packed: np.ndarray, voxels: np.ndarray) -> int:
    """Fill `voxels`; how many could be filled before the blocks ended."""
    at, filled, before = 0, 0, 0
    while at < len(packed) and filled < len(voxels):
        code = packed[at]
        at += 1
        if code < 33:
            count = min(code + 1, len(voxels) - filled, len(packed) - at)
            voxels[filled : filled + count] = packed[at : at + count]
            at += code + 1
        elif code < 128:
            count = min(code - 32, len(voxels) - filled, 4 * (len(packed) - at))
            for i in range(count):
                difference = (packed[at + i // 4] >> (2 * (i % 4))) & 3
                before += -1 if difference == 3 else difference
                voxels[filled + i] = before & 255
            at += (code - 32 + 3) // 4
        else:
            count = min(code - 127, len(voxels) - filled, 255 * (len(packed) - at))
            if count > 0:
                voxels[filled : filled + count] = packed[at]
            at += 1
        filled += count
        if count > 0:
            before = int(voxels[filled - 1])
    return filled


@njit(cache=True, nogil=True)
@no_type_check
def _decode16(packed: np.ndarray, voxels: np.ndarray) -> int:
    """Fill `voxels`; how many could be filled before the blocks ended."""
    at, filled, before = 0, 0, 0
    while at < len(packed) and filled < len(voxels):
        code = int(packed[at])
        at += 1
        room, left = len(voxels) - filled, len(packed) - at
        if code < 32:
            count = min(code + 1, room, left // 2)
            for i in range(count):
                voxels[filled + i] = int(packed[at + 2 * i]) | int(packed[at + 2 * i + 1]) << 8
            at += 2 * (code + 1)
        elif code < 223:
            bits = 3 if code < 80 else (4 if code < 183 else 5)
            promised = code - (31 if bits == 3 else (79 if bits == 4 else 182))
            count = min(promised, room, 8 * left // bits)
            half = 1 << (bits - 1)
            for i in range(count):
                difference = 0
                for bit in range(i * bits, (i + 1) * bits):
                    difference = difference << 1 | (int(packed[at + bit // 8]) >> (7 - bit % 8) & 1)
                before += difference if difference <= half else half - difference
                voxels[filled + i] = before & 65535
            at += (promised * bits + 7) // 8
        else:
            count = min(code - 222, room, 33 * (left // 2))
            if count > 0:
                voxels[filled : filled + count] = int(packed[at]) | int(packed[at + 1]) << 8
            at += 2
        filled += count
        if count > 0:
            before = int(voxels[filled - 1])
    return filled
