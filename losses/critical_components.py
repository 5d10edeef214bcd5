"""Which connected mistakes of a mask change what is connected: the critical components.

A voxel missing at the rim of a neurite changes nothing, one missing in the middle of a thin
stretch cuts it. Take the correctly predicted voxels, in connected pieces, and add one connected
set of mistakes to them. If it touches exactly one piece, it only makes that piece larger. If it
touches several, it joins them; if it touches none, it is a piece of its own. In both cases the
number of pieces changes, and the set is critical. For sets of missing voxels this is a gap, or a
neurite missed as a whole; for sets of added voxels a false bridge, or a speck in the background.

So single simple points of digital topology become whole components, and each is found and judged
by one flood fill: linear in the number of voxels.

Reference:
    A. Grim, J. Chandrashekar, U. Sümbül. Efficient connectivity-preserving instance segmentation
    with supervoxel-based loss function. AAAI 2025. arXiv:2501.01022.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Integer
from numba import njit

MISSING, ADDED = 1, 2


class CriticalVoxels(NamedTuple):
    """The voxels of the critical components."""

    missing: Bool[np.ndarray, "*space"]
    """Annotated, not predicted: gaps, and neurites missed as a whole."""
    added: Bool[np.ndarray, "*space"]
    """Predicted, not annotated: bridges, and specks on their own."""


def critical_voxels(
    predicted: Bool[np.ndarray, "*space"], labels: Integer[np.ndarray, "*space"]
) -> CriticalVoxels:
    """Find the connected mistakes that change the number of connected pieces.

    A piece is a connected set of voxels that are predicted and of one label; a mistake is a
    connected set of voxels of one label that are not predicted, or of voxels without a label
    that are. A missing set is judged by the pieces of its own label only, an added one by all.

    Args:
        predicted: True where the prediction says foreground; any number of axes.
        labels: the neurite of each voxel, from 1; 0 on the background.

    Voxels that touch at a face, an edge or a corner are neighbours. Each mistake is judged beside
    the pieces alone, not beside other mistakes: two gaps in one loop are both critical.
    """
    padding = [(1, 1)] * labels.ndim
    labels_framed = np.pad(labels, padding).astype(np.int32, copy=False)
    predicted_framed = np.pad(predicted, padding)
    strides = np.cumprod((1, *labels_framed.shape[:0:-1]))[::-1]
    steps = np.array([np.array(step) - 1 for step in np.ndindex(*(3,) * labels.ndim)])
    jumps = (steps @ strides).astype(np.int64)
    kinds = np.zeros(labels_framed.size, np.uint8)
    mark_critical(predicted_framed.reshape(-1), labels_framed.reshape(-1), jumps[jumps != 0], kinds)
    kinds = kinds.reshape(labels_framed.shape)[(slice(1, -1),) * labels.ndim]
    return CriticalVoxels(kinds == MISSING, kinds == ADDED)


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def mark_critical(
    predicted: np.ndarray, labels: np.ndarray, jumps: np.ndarray, kinds: np.ndarray
) -> None:
    """Mark the voxels of critical components in `kinds` as MISSING or ADDED.

    Args:
        predicted: (voxels) bool, of an array with a frame of one voxel that is False.
        labels: (voxels) int32, likewise, 0 on the frame.
        jumps: (neighbours) int64, from a voxel to its neighbours.
        kinds: (voxels) uint8, zero on entry, written.
    """
    voxels = len(labels)
    pending = np.empty(voxels, np.int32)
    # Number of the piece of a voxel; of a mistake, -1 once it was visited.
    piece = np.zeros(voxels, np.int32)
    pieces = 0
    for start in range(voxels):
        if piece[start] != 0 or not predicted[start] or labels[start] == 0:
            continue
        pieces += 1
        piece[start] = pieces
        pending[0] = start
        size = 1
        while size > 0:
            size -= 1
            voxel = pending[size]
            for jump in jumps:
                neighbour = voxel + jump
                if (
                    piece[neighbour] == 0
                    and predicted[neighbour]
                    and labels[neighbour] == labels[start]
                ):
                    piece[neighbour] = pieces
                    pending[size] = neighbour
                    size += 1

    touched_by = np.full(pieces + 1, -1, np.int32)  # the last mistake that touched a piece
    for start in range(voxels):
        if piece[start] != 0 or predicted[start] == (labels[start] > 0):
            continue
        label = labels[start]
        piece[start] = -1
        pending[0] = start
        size = 1
        done = 0
        touched = 0
        while done < size:
            voxel = pending[done]
            done += 1
            for jump in jumps:
                neighbour = voxel + jump
                number = piece[neighbour]
                if number > 0:
                    if touched_by[number] != start and (label == 0 or labels[neighbour] == label):
                        touched_by[number] = start
                        touched += 1
                elif (
                    number == 0
                    and labels[neighbour] == label
                    and predicted[neighbour] != (label > 0)
                ):
                    piece[neighbour] = -1
                    pending[size] = neighbour
                    size += 1
        if touched != 1:
            for i in range(size):
                kinds[pending[i]] = MISSING if label > 0 else ADDED
