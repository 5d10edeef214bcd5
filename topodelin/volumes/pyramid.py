"""Coarser copies of a volume: which voxels are merged, and how."""

from collections.abc import Sequence
from math import prod

import numpy as np

from topodelin.volumes.volume import Index, Spacing

REDUCTIONS = ("mean", "min", "max")


def level_factors(shape: Index, spacing: Spacing, levels: int) -> list[Index]:
    """Voxels of the full volume that one voxel of each level spans along `(z, y, x)`.

    Each level halves the axes whose spacing is less than twice the finest one, so that voxels
    grow towards cubes, and never an axis that is down to one voxel.
    """
    factors = [np.ones(3, np.int64)]
    while len(factors) < levels:
        spans = factors[-1]
        edges = spans * np.asarray(spacing)
        long = -(-np.asarray(shape) // spans) > 1
        finest = edges[long].min() if long.any() else 0.0
        halve = long & (edges < 2 * finest)
        factors.append(spans * np.where(halve, 2, 1))
    return [(int(z), int(y), int(x)) for z, y, x in factors]


def level_shape(shape: Index, factors: Index) -> Index:
    """Voxels of a level; the last one of an axis may span fewer full voxels than the others."""
    z, y, x = (-(-size // factor) for size, factor in zip(shape, factors, strict=True))
    return z, y, x


def default_levels(shape: Index, spacing: Spacing, chunks: Sequence[int]) -> int:
    """Levels until the coarsest one fits into a single chunk."""
    levels = 1
    while True:
        coarsest = level_shape(shape, level_factors(shape, spacing, levels)[-1])
        if all(size <= chunk for size, chunk in zip(coarsest, chunks, strict=True)):
            return levels
        if prod(coarsest) == 1:
            return levels
        levels += 1


def reduce_voxels(array: np.ndarray, factors: Sequence[int], reduce: str) -> np.ndarray:
    """Merge `factors` voxels along the last three axes, in the type of the array.

    Voxels left over at the end of an axis are merged among themselves. Means of integers are
    rounded half to even.
    """
    kernel = {"mean": np.add, "min": np.minimum, "max": np.maximum}[reduce]
    exact = np.float32 if array.dtype.itemsize <= 2 or array.dtype == np.float32 else np.float64
    result = array.astype(exact) if reduce == "mean" else array
    for axis, factor in enumerate(factors, start=array.ndim - 3):
        if factor == 1:
            continue
        starts = np.arange(0, array.shape[axis], factor)
        result = kernel.reduceat(result, starts, axis=axis)
        if reduce == "mean":
            counts = np.diff(np.append(starts, array.shape[axis]))
            shape = [1] * array.ndim
            shape[axis] = len(counts)
            result /= counts.reshape(shape).astype(exact)
    if reduce == "mean" and array.dtype.kind != "f":
        result = np.rint(result)
    return result.astype(array.dtype, copy=False)
