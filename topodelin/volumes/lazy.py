"""Arrays whose voxels stay where they are until a box of them is asked for."""

import warnings
from abc import ABC, abstractmethod
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError

Slices = tuple[slice, ...]


class LazyArray(ABC):
    """An array read by plain slices: one method, `read_slices`, has to be written.

    Indexing takes integers, slices and `...`; it returns a new array, or a number.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    @abstractmethod
    def read_slices(self, slices: Slices) -> np.ndarray:
        """The region given by one slice `begin <= index < end` (step 1) for each axis."""

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: Any, /) -> Any:
        slices, then = plain_slices(key, self.shape)
        lengths = tuple(s.stop - s.start for s in slices)
        if 0 in lengths:
            return np.empty(lengths, self.dtype)[then]
        return self.read_slices(slices)[then]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


def plain_slices(key: Any, shape: tuple[int, ...]) -> tuple[Slices, tuple[slice | int, ...]]:
    """A numpy index as plain slices to read, and the index that finishes the job in memory.

    The second part drops the axes indexed by an integer and applies steps.
    """
    keys = key if isinstance(key, tuple) else (key,)
    if any(k is None or isinstance(k, list | np.ndarray) for k in keys):
        raise TypeError(f"a volume is indexed by integers and slices only, got {key!r}")
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys = keys[:at] + (slice(None),) * (len(shape) - len(keys) + 1) + keys[at + 1 :]
    keys = keys + (slice(None),) * (len(shape) - len(keys))
    if len(keys) != len(shape):
        raise IndexError(f"too many indices for shape {shape}: {key!r}")
    read, then = [], []
    for item, size in zip(keys, shape, strict=True):
        if isinstance(item, slice):
            begin, end, step = item.indices(size)
            if step < 1:
                raise IndexError(f"a volume is read with positive steps only, got {item}")
            read.append(slice(begin, max(begin, end)))
            then.append(slice(None, None, step))
        else:
            index = int(item)
            if not -size <= index < size:
                raise IndexError(f"index {index} is out of range for an axis of {size}")
            read.append(slice(index % size, index % size + 1))
            then.append(0)
    return tuple(read), tuple(then)


class CheckedArray(LazyArray):
    """The array of a file: whatever goes wrong while it is read becomes one line with its name.

    Args:
        data: anything with `shape`, `dtype` and `[slices]`.
        source: the file or folder, for messages.
        marker: a file that must still be there after a read, for stores that read as background
            what they do not find.

    Every read of a float array is searched for NaN and infinity, which are refused.
    """

    def __init__(self, data: Any, source: str | Path, marker: Path | None = None) -> None:
        self.data = data
        self.source, self.marker = str(source), marker
        self.shape = tuple(int(size) for size in data.shape)
        self.dtype = np.dtype(data.dtype).newbyteorder("=")

    def read_slices(self, slices: Slices) -> np.ndarray:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array = np.ascontiguousarray(self.data[slices], dtype=self.dtype)
        except (VolumeError, MemoryError):
            raise
        except Exception as error:  # decoders of five formats raise whatever they like
            raise VolumeError(
                f"{self.source}: cannot be read, it is damaged or incomplete "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); "
                "copy it again from its origin"
            ) from error
        if self.marker is not None and not self.marker.is_file():
            raise VolumeError(
                f"{self.source}: is gone, {self.marker.name} was there when it was opened; connect "
                "the disk again"
            )
        if self.dtype.kind == "f" and not np.isfinite(array).all():
            bad = np.argwhere(~np.isfinite(array))
            first = tuple(int(b + s.start) for b, s in zip(bad[0], slices, strict=True))
            raise VolumeError(
                f"{self.source}: {len(bad)} voxels of the region read are NaN or infinite, the "
                f"first at index {first}; replace them, for example with `numpy.nan_to_num`, "
                "and save the file again"
            )
        return array


class MappedArray(LazyArray):
    """Numbers that lie uncompressed in one stretch of a file, mapped anew for each read.

    Holds no open file, so it can be sent to another process. The caller has checked `dtype`.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype, offset: int, order: str = "C"
    ) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self.offset, self.order = offset, order
        self._check_size()

    def _check_size(self) -> None:
        expected = self.offset + prod(self.shape) * self.dtype.itemsize
        check_bytes(self.path, expected, f"{self.shape} voxels of {self.dtype}")

    def read_slices(self, slices: Slices) -> np.ndarray:
        self._check_size()  # a file cut short since would end the process with a bus error
        order = "F" if self.order == "F" else "C"
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)
        return np.array(mapped[slices])


def check_bytes(path: Path, expected: int, what: str) -> None:
    """Refuse a file that is too short for what it says it holds."""
    actual = path.stat().st_size
    if actual < expected:
        raise VolumeError(
            f"{path}: is truncated, {what} need {expected:,} bytes and it has {actual:,}; "
            "copy it again from its origin"
        )


def check_image(source: str | Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse what is not a volume of plain numbers: wrong type, 2-D, too many axes, empty."""
    if dtype.kind not in "buif":
        raise VolumeError(
            f"{source}: holds values of type {dtype}, a volume needs integers, floats or bool; "
            "convert it, for example to uint16"
        )
    if len(shape) == 2:
        raise VolumeError(
            f"{source}: is one 2-D image of shape {shape}, a volume has axes (z, y, x); save the "
            "stack as one multi-page file, or give the folder that holds its slices"
        )
    if len(shape) not in (3, 4):
        raise VolumeError(
            f"{source}: has shape {shape}, a volume has axes (z, y, x) or (c, z, y, x); save one "
            "time point or position as its own file"
        )
    if 0 in shape:
        raise VolumeError(f"{source}: is empty, its shape is {shape}; save the image again")
