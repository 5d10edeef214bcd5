"""Volumes stored as a pile of 2-D planes: pages of a TIFF, slices in a folder."""

from abc import abstractmethod
from pathlib import Path

import numpy as np

from topodelin.volumes.lazy import LazyArray, Slices, check_bytes


class PlaneArray(LazyArray):
    """An array whose last two axes are one plane each, read as part of a plane.

    Args:
        order: integers of shape `(z,)` or `(c, z)`: the number of the plane that lies there.
        plane_shape: pixels `(y, x)` of each plane.
    """

    def __init__(self, order: np.ndarray, plane_shape: tuple[int, int], dtype: np.dtype) -> None:
        self.order = order
        self.shape = (*(int(size) for size in order.shape), *plane_shape)
        self.dtype = dtype

    @abstractmethod
    def read_plane(self, number: int, rows: slice, columns: slice) -> np.ndarray:
        """Part of one plane; must not return more or fewer pixels than asked for."""

    def read_slices(self, slices: Slices) -> np.ndarray:
        rows, columns = slices[-2:]
        numbers = self.order[slices[:-2]]
        pixels = (rows.stop - rows.start, columns.stop - columns.start)
        result = np.empty((numbers.size, *pixels), self.dtype)
        for plane, number in zip(result, numbers.ravel(), strict=True):
            plane[:] = self.read_plane(int(number), rows, columns)
        return result.reshape(*numbers.shape, *pixels)


class RawPlanes(PlaneArray):
    """Uncompressed planes of one file; of each, only the rows asked for are touched.

    Args:
        offsets: byte at which each plane begins.
    """

    def __init__(
        self,
        path: Path,
        offsets: np.ndarray,
        order: np.ndarray,
        plane_shape: tuple[int, int],
        dtype: np.dtype,
    ) -> None:
        super().__init__(order, plane_shape, dtype)
        self.path, self.offsets = path, offsets
        self._end = int(offsets.max()) + plane_shape[0] * plane_shape[1] * dtype.itemsize
        self._check_size()

    def _check_size(self) -> None:
        check_bytes(self.path, self._end, f"{self.shape} voxels of {self.dtype}")

    def read_slices(self, slices: Slices) -> np.ndarray:
        self._check_size()  # a file cut short since would end the process with a bus error
        return super().read_slices(slices)

    def read_plane(self, number: int, rows: slice, columns: slice) -> np.ndarray:
        offset, shape = int(self.offsets[number]), self.shape[-2:]
        plane = np.memmap(self.path, self.dtype, "r", offset, shape)
        return plane[rows, columns]
