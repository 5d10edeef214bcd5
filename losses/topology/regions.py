"""Kernel: the regions into which annotated lines cut a window."""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def label_regions(separator: np.ndarray, diagonal: bool, labels: np.ndarray) -> int:
    """Number the connected regions outside `separator` from 1 in raster order; return how many.

    Args:
        separator: (height, width) bool, True where no region is.
        diagonal: whether pixels touching at a corner are neighbours.
        labels: (height, width) int32, written; 0 on the separator.
    """
    height, width = separator.shape
    # A pixel takes the number of a neighbour before it; numbers that meet are joined under the
    # smaller, so that the number of a region is that of its first pixel.
    parent = np.empty(height * width + 1, np.int32)
    given = 0
    for y in range(height):
        for x in range(width):
            label = 0
            if not separator[y, x]:
                if x > 0:
                    label = labels[y, x - 1]
                if y > 0:
                    begin, end = x, x + 1
                    if diagonal:
                        begin, end = max(x - 1, 0), min(x + 2, width)
                    for neighbour in range(begin, end):
                        above = labels[y - 1, neighbour]
                        if above == 0 or above == label:
                            continue
                        if label == 0:
                            label = above
                            continue
                        one, two = label, above
                        while parent[one] != one:
                            one = parent[one]
                        while parent[two] != two:
                            two = parent[two]
                        parent[max(one, two)] = min(one, two)
                if label == 0:
                    given += 1
                    parent[given] = given
                    label = given
            labels[y, x] = label
    count = 0
    for label in range(1, given + 1):
        if parent[label] == label:
            count += 1
            parent[label] = count
        else:
            parent[label] = parent[parent[label]]
    parent[0] = 0
    for y in range(height):
        for x in range(width):
            labels[y, x] = parent[labels[y, x]]
    return count


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def dilate_by_steps(mask: np.ndarray, steps: int) -> np.ndarray:
    """Pixels at most `steps` steps between 4-neighbours from a True pixel of the 2-D `mask`."""
    height, width = mask.shape
    # A frame around the window saves asking for its border, and loops without questions become
    # vector instructions.
    grown = np.zeros((height + 2, width + 2), np.uint8)
    other = np.zeros((height + 2, width + 2), np.uint8)
    grown[1:-1, 1:-1] = mask
    for _ in range(steps):
        for y in range(1, height + 1):
            above, row, below, out = grown[y - 1], grown[y], grown[y + 1], other[y]
            for x in range(1, width + 1):
                out[x] = row[x - 1] | row[x] | row[x + 1] | above[x] | below[x]
        grown, other = other, grown
    return grown[1:-1, 1:-1] > 0


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def label_windows(
    target: np.ndarray,
    outside: np.ndarray,
    radius: float,
    dilation: int,
    diagonal: bool,
    begin: int,
    end: int,
    labels: np.ndarray,
) -> None:
    """Number the regions of the windows `begin`..`end`, each on its own.

    Args:
        target: (windows, height, width) float32 distance maps.
        outside: (windows, height, width) bool, pixels that belong to no region.
        radius: pixels at most so far from the annotation separate regions, and so do
        dilation: pixels so few steps between 4-neighbours from these.
        labels: (windows, height, width) int32, written.
    """
    height, width = target.shape[1:]
    separator = np.empty((height, width), np.bool_)
    for window in range(begin, end):
        for y in range(height):
            for x in range(width):
                separator[y, x] = target[window, y, x] <= radius
        if dilation > 0:
            separator = dilate_by_steps(separator, dilation)
        for y in range(height):
            for x in range(width):
                separator[y, x] |= outside[window, y, x]
        label_regions(separator, diagonal, labels[window])
