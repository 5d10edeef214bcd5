"""Kernel: the cheapest path between two voxels inside a tube, by Dijkstra's algorithm on a heap.

A step between two voxels that touch at a face, an edge or a corner costs its length times the
mean of the squared distances at its two ends, so the cost of a path is the integral of the
squared distance along it. Distances below 0 count as 0.

Arrays of voxels are flat and framed: a frame wide enough that no step from a voxel inside leaves
the array. Functions are called with one set of types only, so each is compiled once; they release
the interpreter lock and use one thread.

Reference:
    E. Dijkstra. A note on two problems in connexion with graphs. Numerische Mathematik 1, 1959.
"""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def spread(
    values: np.ndarray,
    region: np.ndarray,
    mark: int,
    jumps: np.ndarray,
    lengths: np.ndarray,
    base: float,
    begin: int,
    end: int,
    cost: np.ndarray,
    before: np.ndarray,
    heap: np.ndarray,
    slot: np.ndarray,
) -> None:
    """Find the cheapest paths from `begin` to every voxel of a region, or until `end` is reached.

    Args:
        values: (voxels) float32, distances.
        region: (voxels) int32; the paths stay where it is `mark`.
        jumps, lengths: (neighbours) int64 and float64, from a voxel to its neighbours.
        base: added to the squared distance of every voxel.
        end: -1 for every voxel.
        cost: (voxels) float64, infinite in the region on entry, written.
        before: (voxels) int32, written: the voxel before on the path; -1 for `begin`.
        heap: (voxels of the region, or more) int32, work space.
        slot: (voxels) int32, work space.
    """
    cost[begin] = 0.0
    before[begin] = -1
    heap[0] = begin
    slot[begin] = 0
    size = 1
    while size > 0:
        voxel = heap[0]
        if voxel == end:
            return
        # The last of the heap takes the place of the first and sinks.
        size -= 1
        last = heap[size]
        hole = 0
        while 2 * hole + 1 < size:
            child = 2 * hole + 1
            if child + 1 < size and cost[heap[child + 1]] < cost[heap[child]]:
                child += 1
            if cost[last] <= cost[heap[child]]:
                break
            heap[hole] = heap[child]
            slot[heap[hole]] = hole
            hole = child
        heap[hole] = last
        slot[last] = hole
        here = max(np.float64(values[voxel]), 0.0) ** 2
        for i in range(len(jumps)):
            neighbour = voxel + jumps[i]
            if region[neighbour] != mark:
                continue
            there = max(np.float64(values[neighbour]), 0.0) ** 2
            reached = cost[voxel] + lengths[i] * (0.5 * (here + there) + base)
            if reached >= cost[neighbour]:
                continue
            if cost[neighbour] == np.inf:
                hole = size
                size += 1
            else:
                hole = slot[neighbour]
            cost[neighbour] = reached
            before[neighbour] = voxel
            while hole > 0 and reached < cost[heap[(hole - 1) // 2]]:
                heap[hole] = heap[(hole - 1) // 2]
                slot[heap[hole]] = hole
                hole = (hole - 1) // 2
            heap[hole] = neighbour
            slot[neighbour] = hole


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def cheapest_paths(
    values: np.ndarray,
    images: np.ndarray,
    tubes: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    reach: np.ndarray,
    ball: np.ndarray,
    jumps: np.ndarray,
    lengths: np.ndarray,
    paths: np.ndarray,
    weights: np.ndarray,
    sizes: np.ndarray,
) -> None:
    """The cheapest path between the two ends of each stretch, inside its tube.

    Each end first moves to the voxel of least squared distance near it; the nearest of equals.

    Args:
        values: (images, voxels) float32, distances.
        images: (stretches) int64, the image of each.
        tubes: int32, the voxels of all tubes, those of stretch `s` from `starts[s]` to
            `starts[s + 1]`; each tube is connected.
        starts: (stretches + 1) int64.
        ends: (stretches, 2) int32, voxels of the tubes.
        reach: (stretches) int64, how many of `ball` an end may move by.
        ball: int64, from a voxel to those around it, nearest first, itself the very first.
        jumps, lengths: see `spread`.
        paths: (voxels of all tubes) int32, written: the path of stretch `s` from `starts[s]` on.
        weights: likewise, float64: half the steps that meet at a voxel, so that the cost of a
            path is the sum of its squared distances times these.
        sizes: (stretches) int64, written: voxels of each path.
    """
    voxels = values.shape[1]
    region = np.zeros(voxels, np.int32)
    cost = np.empty(voxels, np.float64)
    before = np.empty(voxels, np.int32)
    slot = np.empty(voxels, np.int32)
    longest = 0
    for s in range(len(images)):
        longest = max(longest, starts[s + 1] - starts[s])
    heap = np.empty(longest, np.int32)
    moved = np.empty(2, np.int64)
    for s in range(len(images)):
        mark = s + 1
        distances = values[images[s]]
        for i in range(starts[s], starts[s + 1]):
            region[tubes[i]] = mark
            cost[tubes[i]] = np.inf
        for side in range(2):
            moved[side] = ends[s, side]
            least = max(distances[moved[side]], np.float32(0))
            for i in range(reach[s]):
                voxel = ends[s, side] + ball[i]
                lower = max(distances[voxel], np.float32(0))
                if region[voxel] == mark and lower < least:
                    least = lower
                    moved[side] = voxel
        spread(
            distances,
            region,
            mark,
            jumps,
            lengths,
            0.0,
            moved[0],
            moved[1],
            cost,
            before,
            heap,
            slot,
        )
        size = 0
        voxel = moved[1]
        weights[starts[s]] = 0.0
        while voxel >= 0:
            place = starts[s] + size
            paths[place] = voxel
            size += 1
            following = before[voxel]
            if following >= 0:
                half = 0.0
                for i in range(len(jumps)):
                    if jumps[i] == following - voxel:
                        half = 0.5 * lengths[i]
                weights[place] += half
                weights[place + 1] = half
            voxel = following
        sizes[s] = size
