"""Kernels: the tube around annotated trees as a graph of voxels.

Everything here depends on the annotation only and runs once per crop. Images are volumes with a
closed frame of one voxel, flattened: a neighbour is a fixed step away and no border is asked for.
Plain arrays, compiled by numba on first use, one thread, the interpreter lock released.
"""

from typing import no_type_check

import numpy as np
from numba import njit

BETWEEN = -1  # as near to one tree as to another


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def nearest_trees(
    centre: np.ndarray, inside: np.ndarray, offsets: np.ndarray, squares: np.ndarray
) -> np.ndarray:
    """The tree that is nearest to each voxel: its number, 0 for none, `BETWEEN` for several.

    Args:
        centre: (depth, height, width) int32, the tree of each centreline voxel from 1, or 0.
        inside: likewise bool, where an answer is wanted.
        offsets: (m, 3) int64, the voxels of a ball; farther trees are not seen.
        squares: (m) float64, their squared distance from its middle.
    """
    depth, height, width = centre.shape
    best = np.full(centre.shape, np.inf)
    tree = np.zeros(centre.shape, np.int32)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                own = centre[z, y, x]
                if own == 0:
                    continue
                for i in range(len(offsets)):
                    a = z + offsets[i, 0]
                    b = y + offsets[i, 1]
                    c = x + offsets[i, 2]
                    if a < 0 or b < 0 or c < 0 or a >= depth or b >= height or c >= width:
                        continue
                    if not inside[a, b, c]:
                        continue
                    if squares[i] < best[a, b, c]:
                        best[a, b, c] = squares[i]
                        tree[a, b, c] = own
                    elif squares[i] == best[a, b, c] and tree[a, b, c] != own:
                        tree[a, b, c] = BETWEEN
    return tree


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def flood_pieces(centre: np.ndarray, tree: np.ndarray, steps: np.ndarray, piece: np.ndarray) -> int:
    """Number the connected pieces of each tree's tube that hold centreline; return how many.

    Args:
        centre, tree: (voxels) int32, flat with a frame of 0, as of `nearest_trees`.
        steps: (m) int64, from a voxel to its neighbours.
        piece: (voxels) int32, zero on entry, written: the piece from 1.
    """
    pending = np.empty(len(tree), np.int32)
    count = 0
    for start in range(len(tree)):
        if centre[start] == 0 or piece[start] > 0:
            continue
        count += 1
        piece[start] = count
        pending[0] = start
        size = 1
        while size > 0:
            size -= 1
            voxel = pending[size]
            for step in steps:
                near = voxel + step
                if piece[near] == 0 and tree[near] == tree[voxel]:
                    piece[near] = count
                    pending[size] = near
                    size += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def join_neighbours(
    voxels: np.ndarray, piece: np.ndarray, number: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The neighbours of each voxel in its own piece: those of `v` from starts[v] to starts[v + 1].

    Args:
        voxels: (n) int64, where the voxels lie in the flat frame.
        piece: (frame) int32, 0 outside the tube.
        number: (frame) int32, the place of a voxel in `voxels`.
        steps: (m) int64.
    """
    starts = np.empty(len(voxels) + 1, np.int32)
    neighbours = np.empty(len(voxels) * len(steps), np.int32)
    count = 0
    for v in range(len(voxels)):
        starts[v] = count
        voxel = voxels[v]
        for step in steps:
            if piece[voxel + step] == piece[voxel]:
                neighbours[count] = number[voxel + step]
                count += 1
    starts[len(voxels)] = count
    return starts, neighbours[:count].copy()
