"""Chunks of zarr 2 arrays in a local folder, read and written as files, without zarr's event loop.

zarr hands every chunk to a loop in another thread, which costs more than to decode it. Arrays of
other kinds (version 3, filters, Fortran order) are left to zarr.
"""

import os
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from itertools import product
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from topodelin.volumes.lazy import LazyArray, Slices

KEPT_BYTES = 32 << 20  # of decoded chunks; neighbouring cubes share most of theirs

Signature = tuple[int, int, int]


def is_plain(array: Any) -> bool:
    """Whether the chunks of a zarr array are files that hold nothing but compressed voxels."""
    metadata = array.metadata
    return (
        metadata.zarr_format == 2
        and metadata.order == "C"
        and not metadata.filters
        and np.dtype(array.dtype).kind in "buif"
    )


class ZarrChunks(LazyArray):
    """An array whose chunks are decoded from their files; the last ones read are kept.

    A chunk that has no file reads as the fill value. A kept chunk is used again only while its file
    is the same (time, size, inode), so an array that is being written reads as it is.

    Args:
        folder: of the array.
        array: the zarr array, for which `is_plain` holds.
        kept_bytes: of decoded chunks.
    """

    def __init__(self, folder: Path, array: Any, kept_bytes: int = KEPT_BYTES) -> None:
        self.folder, self.metadata = folder, array.metadata
        self.shape = tuple(int(size) for size in array.shape)
        self.chunks = tuple(int(size) for size in array.chunks)
        self.stored = np.dtype(array.metadata.dtype.to_native_dtype())
        self.dtype = self.stored.newbyteorder("=")
        self.fill = self.dtype.type(0 if array.fill_value is None else array.fill_value)
        self.kept_bytes = kept_bytes
        self._forget()

    def _forget(self) -> None:
        self._kept: OrderedDict[str, tuple[Signature, np.ndarray]] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def __getstate__(self) -> dict[str, Any]:
        private = ("_kept", "_bytes", "_lock")
        return {name: value for name, value in self.__dict__.items() if name not in private}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._forget()

    def read_slices(self, slices: Slices) -> np.ndarray:
        begins = [s.start for s in slices]
        result = np.empty([s.stop - s.start for s in slices], self.dtype)
        spans = [
            range(s.start // c, -(-s.stop // c)) for s, c in zip(slices, self.chunks, strict=True)
        ]
        for place in product(*spans):
            corner = [p * c for p, c in zip(place, self.chunks, strict=True)]
            first = [max(b, at) for b, at in zip(begins, corner, strict=True)]
            last = [
                min(s.stop, at + c) for s, at, c in zip(slices, corner, self.chunks, strict=True)
            ]
            there = tuple(slice(a - b, z - b) for a, z, b in zip(first, last, begins, strict=True))
            chunk = self._chunk(place)
            if chunk is None:
                result[there] = self.fill
            else:
                inside = zip(first, last, corner, strict=True)
                result[there] = chunk[tuple(slice(a - at, z - at) for a, z, at in inside)]
        return result

    def _chunk(self, place: Sequence[int]) -> np.ndarray | None:
        """The voxels of a chunk, None where it was not written."""
        path = f"{self.folder}/{self.metadata.encode_chunk_key(tuple(place))}"
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return None
        signature = status.st_mtime_ns, status.st_size, status.st_ino
        with self._lock:
            if path in self._kept and self._kept[path][0] == signature:
                self._kept.move_to_end(path)
                return self._kept[path][1]
        with open(path, "rb") as file:
            chunk = self._decoded(file.read())
        self._keep(path, signature, chunk)
        return chunk

    def _decoded(self, stored: bytes) -> np.ndarray:
        compressor = self.metadata.compressor
        voxels = np.frombuffer(
            stored if compressor is None else compressor.decode(stored), dtype=np.uint8
        )
        expected = prod(self.chunks) * self.stored.itemsize
        if voxels.size != expected:
            raise ValueError(f"a chunk holds {voxels.size} bytes in the place of {expected}")
        return voxels.view(self.stored).reshape(self.chunks)

    def _keep(self, path: str, signature: Signature, chunk: np.ndarray) -> None:
        with self._lock:
            former = self._kept.pop(path, None)
            self._bytes += chunk.nbytes - (0 if former is None else former[1].nbytes)
            self._kept[path] = signature, chunk
            while self._bytes > self.kept_bytes:
                _, (_, oldest) = self._kept.popitem(last=False)
                self._bytes -= oldest.nbytes


def write_chunk(folder: Path, array: Any, place: Sequence[int], voxels: np.ndarray) -> None:
    """Store a whole chunk of an array for which `is_plain` holds, with the bytes that zarr writes.

    Args:
        folder: of the array.
        array: the zarr array.
        place: of the chunk, counted in chunks.
        voxels: those inside the array; where it ends within the chunk the rest is filled up.
    """
    dtype, chunks = array.metadata.dtype.to_native_dtype(), tuple(array.chunks)
    whole = voxels
    if voxels.shape != chunks:
        whole = np.full(chunks, array.fill_value, dtype)
        whole[tuple(slice(0, n) for n in voxels.shape)] = voxels
    whole = np.ascontiguousarray(whole, dtype=dtype)
    path = f"{folder}/{array.metadata.encode_chunk_key(tuple(place))}"
    draft = f"{path}.{uuid.uuid4().hex[:8]}.partial"
    compressor = array.metadata.compressor
    encoded = whole.tobytes() if compressor is None else compressor.encode(whole)
    try:
        file = open(draft, "wb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(draft, "wb")
    with file:
        file.write(encoded)
    os.replace(draft, path)
