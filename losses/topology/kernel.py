"""Kernel: the pair counts of windows, and the weights of their pixels.

Everything here is plain arrays and compiled by numba on first use (a few seconds, then read from
its cache). Functions are called with one set of types only, so each is compiled once; they
release the interpreter lock, and windows are independent of each other.

Edges are numbered as in `topodelin.losses.topology.maximin_pairs`. An edge is *free* (it has its
own cost) or *constrained* (it has the one cost common to all constrained edges); edges of pixels
left out do not exist.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from topodelin.losses.kernels.edge_order import BY_INDEX, FAR_FIRST, NEAR_FIRST, order_edges, word
from topodelin.losses.topology.maximin_pairs import BRIDGE, GAP, count_pairs, weigh_pairs


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def count_window_pairs(
    prediction: np.ndarray,
    target: np.ndarray,
    outside: np.ndarray,
    labels: np.ndarray,
    edge_lo: float,
    free_from: float,
    far_cost: float,
    near_cost: float,
    prefer_line: bool,
    equal_regions: bool,
    far: np.ndarray,
    edges: np.ndarray,
    pairs: np.ndarray,
    found: np.ndarray,
    totals: np.ndarray,
) -> None:
    """Pair counts of one window; the meaning of each constant: `TopologyRule`.

    Args:
        prediction, target: (height, width) float32 distance maps.
        outside: (height, width) bool, pixels left out.
        labels: (height, width) int32, the region of each pixel from 1; 0 where `outside`.
        far: (2 * pixels) float32, written: how far each edge is from the annotation.
        edges: (2, 2 * pixels) int32, written: row GAP holds the edges between pixels of different
            regions, row BRIDGE those between pixels of one.
        pairs: (2, 2 * pixels) float64, written: the pairs that hang on each of `edges`.
        found: (2) int64, written: how many edges there are in each row.
        totals: (2) float64, written: the pairs that there are of each kind.
    """
    height, width = target.shape
    pixels = height * width
    flat = labels.reshape(pixels)
    regions = 0
    for pixel in range(pixels):
        regions = max(regions, flat[pixel])
    share, inside = np.empty(regions + 1), np.empty(regions + 1)
    totals[GAP], totals[BRIDGE] = weigh_pairs(flat, equal_regions, share, inside)
    found[:] = 0
    if totals[GAP] + totals[BRIDGE] == 0:
        return

    free = np.empty((2, 2 * pixels), np.uint64)
    constrained = np.empty((2, 2 * pixels), np.int32)
    free_gap, free_bridge, far_count, near_count = 0, 0, 0, 0
    cost = np.empty(1, np.float32)
    bits = cost.view(np.uint32)
    zero = np.float32(0)  # added because minus zero must sort as zero
    for down in range(2):
        for y in range(height - down):
            for x in range(width - 1 + down):
                next_y, next_x = y + down, x + 1 - down
                if outside[y, x] or outside[next_y, next_x]:
                    continue
                edge = down * pixels + y * width + x
                cost[0] = prediction[y, x] + prediction[next_y, next_x] + zero
                entry = word(bits[0], True, edge)
                distance = target[y, x] + target[next_y, next_x]
                far[edge] = distance
                if distance < free_from:
                    free[GAP, free_gap] = entry
                    free_gap += 1
                else:
                    constrained[GAP, far_count] = edge
                    far_count += 1
                if distance < edge_lo:
                    constrained[BRIDGE, near_count] = edge
                    near_count += 1
                else:
                    free[BRIDGE, free_bridge] = entry
                    free_bridge += 1

    spare = np.empty(2 * pixels, np.uint64)
    for kind in range(2):
        if totals[kind] == 0:
            continue
        ties = BY_INDEX
        if prefer_line:
            ties = FAR_FIRST if kind == GAP else NEAR_FIRST
        cost[0] = (far_cost if kind == GAP else near_cost) + zero
        used = order_edges(
            free[kind],
            free_gap if kind == GAP else free_bridge,
            constrained[kind],
            far_count if kind == GAP else near_count,
            bits[0],
            far,
            ties,
            spare,
            edges[kind],
        )
        # Sums of fractions come out a little too large or too small: count to the end.
        total = np.inf if equal_regions else totals[kind]
        found[kind] = count_pairs(
            edges[kind], used, width, flat, share, inside, kind, total, pairs[kind]
        )


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def weigh_windows(
    prediction: np.ndarray,
    target: np.ndarray,
    outside: np.ndarray,
    labels: np.ndarray,
    edge_lo: float,
    edge_hi: float,
    free_from: float,
    far_cost: float,
    near_cost: float,
    prefer_line: bool,
    equal_regions: bool,
    begin: int,
    end: int,
    weights: np.ndarray,
) -> None:
    """Write the pixel weights of the windows `begin`..`end` into `weights`.

    An edge that may be blamed gives its count, divided by all pairs of its kind, to both of its
    pixels.

    Args:
        prediction, target: (windows, height, width) float32.
        outside: (windows, height, width) bool.
        labels: (windows, height, width) int32.
        weights: (2, windows, height, width) float32, rows GAP and BRIDGE.
    """
    height, width = target.shape[1:]
    pixels = height * width
    far = np.empty(2 * pixels, np.float32)
    edges = np.empty((2, 2 * pixels), np.int32)
    pairs = np.empty((2, 2 * pixels), np.float64)
    found = np.empty(2, np.int64)
    totals = np.empty(2, np.float64)
    sums = np.empty(pixels, np.float64)
    for window in range(begin, end):
        count_window_pairs(
            prediction[window],
            target[window],
            outside[window],
            labels[window],
            edge_lo,
            free_from,
            far_cost,
            near_cost,
            prefer_line,
            equal_regions,
            far,
            edges,
            pairs,
            found,
            totals,
        )
        for kind in range(2):
            sums[:] = 0
            for i in range(found[kind]):
                edge = edges[kind, i]
                if far[edge] < edge_lo if kind == GAP else far[edge] >= edge_hi:
                    pixel = edge if edge < pixels else edge - pixels
                    step = 1 if edge < pixels else width
                    part = pairs[kind, i] / totals[kind]
                    sums[pixel] += part
                    sums[pixel + step] += part
            for y in range(height):
                for x in range(width):
                    weights[kind, window, y, x] = sums[y * width + x]
