"""Kernel: how many pairs of pixels hang on each edge of a window's maximum spanning tree.

Two pixels of a window are joined best by the path whose weakest edge is as strong as possible,
the *maximin path*. Its weakest edge is found for all pairs at once: insert the edges from the
strongest to the weakest, and when an edge first joins two groups of pixels, it is the weakest
edge of the best path between every pixel of one and every pixel of the other (Kruskal's maximum
spanning tree). Counting labels in the two groups gives the number of pairs of each kind:

    different regions:  |A| |B| - sum over regions a of A_a B_a
    the same region:    sum over regions a of A_a B_a

Everything here is plain arrays and compiled by numba on first use (a few seconds, then read from
its cache). Functions are called with one set of types only, so each is compiled once; they
release the interpreter lock and use one thread, which is safe in the workers of a data loader.

Edges of a window of `height * width` pixels are numbered `(y, x)-(y, x+1)` in raster order first,
then `(y, x)-(y+1, x)` in raster order. An edge is `FREE` (it has its own cost), `CONSTRAINED` (it
has the one cost common to all constrained edges) or `REMOVED` (it touches an ignored pixel).

Reference:
    S. Turaga, K. Briggman, M. Helmstaedter, W. Denk, S. Seung. Maximin affinity learning of image
    segmentation. NeurIPS 2009. arXiv:0911.5372.
"""

from typing import no_type_check

import numpy as np
from numba import njit

FREE, CONSTRAINED, REMOVED = 0, 1, 2

# How edges of equal cost are ordered.
BY_INDEX, NEAR_FIRST, FAR_FIRST = 0, 1, 2

# The two counts, as rows of the arrays below.
GAP, BRIDGE = 0, 1

