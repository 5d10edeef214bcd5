"""Kernels: the minimum spanning forest of a graph of voxels, and what hangs on each of its edges.

The forest is found in one sweep from the cheapest edge to the costliest, which joins the groups
of its ends if they are two (Kruskal). Then leaves are cut off one by one, which gives the mass on
the far side of every edge without a root or an adjacency list: each vertex remembers the exclusive
or of its edges, which is the last one when one is left.

No two edges are equal. Voxels are ranked by value, then by their place in a given order. An edge
is compared by the rank of its costlier voxel, then by that of its cheaper one, or by a cost of its
own before these. So there is one forest, and its path between two vertices is their minimax path,
cheapest in its costliest edge, then in its next, and so on.

Plain arrays, compiled by numba on first use, one thread, the interpreter lock released.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from topodelin.losses.kernels.union_find import find_root

MOST_NEIGHBOURS = 26


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def span_voxels(
    order: np.ndarray,
    starts: np.ndarray,
    neighbours: np.ndarray,
    first: int,
    mass: np.ndarray,
    groups: int,
) -> tuple[np.ndarray, ...]:
    """Span a graph of voxels whose edges cost as much as their costlier voxel.

    Args:
        order: (n) int32, the voxels from the cheapest to the costliest.
        starts: (n + 1) int32; the neighbours of `v` are `neighbours[starts[v] : starts[v + 1]]`.
        neighbours: int32, numbered from `first`.
        mass: (n) int64, not negative.
        groups: stop when the mass lies in so many groups; all edges that would follow have mass
            on one side only.

    Returns the edges of the forest that have mass on both sides: their costlier and cheaper voxels
    (int32), the mass on the lighter side and on both (int64), and whether both groups had mass
    when the edge joined them (bool).
    """
    count = len(order)
    parent = np.full(count, -1, np.int32)
    held = mass.copy()
    massive = np.int64((mass > 0).sum())
    rank = np.full(count, count, np.int32)
    ends = np.empty((count, 2), np.int32)
    joins = np.empty(count, np.bool_)
    roots = np.empty(MOST_NEIGHBOURS, np.int32)
    cheapest = np.empty(MOST_NEIGHBOURS, np.int32)
    edges = 0
    for i in range(count):
        if massive <= groups:
            break
        v = order[i]
        rank[v] = i
        # The groups of the neighbours that came before, and the cheapest neighbour in each.
        found = 0
        for arc in range(starts[v], starts[v + 1]):
            u = neighbours[arc] - first
            if rank[u] > i:
                continue
            root = u
            while parent[root] >= 0:
                if parent[parent[root]] >= 0:
                    parent[root] = parent[parent[root]]
                root = parent[root]
            j = 0
            while j < found and roots[j] != root:
                j += 1
            if j == found:
                roots[j] = root
                cheapest[j] = u
                found += 1
            elif rank[u] < rank[cheapest[j]]:
                cheapest[j] = u
        own = v
        for j in range(found):
            root = roots[j]
            ends[edges, 0] = v
            ends[edges, 1] = cheapest[j]
            joins[edges] = held[own] > 0 and held[root] > 0
            massive -= joins[edges]
            edges += 1
            own = _join(parent, held, own, root)
    return _cut(ends[:edges], ends, joins, mass, parent, held)


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def span_edges(
    order: np.ndarray, voxels: np.ndarray, vertices: np.ndarray, mass: np.ndarray, groups: int
) -> tuple[np.ndarray, ...]:
    """Span a graph given by its edges.

    Args:
        order: (e) int32, the edges from the cheapest to the costliest.
        voxels: (e, 2) int32, the costlier and the cheaper voxel of each edge.
        vertices: (e, 2) int32, the vertices that these are part of.
        mass, groups: as in `span_voxels`, of the vertices.

    Returns what `span_voxels` does.
    """
    parent = np.full(len(mass), -1, np.int32)
    held = mass.copy()
    massive = np.int64((mass > 0).sum())
    ends = np.empty((len(mass), 2), np.int32)
    places = np.empty((len(mass), 2), np.int32)
    joins = np.empty(len(mass), np.bool_)
    edges = 0
    for edge in order:
        if massive <= groups:
            break
        a = find_root(parent, vertices[edge, 0])
        b = find_root(parent, vertices[edge, 1])
        if a == b:
            continue
        for end in range(2):
            ends[edges, end] = vertices[edge, end]
            places[edges, end] = voxels[edge, end]
        joins[edges] = held[a] > 0 and held[b] > 0
        massive -= joins[edges]
        edges += 1
        _join(parent, held, a, b)
    return _cut(ends[:edges], places, joins, mass, parent, held)


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _join(parent: np.ndarray, held: np.ndarray, a: int, b: int) -> int:
    """Join the groups of two roots and what they hold; return the root of both."""
    if parent[a] > parent[b]:
        a, b = b, a
    parent[a] += parent[b]
    parent[b] = a
    held[a] += held[b]
    return a


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _cut(
    ends: np.ndarray,
    voxels: np.ndarray,
    joins: np.ndarray,
    mass: np.ndarray,
    parent: np.ndarray,
    held: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Keep the edges of a forest that have mass on both sides.

    Args:
        ends: (edges, 2) the vertices of each edge.
        voxels, joins: of each edge, handed on.
        mass: of each vertex.
        parent, held: the groups after all edges.
    """
    edges, vertices = len(ends), len(mass)
    degree = np.zeros(vertices, np.int32)
    last_edge = np.zeros(vertices, np.int32)
    for edge in range(edges):
        for end in range(2):
            degree[ends[edge, end]] += 1
            last_edge[ends[edge, end]] ^= edge
    beyond = np.empty(edges, np.int64)
    below = mass.copy()
    for start in range(vertices):
        leaf = start
        while degree[leaf] == 1:
            edge = last_edge[leaf]
            stem = ends[edge, 0] if ends[edge, 1] == leaf else ends[edge, 1]
            beyond[edge] = below[leaf]
            below[stem] += below[leaf]
            last_edge[stem] ^= edge
            degree[stem] -= 1
            degree[leaf] = 0
            leaf = stem
    high = np.empty(edges, np.int32)
    low = np.empty(edges, np.int32)
    side = np.empty(edges, np.int64)
    whole = np.empty(edges, np.int64)
    kept = 0
    for edge in range(edges):
        all_mass = held[find_root(parent, ends[edge, 0])]
        if 0 < beyond[edge] < all_mass:
            high[kept] = voxels[edge, 0]
            low[kept] = voxels[edge, 1]
            side[kept] = min(beyond[edge], all_mass - beyond[edge])
            whole[kept] = all_mass
            joins[kept] = joins[edge]
            kept += 1
    return (
        high[:kept].copy(),
        low[:kept].copy(),
        side[:kept].copy(),
        whole[:kept].copy(),
        joins[:kept].copy(),
    )
