"""Reading slices between their pixels, all at the same places.

The weights are found once and serve every slice, which makes this many times as fast as
interpolating each voxel of the stack.
"""

import numpy as np


def read_slices(slices: np.ndarray, at: np.ndarray, order: int) -> np.ndarray:
    """Values of all slices at some places; beyond a border that of the border.

    Args:
        slices: `(slices, rows, columns)`.
        at: `(2, *places)` row and column, not necessarily whole.
        order: 0 takes the nearest pixel and keeps the type of number, 1 interpolates linearly
            between the four around it.

    Returns:
        `(slices, *places)`.
    """
    flat, width = slices.reshape(len(slices), -1), slices.shape[2]
    rows, columns = (_neighbours(*given) for given in zip(at, slices.shape[1:], strict=True))
    if order == 0:
        (row, column) = (np.where(p < 0.5, low, high) for low, high, p in (rows, columns))
        return flat.take(row * width + column, axis=1)
    (top, bottom, down), (left, right, across) = rows, columns
    total = _weighted(flat, top * width + left, (1 - down) * (1 - across))
    total += _weighted(flat, top * width + right, (1 - down) * across)
    total += _weighted(flat, bottom * width + left, down * (1 - across))
    total += _weighted(flat, bottom * width + right, down * across)
    return total


def read_between_slices(slices: np.ndarray, at: np.ndarray, order: int) -> np.ndarray:
    """Slices at `(places,)` positions along the first axis, likewise."""
    low, high, part = _neighbours(at, len(slices))
    if order == 0:
        return slices[np.where(part < 0.5, low, high)]
    part = part[:, None, None]
    return slices[low] * (1 - part) + slices[high] * part


def _neighbours(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels before and after, and how far on the way from one to the other."""
    inside = np.clip(at, 0, size - 1)
    low = inside.astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (inside - low).astype(np.float32)


def _weighted(flat: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return flat.take(index, axis=1) * weight