RADIX_BITS = 11
RADIX_BINS = 1 << RADIX_BITS


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def label_regions(separator: np.ndarray, diagonal: bool, labels: np.ndarray) -> int:
    """Number the connected regions outside `separator` from 1 in raster order; return how many.

    Args:
        separator: (height, width) bool, True where no region is.
        diagonal: whether pixels touching at a corner are neighbours.
        labels: (height * width) int32, written; 0 on the separator.
    """
    height, width = separator.shape
    # A closed frame of one pixel around the window saves asking for its border.
    stride = width + 2
    region = np.full((height + 2) * stride, -1, np.int32)
    for y in range(height):
        for x in range(width):
            if not separator[y, x]:
                region[(y + 1) * stride + x + 1] = 0
    steps = np.array([1, -1, stride, -stride, stride + 1, stride - 1, 1 - stride, -1 - stride])
    neighbours = 8 if diagonal else 4
    pending = np.empty(height * width, np.int32)
    count = 0
    for y in range(height):
        for x in range(width):
            start = (y + 1) * stride + x + 1
            if region[start] == 0:
                count += 1
                region[start] = count
                pending[0] = start
                size = 1
                while size > 0:
                    size -= 1
                    pixel = pending[size]
                    for i in range(neighbours):
                        neighbour = pixel + steps[i]
                        if region[neighbour] == 0:
                            region[neighbour] = count
                            pending[size] = neighbour
                            size += 1
            labels[y * width + x] = max(region[start], 0)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def dilate_by_steps(mask: np.ndarray, steps: int) -> np.ndarray:
    """Pixels at most `steps` steps between 4-neighbours from a True pixel of the 2-D `mask`."""
    height, width = mask.shape
    distance = np.empty((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            d = 0 if mask[y, x] else steps + 1
            if y > 0:
                d = min(d, distance[y - 1, x] + 1)
            if x > 0:
                d = min(d, distance[y, x - 1] + 1)
            distance[y, x] = d
    grown = np.empty((height, width), np.bool_)
    for y in range(height - 1, -1, -1):
        for x in range(width - 1, -1, -1):
            d = distance[y, x]
            if y < height - 1:
                d = min(d, distance[y + 1, x] + 1)
            if x < width - 1:
                d = min(d, distance[y, x + 1] + 1)
            distance[y, x] = d
            grown[y, x] = d <= steps
    return grown


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def sort_edges(edges: np.ndarray, values: np.ndarray, decreasing: bool) -> None:
    """Sort `edges` (int32, in place, stable) by `values[edge]` (float32).

    A radix sort on the bits of the value, rearranged so that their order as unsigned integers is
    the order of the numbers; a few edges are sorted by insertion.
    """
    count = len(edges)
    if count < 64:
        for i in range(1, count):
            edge = edges[i]
            value = values[edge]
            j = i - 1
            if decreasing:
                while j >= 0 and values[edges[j]] < value:
                    edges[j + 1] = edges[j]
                    j -= 1
            else:
                while j >= 0 and values[edges[j]] > value:
                    edges[j + 1] = edges[j]
                    j -= 1
            edges[j + 1] = edge
        return
    bits = values.view(np.uint32)
    digit_mask = np.uint64(RADIX_BINS - 1)
    starts = np.zeros((3, RADIX_BINS), np.int32)
    # One word carries the key (high half) and the edge (low half) through the passes.
    words = np.empty(count, np.uint64)
    for i in range(count):
        edge = edges[i]
        key = bits[edge]
        if values[edge] == 0:  # minus zero is zero
            key = np.uint32(0x80000000)
        elif key >> np.uint32(31):
            key = ~key
        else:
            key = key | np.uint32(0x80000000)
        if decreasing:
            key = ~key
        words[i] = (np.uint64(key) << np.uint64(32)) | np.uint64(edge)
        for digit in range(3):
            shift = np.uint64(32 + digit * RADIX_BITS)
            starts[digit, (words[i] >> shift) & digit_mask] += 1
    for digit in range(3):
        total = 0
        for b in range(RADIX_BINS):
            size = starts[digit, b]
            starts[digit, b] = total
            total += size
    other = np.empty(count, np.uint64)
    for digit in range(3):
        shift = np.uint64(32 + digit * RADIX_BITS)
        for i in range(count):
            b = (words[i] >> shift) & digit_mask
            other[starts[digit, b]] = words[i]
            starts[digit, b] += 1
        words, other = other, words
    for i in range(count):
        edges[i] = np.int32(words[i] & np.uint64(0xFFFFFFFF))


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def order_edges(
    decreasing: np.ndarray,
    cost: np.ndarray,
    far: np.ndarray,
    state: np.ndarray,
    constrained_cost: float,
    ties: int,
    order: np.ndarray,
) -> int:
    """Write the edges in decreasing cost into `order`; return how many there are.

    The constrained edges all have the same cost and are inserted as one run where it falls.

    Args:
        decreasing: (edges) int32, all edges in decreasing `cost`, equal ones in increasing index.
        cost: (edges) float32, of the free edges.
        far: (edges) float32, how far from the annotation; decides between equal costs.
        state: (edges) uint8, FREE, CONSTRAINED or REMOVED.
        constrained_cost: of every constrained edge; may be infinite.
        ties: BY_INDEX, or NEAR_FIRST or FAR_FIRST, then by index; with the latter two the
            constrained edges come before the free edges of the same cost.
        order: (edges) int32, written.
    """
    count = len(state)
    free = np.empty(count, np.int32)
    free_count = 0
    for i in range(count):
        if state[decreasing[i]] == FREE:
            free[free_count] = decreasing[i]
            free_count += 1
    if ties != BY_INDEX:
        start = 0
        for i in range(1, free_count + 1):
            if i == free_count or cost[free[i]] != cost[free[start]]:
                if i - start > 1:
                    sort_edges(free[start:i], far, ties == FAR_FIRST)
                start = i
    placed = 0
    i = 0
    while i < free_count and cost[free[i]] > constrained_cost:
        order[placed] = free[i]
        placed += 1
        i += 1
    for edge in range(count):
        if state[edge] != CONSTRAINED:
            continue
        while (
            ties == BY_INDEX
            and i < free_count
            and free[i] < edge
            and cost[free[i]] == constrained_cost
        ):
            order[placed] = free[i]
            placed += 1
            i += 1
        order[placed] = edge
        placed += 1
    while i < free_count:
        order[placed] = free[i]
        placed += 1
        i += 1
    return placed


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def count_pairs(
    order: np.ndarray,
    ends: np.ndarray,
    wanted: np.ndarray,
    labels: np.ndarray,
    regions: int,
    different: bool,
    pairs: np.ndarray,
) -> None:
    """Write into `pairs[edge]` the pairs of pixels whose maximin path has `edge` as its weakest.

    Args:
        order: the edges in the order of insertion.
        ends: (edges, 2) int32, the two pixels of each edge.
        wanted: (edges) bool; the count of other edges is left alone, and the work stops when no
            wanted edge is left, or no two groups with labels.
        labels: (pixels) int32, the region 1..`regions` of a pixel, 0 for none.
        different: count pairs of different regions, otherwise pairs inside one region.
        pairs: (edges) int64, zero on entry, written.
    """
    pixels = len(labels)
    # Union-find by size with path halving. `parent` of a root is minus the size of its group.
    parent = np.full(pixels, -1, np.int32)
    # A group with several labelled pixels has a row of `members`: column 0 is their number,
    # column a the number in region a. `row` of a root is the row, or minus the label of the only
    # labelled pixel of its group, less one (so -1 is a group without a label).
    members = np.empty((pixels // 2 + 1, regions + 1), np.int32)
    row = np.empty(pixels, np.int32)
    groups = 0
    for pixel in range(pixels):
        row[pixel] = -1 - labels[pixel]
        groups += labels[pixel] > 0
    rows = 0
    left = 0
    for edge in order:
        left += wanted[edge]
    for edge in order:
        if left == 0 or groups <= 1:
            return
        left -= wanted[edge]
        a = ends[edge, 0]
        while parent[a] >= 0:
            if parent[parent[a]] >= 0:
                parent[a] = parent[parent[a]]
            a = parent[a]
        b = ends[edge, 1]
        while parent[b] >= 0:
            if parent[parent[b]] >= 0:
                parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            continue
        if parent[a] > parent[b]:
            a, b = b, a
        parent[a] += parent[b]
        parent[b] = a

        # Now the labelled pixels of `b` join those of `a`: `same` pairs in one region of `every`.
        row_a, row_b = row[a], row[b]
        if row_a < 0 and row_b >= 0:
            row_a, row_b = row_b, row_a
        row[a] = row_a
        if row_b == -1:
            continue
        if row_a == -1:
            row[a] = row_b
            continue
        groups -= 1
        if row_b < 0:
            label_b = -1 - row_b
            if row_a < 0:
                label_a = -1 - row_a
                row_a = rows
                row[a] = rows
                rows += 1
                members[row_a, :] = 0
                members[row_a, 0] = 1
                members[row_a, label_a] = 1
            every = np.int64(members[row_a, 0])
            same = np.int64(members[row_a, label_b])
            members[row_a, 0] += 1
            members[row_a, label_b] += 1
        else:
            every = np.int64(members[row_a, 0]) * members[row_b, 0]
            members[row_a, 0] += members[row_b, 0]
            same = np.int64(0)
            for region in range(1, regions + 1):
                same += np.int64(members[row_a, region]) * members[row_b, region]
                members[row_a, region] += members[row_b, region]
        if wanted[edge]:
            pairs[edge] = every - same if different else same


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def count_window_pairs(
    prediction: np.ndarray,
    target: np.ndarray,
    ignored: np.ndarray,
    edge_lo: float,
    edge_hi: float,
    free_from: float,
    far_cost: float,
    near_cost: float,
    radius: float,
    dilation: int,
    diagonal: bool,
    prefer_line: bool,
    only_wanted: bool,
    labels: np.ndarray,
    ends: np.ndarray,
    pairs: np.ndarray,
    totals: np.ndarray,
) -> int:
    """Regions and pair counts of one window; the meaning of each constant: `TopologyRule`.

    Args:
        prediction, target: (height, width) float32 distance maps.
        ignored: (height, width) bool, pixels left out.
        only_wanted: count only for the edges whose count is used, which is faster.
        labels: (pixels) int32, written: the region of each pixel.
        ends: (edges, 2) int32, written: the pixels of each edge.
        pairs: (2, edges) int64, written: row GAP counts pairs of different regions, row BRIDGE
            pairs inside one region.
        totals: (2) int64, written: the pairs that there are of each kind.

    Returns the number of edges.
    """
    height, width = target.shape
    separator = np.empty((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            separator[y, x] = target[y, x] <= radius
    if dilation > 0:
        separator = dilate_by_steps(separator, dilation)
    for y in range(height):
        for x in range(width):
            separator[y, x] |= ignored[y, x]
    regions = label_regions(separator, diagonal, labels)

    sizes = np.zeros(regions + 1, np.int64)
    for pixel in range(height * width):
        sizes[labels[pixel]] += 1
    labelled = 0
    squares = 0
    for region in range(1, regions + 1):
        labelled += sizes[region]
        squares += sizes[region] * sizes[region]
    totals[GAP] = (labelled * labelled - squares) // 2
    totals[BRIDGE] = (squares - labelled) // 2

    count = height * (width - 1) + (height - 1) * width
    cost = np.empty(count, np.float32)
    far = np.empty(count, np.float32)
    state = np.empty((2, count), np.uint8)
    wanted = np.empty((2, count), np.bool_)
    edge = 0
    for down in range(2):
        for y in range(height - down):
            for x in range(width - 1 + down):
                next_y, next_x = y + down, x + 1 - down
                ends[edge, 0] = y * width + x
                ends[edge, 1] = next_y * width + next_x
                cost[edge] = prediction[y, x] + prediction[next_y, next_x]
                distance = target[y, x] + target[next_y, next_x]
                far[edge] = distance
                removed = ignored[y, x] or ignored[next_y, next_x]
                state[GAP, edge] = (
                    REMOVED if removed else (CONSTRAINED if distance >= free_from else FREE)
                )
                state[BRIDGE, edge] = (
                    REMOVED if removed else (CONSTRAINED if distance < edge_lo else FREE)
                )
                wanted[GAP, edge] = distance < edge_lo or not only_wanted
                wanted[BRIDGE, edge] = distance >= edge_hi or not only_wanted
                edge += 1
    pairs[:, :count] = 0
    if totals[GAP] + totals[BRIDGE] == 0:
        return count

    # Both counts visit the free edges in the same order: sort once.
    decreasing = np.arange(count).astype(np.int32)
    sort_edges(decreasing, cost, True)
    order = np.empty(count, np.int32)
    for kind in range(2):
        if totals[kind] == 0:
            continue
        ties = BY_INDEX
        if prefer_line:
            ties = FAR_FIRST if kind == GAP else NEAR_FIRST
        constrained_cost = far_cost if kind == GAP else near_cost
        used = order_edges(decreasing, cost, far, state[kind], constrained_cost, ties, order)
        count_pairs(order[:used], ends, wanted[kind], labels, regions, kind == GAP, pairs[kind])
    return count


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def add_window_weights(
    prediction: np.ndarray,
    target: np.ndarray,
    ignored: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    edge_lo: float,
    edge_hi: float,
    free_from: float,
    far_cost: float,
    near_cost: float,
    radius: float,
    dilation: int,
    diagonal: bool,
    prefer_line: bool,
    weights: np.ndarray,
) -> None:
    """Add the pixel weights of every window of every image to `weights`.

    An edge gives its count, divided by all pairs of its kind, to both of its pixels.

    Args:
        prediction, target: (images, height, width) float32.
        ignored: (images, height, width) bool.
        rows, columns: (n, 2) int64, begin and end of the windows along each axis.
        weights: (2, images, height, width) float64, added to: rows GAP and BRIDGE.
    """
    pixels = 0
    for i in range(len(rows)):
        for j in range(len(columns)):
            pixels = max(pixels, (rows[i, 1] - rows[i, 0]) * (columns[j, 1] - columns[j, 0]))
    labels = np.empty(pixels, np.int32)
    ends = np.empty((2 * pixels, 2), np.int32)
    pairs = np.empty((2, 2 * pixels), np.int64)
    totals = np.empty(2, np.int64)
    for image in range(len(prediction)):
        for i in range(len(rows)):
            top, bottom = rows[i]
            for j in range(len(columns)):
                left, right = columns[j]
                width = right - left
                count = count_window_pairs(
                    prediction[image, top:bottom, left:right].copy(),
                    target[image, top:bottom, left:right].copy(),
                    ignored[image, top:bottom, left:right].copy(),
                    edge_lo,
                    edge_hi,
                    free_from,
                    far_cost,
                    near_cost,
                    radius,
                    dilation,
                    diagonal,
                    prefer_line,
                    True,
                    labels[: (bottom - top) * width],
                    ends,
                    pairs,
                    totals,
                )
                for kind in range(2):
                    for edge in range(count):
                        if pairs[kind, edge] == 0:
                            continue
                        share = pairs[kind, edge] / totals[kind]
                        for end in range(2):
                            pixel = ends[edge, end]
                            y, x = top + pixel // width, left + pixel % width
                            weights[kind, image, y, x] += share
