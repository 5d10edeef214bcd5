"""Arrays whose axes come in another order, or as one array for each channel."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.lazy import LazyArray, Slices

SPATIAL = "czyx"


class InOrder(LazyArray):
    """An array of axes named by letters of `tczyx`, in any order, as `(z, y, x)` or `(c, z, y, x)`.

    Axes `t` and `c` of length 1 are dropped; several time points are refused.

    Args:
        data: anything with `shape`, `dtype` and `[slices]`.
        axes: one letter for each axis of `data`; `z`, `y` and `x` are among them.
        source: the file, for messages.
    """

    def __init__(self, data: Any, axes: str, source: str | Path) -> None:
        sizes = dict(zip(axes, (int(size) for size in data.shape), strict=True))
        if sizes.get("t", 1) != 1:
            raise VolumeError(
                f"{source}: is a series of {sizes['t']} time points; save one of them as its own "
                "file"
            )
        self.data, self.axes = data, axes
        self.kept = [axis for axis in SPATIAL if axis in "zyx" or sizes.get(axis, 1) != 1]
        self.shape = tuple(sizes[axis] for axis in self.kept)
        self.dtype = np.dtype(data.dtype)

    def read_slices(self, slices: Slices) -> np.ndarray:
        wanted = dict(zip(self.kept, slices, strict=True))
        array = np.asarray(self.data[tuple(wanted.get(axis, 0) for axis in self.axes)])
        left = [axis for axis in self.axes if axis in wanted]
        return array.transpose([left.index(axis) for axis in self.kept])


class ChannelStack(LazyArray):
    """Arrays `(z, y, x)` of equal shape and type as the channels of one `(c, z, y, x)`."""

    def __init__(self, channels: Sequence[Any], source: str | Path) -> None:
        first = channels[0]
        for number, other in enumerate(channels):
            if (other.shape, other.dtype) != (first.shape, first.dtype):
                raise VolumeError(
                    f"{source}: channel {number} is {tuple(other.shape)} of {other.dtype}, channel "
                    f"0 is {tuple(first.shape)} of {first.dtype}; save one channel as its own file"
                )
        self.channels = list(channels)
        self.shape = (len(self.channels), *(int(size) for size in first.shape))
        self.dtype = np.dtype(first.dtype)

    def read_slices(self, slices: Slices) -> np.ndarray:
        return np.stack([np.asarray(data[slices[1:]]) for data in self.channels[slices[0]]])
