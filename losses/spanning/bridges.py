"""Kernel: the voxels through which a prediction could falsely join two annotated trees.

Plain arrays, compiled by numba on first use, one thread, the interpreter lock released.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from topodelin.losses.kernels.edge_order import sort_edges
from topodelin.losses.kernels.union_find import find_root

MOST_NEIGHBOURS = 26


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def bridge_graph(
    distance: np.ndarray, truth: np.ndarray, tree: np.ndarray, trees: int, below: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    """The false edges on the ways from tree to tree.

    An edge costs the larger predicted distance of its two voxels, less the larger annotated one or
    `below` if that is smaller. It is false where that is negative. The tube of each tree is one
    vertex, every other voxel one of its own.

    Args:
        distance, truth: (depth, height, width) float32, predicted and annotated.
        tree: likewise int32, the tree from 1 in whose tube a voxel lies, or 0.
        trees: how many there are.

    Returns voxels ((e, 2) int32, where the costlier and the cheaper end of each edge lie), vertices
    ((e, 2) int32, what these belong to: trees are 0 to trees - 1), costs ((e) float32), the number
    of vertices, and in how many groups the trees lie when all that can be joined are. Edges are
    listed by the ranks of their costlier voxels, then of their cheaper ones; the rank of a voxel
    is by predicted, then annotated distance, then index. Those that cannot be part of a way
    from one tree to another are left out.
    """
    depth, height, width = distance.shape
    # A closed frame of one voxel around the volume saves asking for its border.
    stride_y = width + 2
    stride_z = (height + 2) * stride_y
    number = np.full((depth + 2) * stride_z, -1, np.int32)
    framed = np.empty(distance.size, np.int32)
    flat = np.empty(distance.size, np.int32)
    low = 0
    for z in range(depth):
        for y in range(height):
            begin = (z + 1) * stride_z + (y + 1) * stride_y + 1
            for x in range(width):
                if distance[z, y, x] < below:
                    number[begin + x] = low
                    framed[low] = begin + x
                    flat[low] = (z * height + y) * width + x
                    low += 1
    steps = np.empty(MOST_NEIGHBOURS, np.int32)
    count = 0
    for z in range(-1, 2):
        for y in range(-1, 2):
            for x in range(-1, 2):
                if z != 0 or y != 0 or x != 0:
                    steps[count] = z * stride_z + y * stride_y + x
                    count += 1

    vertex = np.empty(low, np.int32)
    d = np.empty(low, np.float32)
    t = np.empty(low, np.float32)
    limit = np.float32(below)
    all_trees = tree.reshape(-1)
    all_distances = distance.reshape(-1)
    all_truths = truth.reshape(-1)
    for v in range(low):
        own = all_trees[flat[v]]
        vertex[v] = own - 1 if own > 0 else trees + v
        d[v] = all_distances[flat[v]]
        t[v] = all_truths[flat[v]]

    # What false edges connect. `parent` of a root is minus the size of its group.
    parent = np.full(trees + low, -1, np.int32)
    for v in range(low):
        for i in range(MOST_NEIGHBOURS // 2):  # the neighbours that come before
            u = number[framed[v] + steps[i]]
            if u < 0 or vertex[u] == vertex[v]:
                continue
            if max(d[u], d[v]) >= min(max(t[u], t[v]), limit):
                continue
            a = find_root(parent, vertex[v])
            b = find_root(parent, vertex[u])
            if a != b:
                if parent[a] > parent[b]:
                    a, b = b, a
                parent[a] += parent[b]
                parent[b] = a
    held = np.zeros(trees + low, np.int32)
    groups = 0
    for own in range(trees):
        root = find_root(parent, own)
        groups += held[root] == 0
        held[root] += 1
    kept = 0
    order = np.empty(low, np.int32)
    for v in range(low):
        if held[find_root(parent, vertex[v])] > 1:
            order[kept] = v
            kept += 1
    order = order[:kept].copy()
    sort_edges(order, t, False)
    sort_edges(order, d, False)

    rank = np.full(low, low, np.int32)
    capacity = 4 * kept + MOST_NEIGHBOURS
    voxels = np.empty((capacity, 2), np.int32)
    vertices = np.empty((capacity, 2), np.int32)
    costs = np.empty(capacity, np.float32)
    lower = np.empty(MOST_NEIGHBOURS, np.int32)
    edges = 0
    for i in range(kept):
        v = order[i]
        rank[v] = i
        found = 0
        for step in steps:
            u = number[framed[v] + step]
            if u < 0 or rank[u] > i or vertex[u] == vertex[v]:
                continue
            if d[v] >= min(max(t[u], t[v]), limit):
                continue
            j = found
            while j > 0 and rank[lower[j - 1]] > rank[u]:
                lower[j] = lower[j - 1]
                j -= 1
            lower[j] = u
            found += 1
        if edges + found > capacity:
            capacity *= 2
            voxels = _longer(voxels, capacity)
            vertices = _longer(vertices, capacity)
            more = np.empty(capacity, np.float32)
            more[:edges] = costs[:edges]
            costs = more
        for j in range(found):
            u = lower[j]
            voxels[edges, 0] = flat[v]
            voxels[edges, 1] = flat[u]
            vertices[edges, 0] = vertex[v]
            vertices[edges, 1] = vertex[u]
            costs[edges] = d[v] - min(max(t[u], t[v]), limit)
            edges += 1
    return voxels[:edges], vertices[:edges], costs[:edges].copy(), trees + low, groups


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _longer(pairs: np.ndarray, length: int) -> np.ndarray:
    longer = np.empty((length, 2), np.int32)
    longer[: len(pairs)] = pairs
    return longer
