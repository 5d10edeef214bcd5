"""Kernel: how many pairs of pixels hang on each edge of a window's maximum spanning tree.

Two pixels of a window are joined best by the path whose weakest edge is as strong as possible,
the *maximin path*. Its weakest edge is found for all pairs at once: insert the edges from the
strongest to the weakest, and when an edge first joins two groups of pixels, it is the weakest
edge of the best path between every pixel of one and every pixel of the other (Kruskal's maximum
spanning tree). Counting labels in the two groups gives the number of pairs of each kind:

    different regions:  sum over regions a and b, a not b, of A_a B_b
    the same region:    sum over regions a of A_a B_a

The edge from pixel `u` (raster order) to the next in its row has the number `u`, the edge to the
pixel below it the number `pixels + u`.

Reference:
    S. Turaga, K. Briggman, M. Helmstaedter, W. Denk, S. Seung. Maximin affinity learning of image
    segmentation. NeurIPS 2009. arXiv:0911.5372.
"""

from typing import no_type_check

import numpy as np
from numba import njit

# The two counts, as rows of the arrays below.
GAP, BRIDGE = 0, 1


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def count_pairs(
    order: np.ndarray,
    used: int,
    width: int,
    labels: np.ndarray,
    share: np.ndarray,
    inside: np.ndarray,
    kind: int,
    total: float,
    pairs: np.ndarray,
) -> int:
    """Count the pairs of pixels whose maximin path has an edge as its weakest.

    Args:
        order: the edges in the order of insertion, `used` of them; on return the edges of the
            spanning tree that part labelled pixels.
        width: of the window.
        labels: (pixels) int32, the region of a pixel from 1, 0 for none.
        share, inside: (regions + 1) float64. The pair of a pixel of region a and one of region b
            counts `share[a] * share[b]`; two pixels of region a count `inside[a]`.
        kind: GAP, pairs of different regions, or BRIDGE, pairs inside one.
        total: work stops once so much was counted; infinity where sums are not exact.
        pairs: (edges) float64, written in the order of the edges of the tree.

    Returns how many edges of the tree were found until all was counted.
    """
    pixels = len(labels)
    regions = len(share) - 1
    # Union-find by size with path halving.
    parent = np.arange(pixels).astype(np.uint32)
    size = np.ones(pixels, np.int32)
    # What a root knows of the labelled pixels of its group: their number and their region, or, if
    # they are of several, minus one and the row of `members` that counts them by region. Column 0
    # is the sum of `count * share`, the others count.
    label = labels.copy()
    number = np.empty(pixels, np.int32)
    groups = 0
    for pixel in range(pixels):
        number[pixel] = labels[pixel] > 0
        groups += number[pixel]
    members = np.empty((min(pixels // 2, groups) + 1, regions + 1), np.float64)
    rows = 0
    found = 0
    for i in range(used):
        if groups <= 1 or total <= 0:
            break
        edge = order[i]
        if edge < pixels:
            a = np.uint32(edge)
            b = np.uint32(edge + 1)
        else:
            a = np.uint32(edge - pixels)
            b = np.uint32(edge - pixels + width)
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            continue
        if size[a] < size[b]:
            a, b = b, a
        size[a] += size[b]
        parent[b] = a

        # Now the labelled pixels of `b` join those of `a`.
        number_b = number[b]
        if number_b == 0:
            continue
        number_a = number[a]
        if number_a == 0:
            number[a] = number_b
            label[a] = label[b]
            continue
        groups -= 1
        number[a] = number_a + number_b
        label_a, label_b = label[a], label[b]
        count = 0.0
        if label_a >= 0 and label_b >= 0:
            if label_a == label_b:
                if kind == BRIDGE:
                    count = np.float64(number_a) * number_b * inside[label_a]
            else:
                if kind == GAP:
                    count = share[label_a] * number_a * (share[label_b] * number_b)
                members[rows] = 0
                members[rows, 0] = share[label_a] * number_a + share[label_b] * number_b
                members[rows, label_a] = number_a
                members[rows, label_b] = number_b
                label[a] = -1 - rows
                rows += 1
        elif label_a < 0 and label_b < 0:
            one, two = members[-1 - label_a], members[-1 - label_b]
            for region in range(1, regions + 1):
                if kind == GAP:
                    rest = two[0] - share[region] * two[region]
                    count += share[region] * one[region] * rest
                else:
                    count += one[region] * two[region] * inside[region]
                one[region] += two[region]
            one[0] += two[0]
        else:
            if label_a >= 0:
                label[a] = label_b
                label_a, label_b = label_b, label_a
                number_b = number_a
            several = members[-1 - label_a]
            if kind == GAP:
                rest = several[0] - share[label_b] * several[label_b]
                count = share[label_b] * number_b * rest
            else:
                count = several[label_b] * number_b * inside[label_b]
            several[0] += share[label_b] * number_b
            several[label_b] += number_b
        if count > 0:
            total -= count
            order[found] = edge
            pairs[found] = count
            found += 1
    return found


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def weigh_pairs(
    labels: np.ndarray, equal_regions: bool, share: np.ndarray, inside: np.ndarray
) -> tuple[float, float]:
    """What a pair of pixels counts, see `count_pairs`, and all pairs of each kind together.

    Args:
        labels: (pixels) int32.
        equal_regions: pairs of regions count the same, and regions, whatever their sizes;
            otherwise pairs of pixels do.
        share, inside: (regions + 1) float64, written.
    """
    regions = len(share) - 1
    sizes = np.zeros(regions + 1, np.int64)
    for pixel in range(len(labels)):
        sizes[labels[pixel]] += 1
    share[0] = inside[0] = 0.0
    labelled, squares, several = 0, 0, 0
    for region in range(1, regions + 1):
        n = sizes[region]
        labelled += n
        squares += n * n
        several += n > 1
        share[region] = 1.0 / n if equal_regions else 1.0
        inside[region] = (2.0 / (n * (n - 1)) if n > 1 else 0.0) if equal_regions else 1.0
    if equal_regions:
        return regions * (regions - 1) / 2.0, np.float64(several)
    return (labelled * labelled - squares) / 2.0, (squares - labelled) / 2.0
