"""The published windowed topology loss as its formulas say it, for comparison.

The steps and their bookkeeping are numpy and scipy, in Python and window by window: dilate, label,
list the edges, sort, count, normalise, add to the pixels. The pairs are counted by a plain compiled
Kruskal, which stands for the compiled library of the published program. Written from the formulas,
not from the program.
"""

from typing import no_type_check

import numpy as np
from numba import njit
from scipy import ndimage


def published_weights(
    prediction: np.ndarray,
    target: np.ndarray,
    *,
    edge_lo: float = 8.0,
    edge_hi: float = 15.0,
    dilation: int = 5,
) -> tuple[np.ndarray, np.ndarray]:
    """Gap and bridge weights of the pixels of one window, float32."""
    height, width = target.shape
    separator = ndimage.binary_dilation(target == 0, iterations=dilation)
    labels, regions = ndimage.label(~separator, structure=np.ones((3, 3)))  # type: ignore[misc]
    pixel = np.arange(height * width).reshape(height, width)
    across = np.stack([pixel[:, :-1].ravel(), pixel[:, 1:].ravel()])
    down = np.stack([pixel[:-1].ravel(), pixel[1:].ravel()])
    first, second = np.concatenate([across, down], 1)
    cost = prediction.ravel()[first] + prediction.ravel()[second]
    far = target.ravel()[first] + target.ravel()[second]
    weights = []
    for constrained, common, different, blamed in (
        (far > edge_hi, edge_hi, True, far < edge_lo),
        (far < edge_lo, 0.0, False, far >= edge_hi),
    ):
        order = np.argsort(-np.where(constrained, np.float32(common), cost), kind="stable")
        pairs = kruskal_pairs(order, first, second, labels.ravel(), regions, different)
        share = (pairs * blamed / max(pairs.sum(), 1)).astype(np.float32)
        middle = height * (width - 1)
        pixels = np.zeros((height, width), np.float32)
        pixels[:, :-1] += share[:middle].reshape(height, width - 1)
        pixels[:, 1:] += share[:middle].reshape(height, width - 1)
        pixels[:-1] += share[middle:].reshape(height - 1, width)
        pixels[1:] += share[middle:].reshape(height - 1, width)
        weights.append(pixels)
    return weights[0], weights[1]


@njit(cache=True)
@no_type_check
def kruskal_pairs(
    order: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    regions: int,
    different: bool,
) -> np.ndarray:
    """Pairs of labelled pixels of different regions, or of one, that each edge joins first."""
    parent = np.arange(len(labels))
    members = np.zeros((len(labels), regions + 1), np.int64)
    for u in range(len(labels)):
        if labels[u] > 0:
            members[u, labels[u]] = 1
    pairs = np.zeros(len(order), np.int64)
    for edge in order:
        a, b = first[edge], second[edge]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            continue
        same = np.int64(0)
        every_a, every_b = np.int64(0), np.int64(0)
        for region in range(1, regions + 1):
            same += members[a, region] * members[b, region]
            every_a += members[a, region]
            every_b += members[b, region]
            members[a, region] += members[b, region]
        pairs[edge] = every_a * every_b - same if different else same
        parent[b] = a
    return pairs
