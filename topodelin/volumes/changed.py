"""A volume seen through a change: one of its channels, another type, slabs that are kept."""

from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.intensity import IntensityRange, intensity_range
from topodelin.volumes.lazy import LazyArray, Slices
from topodelin.volumes.volume import Volume

RESCALE_PERCENTILES = (0.1, 99.9)
SLAB_BYTES = 256 << 20
SLAB_SLICES = 64


def one_channel(volume: Volume, channel: int) -> Volume:
    """Channel `channel`, counted from 0, of a volume `(c, z, y, x)`."""
    count = volume.data.shape[0] if len(volume.data.shape) == 4 else 1
    if not 0 <= channel < count:
        raise ValueError(f"`channel` must be 0 to {count - 1}, got {channel}")
    data = volume.data if len(volume.data.shape) == 3 else _Channel(volume.data, channel)
    return Volume(data, volume.spacing)


def as_type(volume: Volume, dtype: Any, *, rescale: bool = False) -> Volume:
    """The volume in another type.

    Args:
        rescale: map the intensities between the percentiles 0.1 and 99.9 of a sample to the whole
            range of an integer type, or to 0 to 1; what lies beyond is cut off. Without it values
            are kept, and one that does not fit is an error when it is read.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "uif":
        raise ValueError(f"`dtype` must be an integer or float type, got {kind}")
    scaling = None
    if rescale:
        found = intensity_range(volume, percentiles=RESCALE_PERCENTILES)
        scaling = IntensityRange(found.low, found.high, (0.0, 1.0))
    elif kind == volume.dtype:
        return volume
    return Volume(_Converted(volume.data, kind, scaling), volume.spacing)


def in_slabs(volume: Volume) -> Volume:
    """The volume with the last slab of slices kept, for reading slice after slice.

    A slab has 64 slices or 256 MB, whichever is less, but at least one slice. A chunk of a chunked
    file is then decoded once and not once for each slice.
    """
    return Volume(_Slabs(volume.data), volume.spacing)


class _Channel(LazyArray):
    def __init__(self, data: Any, channel: int) -> None:
        self.data, self.channel = data, channel
        self.shape = tuple(int(size) for size in data.shape[1:])
        self.dtype = np.dtype(data.dtype)

    def read_slices(self, slices: Slices) -> np.ndarray:
        return np.asarray(self.data[(self.channel, *slices)])


class _Converted(LazyArray):
    def __init__(self, data: Any, dtype: np.dtype, scaling: IntensityRange | None) -> None:
        self.data, self.dtype, self.scaling = data, dtype, scaling
        self.shape = tuple(int(size) for size in data.shape)

    def read_slices(self, slices: Slices) -> np.ndarray:
        array = np.asarray(self.data[slices])
        if self.scaling is None:
            return _exactly(array, self.dtype)
        scaled = self.scaling.normalize(array)
        if self.dtype.kind == "f":
            return scaled.astype(self.dtype)
        top = np.iinfo(self.dtype).max
        return np.rint(scaled * np.float64(top)).astype(self.dtype)


class _Slabs(LazyArray):
    def __init__(self, data: Any) -> None:
        self.data = data
        self.shape = tuple(int(size) for size in data.shape)
        self.dtype = np.dtype(data.dtype)
        slice_bytes = (
            self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64)) // self.shape[-3]
        )
        self.depth = max(1, min(SLAB_SLICES, SLAB_BYTES // max(1, slice_bytes)))
        self._first, self._slab = -1, np.empty(0)

    def read_slices(self, slices: Slices) -> np.ndarray:
        *channels, z, y, x = slices
        parts = []
        for first in range(z.start // self.depth * self.depth, z.stop, self.depth):
            self._keep(first)
            kept = slice(max(z.start - first, 0), min(z.stop - first, self.depth))
            parts.append(self._slab[(*channels, kept, y, x)])
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-3)

    def _keep(self, first: int) -> None:
        if first != self._first:
            self._slab = np.empty(0)  # else two slabs are held at a time
            self._slab = np.asarray(self.data[..., first : first + self.depth, :, :])
            self._first = first


def _exactly(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values in another type; between float types they may be rounded."""
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    if array.dtype.kind == "f" and dtype.kind == "f":
        good = np.isfinite(cast)
    else:
        with np.errstate(all="ignore"):
            good = cast.astype(array.dtype) == array
        if dtype.kind == "u" and array.dtype.kind in "if":
            good &= array >= 0  # a negative number survives the way there and back
        if dtype.kind == "i" and array.dtype.kind == "u":
            good &= cast >= 0
    if not good.all():
        value = array[~good].ravel()[0]
        raise VolumeError(
            f"the value {value} of {array.dtype} does not fit into {dtype}; choose a wider "
            "type, or rescale (`--rescale`)"
        )
    return cast
