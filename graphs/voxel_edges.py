"""Which voxels of a skeleton to join, so that the graph has the cycles of the skeleton and no more.

Voxels that touch by a face, an edge or a corner belong together (26-neighbourhood). Joining all of
them invents a cycle wherever three touch each other, that is at every junction and at many bends.

Voxels are closed cubes, and cubes that touch pairwise share a point. So the shape of the skeleton
is that of the complex whose simplices are the sets of touching voxels, and its first Betti number
is the number of cycles of the graph of all edges minus the rank of the boundary matrix of the
triangles. Reducing that matrix over GF(2), column by column, gives for every independent triangle
one edge that the others make superfluous; with the edges sorted by length it is the longest one.
Without these edges the graph has exactly the components and the cycles of the skeleton.

References:
    H. Edelsbrunner, D. Letscher, A. Zomorodian. Topological persistence and simplification.
    Discrete & Computational Geometry 28, 2002 (the reduction of boundary matrices).
"""

import numpy as np

NEIGHBOURS = np.array(  # one of each pair of opposite directions: faces, then edges, then corners
    sorted(
        (
            (z, y, x)
            for z in (-1, 0, 1)
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
            if (z, y, x) > (0, 0, 0)
        ),
        key=lambda step: np.abs(step).sum(),
    )
)


def voxel_edges(voxels: np.ndarray) -> np.ndarray:
    """Edges between touching voxels, without those that only close triangles.

    Args:
        voxels: (N, 3) integers, the voxels of a skeleton, no two alike.

    Returns:
        (E, 2) rows of `voxels`. Components and independent cycles are those of the skeleton.
    """
    edges = _touching(voxels)
    superfluous = _superfluous(edges, _triangles(edges, len(voxels)))
    return np.delete(edges, superfluous, axis=0)


def _touching(voxels: np.ndarray) -> np.ndarray:
    """All pairs of touching voxels: those that share a face first, a corner last."""
    if len(voxels) == 0:
        return np.zeros((0, 2), dtype=np.int64)
    low = voxels.min(axis=0) - 1
    _, height, width = (voxels.max(axis=0) - low + 2).tolist()
    strides = np.array([height * width, width, 1])
    place = (voxels - low) @ strides
    order = np.argsort(place)
    pairs = []
    for step in NEIGHBOURS:
        wanted = place + step @ strides
        at = np.minimum(np.searchsorted(place[order], wanted), len(place) - 1)
        found = order[at]
        start = np.flatnonzero(place[found] == wanted)
        pairs.append(np.stack([start, found[start]], axis=1))
    return np.concatenate(pairs)


def _triangles(edges: np.ndarray, count: int) -> np.ndarray:
    """(T, 3) the edges of each triangle of touching voxels, ascending."""
    low, high = np.sort(edges, axis=1).T
    order = np.lexsort((high, low))
    low, high = low[order], high[order]
    key = low * count + high
    triangles = []
    apart = 1
    while len(key) > apart:
        first = np.flatnonzero(low[:-apart] == low[apart:])  # two edges from the same voxel
        if len(first) == 0:
            break
        wanted = high[first] * count + high[first + apart]
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        closed = key[at] == wanted
        triangles.append(np.stack([first, first + apart, at], axis=1)[closed])
        apart += 1
    if not triangles:
        return np.zeros((0, 3), dtype=np.int64)
    return np.sort(order[np.concatenate(triangles)], axis=1)


def _superfluous(edges: np.ndarray, triangles: np.ndarray) -> list[int]:
    """The last edge of each independent sum of triangles (pivots of the reduced matrix)."""
    by_last_edge = triangles[np.lexsort(triangles.T)]
    reduced: dict[int, set[int]] = {}
    for triangle in by_last_edge.tolist():
        column = set(triangle)
        while column and (last := max(column)) in reduced:
            column = column ^ reduced[last]
        if column:
            reduced[last] = column
    return sorted(reduced)
