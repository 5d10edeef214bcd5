"""Kernel: the distance of every voxel to the nearest of many straight segments.

The map is exact, and fast because most segments are ruled out for many voxels at once. A segment
whose distance to the centre of a block of voxels is more than twice the block's half-diagonal
beyond that of the nearest segment is nearest to no voxel of the block, and neither is one that
lies further than `d_max` from all of them. So per block of 16 voxels a side the segments that may
matter are collected, from these the ones that may matter for each block of 4, and each voxel is
compared with the few that are left. The sides of the blocks decide the speed and nothing else.

Plain arrays, compiled by numba on first use (a few seconds, then read from its cache) for one set
of types; releases the interpreter lock. Images are volumes of depth 1.
"""

from typing import no_type_check

import numpy as np
from numba import njit

BLOCK_SIDES = (16, 4)

# Rounding of the bounds: a segment is kept rather than lost.
SLACK = 1e-9

# Segments shorter than this (squared) are points: their direction is rounding.
POINT = 1e-60


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def nearest_segments(
    starts: np.ndarray,
    ends: np.ndarray,
    spacing: np.ndarray,
    d_max: float,
    outer_side: int,
    inner_side: int,
    begin: int,
    end: int,
    distance: np.ndarray,
    nearest: np.ndarray,
) -> None:
    """Write the truncated distance map of segments and which one is nearest to each voxel.

    Args:
        starts, ends: (segments, 3) float64, in units of the map: voxel index times spacing.
        spacing: (3,) float64, lengths of a voxel's edges in units of the map.
        d_max: where the map is truncated.
        outer_side, inner_side: of the blocks, in voxels.
        begin, end: planes of the map to write; calls for different ones may run at a time.
        distance: (depth, height, width) float64, written; at most `d_max`.
        nearest: (depth, height, width) int32, written: row of the nearest segment, the first of
            equally near ones, and -1 where none is nearer than `d_max`.
    """
    _, height, width = distance.shape
    count = len(starts)
    steps = ends - starts
    scale = np.zeros(count)
    for s in range(count):
        length = steps[s, 0] ** 2 + steps[s, 1] ** 2 + steps[s, 2] ** 2
        if length > POINT:
            scale[s] = 1 / length
    every = np.arange(count)
    outer = np.empty(count, np.int64)
    inner = np.empty(count, np.int64)
    squared = np.empty(count)
    box = np.empty((3, 2), np.int64)
    small = np.empty((3, 2), np.int64)
    for z in range(begin, end, outer_side):
        box[0] = z, min(z + outer_side, end)
        for y in range(0, height, outer_side):
            box[1] = y, min(y + outer_side, height)
            for x in range(0, width, outer_side):
                box[2] = x, min(x + outer_side, width)
                found = _candidates(
                    starts, steps, scale, spacing, d_max, box, every, squared, outer
                )
                near = outer[:found]
                for w in range(box[0, 0], box[0, 1], inner_side):
                    small[0] = w, min(w + inner_side, box[0, 1])
                    for v in range(box[1, 0], box[1, 1], inner_side):
                        small[1] = v, min(v + inner_side, box[1, 1])
                        for u in range(box[2, 0], box[2, 1], inner_side):
                            small[2] = u, min(u + inner_side, box[2, 1])
                            left = _candidates(
                                starts, steps, scale, spacing, d_max, small, near, squared, inner
                            )
                            _compare(
                                starts,
                                steps,
                                scale,
                                spacing,
                                d_max,
                                small,
                                inner[:left],
                                distance,
                                nearest,
                            )


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def position_gradient(
    starts: np.ndarray,
    ends: np.ndarray,
    spacing: np.ndarray,
    distance: np.ndarray,
    nearest: np.ndarray,
    cotangent: np.ndarray,
    at_starts: np.ndarray,
    at_ends: np.ndarray,
) -> None:
    """Add the derivative of `sum(cotangent * distance)` with respect to the ends of segments.

    Args:
        starts, ends, spacing, distance, nearest: as in [`nearest_segments`][].
        cotangent: (depth, height, width) float64.
        at_starts, at_ends: (segments, 3) float64, added to.
    """
    depth, height, width = distance.shape
    away = np.empty(3)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                s = nearest[z, y, x]
                if s < 0 or distance[z, y, x] == 0 or cotangent[z, y, x] == 0:
                    continue
                away[0] = z * spacing[0] - starts[s, 0]
                away[1] = y * spacing[1] - starts[s, 1]
                away[2] = x * spacing[2] - starts[s, 2]
                length = 0.0
                along = 0.0
                for a in range(3):
                    step = ends[s, a] - starts[s, a]
                    length += step * step
                    along += away[a] * step
                fraction = 0.0
                if length > POINT:
                    fraction = min(max(along / length, 0.0), 1.0)
                pull = cotangent[z, y, x] / distance[z, y, x]
                for a in range(3):
                    part = pull * (away[a] - fraction * (ends[s, a] - starts[s, a]))
                    at_starts[s, a] -= part * (1 - fraction)
                    at_ends[s, a] -= part * fraction


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _squared_distance(starts, steps, scale, s, z, y, x):
    """From a point to segment `s`."""
    a, b, c = z - starts[s, 0], y - starts[s, 1], x - starts[s, 2]
    along = (a * steps[s, 0] + b * steps[s, 1] + c * steps[s, 2]) * scale[s]
    fraction = min(max(along, 0.0), 1.0)
    a -= fraction * steps[s, 0]
    b -= fraction * steps[s, 1]
    c -= fraction * steps[s, 2]
    return a * a + b * b + c * c


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _candidates(starts, steps, scale, spacing, d_max, box, among, squared, found):
    """Write into `found` those `among` the segments that may be nearest in a block; how many.

    With the block's centre c and half-diagonal r, a voxel x of it and its nearest segment s:
    dist_s(c) <= dist_s(x) + r, and dist_s(x) is below `d_max` and at most min dist(c) + r.
    """
    z = 0.5 * (box[0, 0] + box[0, 1] - 1) * spacing[0]
    y = 0.5 * (box[1, 0] + box[1, 1] - 1) * spacing[1]
    x = 0.5 * (box[2, 0] + box[2, 1] - 1) * spacing[2]
    reach = np.sqrt(((0.5 * (box[:, 1] - box[:, 0] - 1) * spacing) ** 2).sum())
    least = np.inf
    for i in range(len(among)):
        squared[i] = _squared_distance(starts, steps, scale, among[i], z, y, x)
        least = min(least, squared[i])
    bound = min(np.sqrt(least) + reach, d_max) + reach
    bound += SLACK * (1 + bound)
    count = 0
    for i in range(len(among)):
        if squared[i] <= bound * bound:
            found[count] = among[i]
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _compare(starts, steps, scale, spacing, d_max, box, among, distance, nearest):
    """Write the voxels of a block, each compared with every segment `among` those given."""
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            for x in range(box[2, 0], box[2, 1]):
                least = np.inf
                which = -1
                for i in range(len(among)):
                    squared = _squared_distance(
                        starts,
                        steps,
                        scale,
                        among[i],
                        z * spacing[0],
                        y * spacing[1],
                        x * spacing[2],
                    )
                    if squared < least:
                        least = squared
                        which = among[i]
                if np.sqrt(least) < d_max:
                    distance[z, y, x] = np.sqrt(least)
                    nearest[z, y, x] = which
                else:
                    distance[z, y, x] = d_max
                    nearest[z, y, x] = -1
