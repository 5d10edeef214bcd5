"""Where neurites end: the tips of a skeleton, led on to the end of the medial line.

Thinning takes off the ends of a tube what it takes off its sides, and more from an end that the
border of the volume cuts. From each tip the way therefore goes straight on inside the mask. The
distance to the surface stays the same there as long as the tube goes on, and falls as fast as the
way grows once its round end has begun. So the medial line ends where

    distance to the surface + way / 2

is greatest: in a tube of radius r with a round end, r before the surface; where the border of the
volume cuts a tube, at the border (what lies beyond is unknown, and no surface); in a slender cone,
at the point. In a ball it is the middle, so blobs grow no whiskers. A tip is led on and never taken
back, and no tip is added: components, cycles and junctions stay what they were.
"""

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.neurite_graph import NeuriteGraph

FALL = 0.5  # of the distance to the surface along the way, where the medial line ends
LOOK_BACK = 3.0  # distances to the surface over which a branch gives its tip the direction


def lead_on_tips(
    graph: NeuriteGraph, smooth: NeuriteGraph, mask: np.ndarray, size: np.ndarray
) -> NeuriteGraph:
    """The graph with a chain of voxels more at each tip that does not reach the medial line's end.

    Args:
        graph: the skeleton of `mask`, µm, with its tips at centres of voxels.
        smooth: the same nodes and edges where smoothing moves them, for the directions.
        mask: (z, y, x) bool. Its border is where the volume ends.
        size: (3,) µm per voxel.

    The new voxels touch one another, lie in the mask and are no voxels of the graph.
    """
    paths = [path for each in smooth.paths for path in (each, each[::-1])]
    paths = [path for path in paths if smooth.degrees[path[0]] == 1]
    surface = _surface(mask) * size
    if not paths or not len(surface):
        return graph
    tips = np.array([path[0] for path in paths])
    starts = graph.positions[tips]
    tree = KDTree(surface)
    back = LOOK_BACK * tree.query(starts)[0]
    ahead = np.stack(
        [_direction(smooth.positions[path], b) for path, b in zip(paths, back, strict=True)]
    )

    own, way = _inside(starts, ahead, _free(graph, mask, size), size)
    points = starts[own] + way[:, None] * ahead[own]
    score = tree.query(points)[0] + FALL * way
    order = np.lexsort((way, -np.round(score, 9), own))
    best = way[order][np.unique(own[order], return_index=True)[1]]
    taken = way <= best[own]
    own, voxels = own[taken], np.rint(points[taken] / size)
    previous = np.concatenate([voxels[:1], voxels[:-1]])
    new = (voxels != previous).any(axis=1) & (np.append(-1, own[:-1]) == own)
    own, voxels = own[new], voxels[new]
    nodes = len(graph) + np.arange(len(own))
    before = np.where(np.append(-1, own[:-1]) == own, nodes - 1, tips[own])
    return NeuriteGraph(
        np.concatenate([graph.positions, voxels * size]),
        np.concatenate([graph.edges, np.stack([before, nodes], axis=1)]),
    )


def _inside(
    starts: np.ndarray, ahead: np.ndarray, free: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points on the straight way from each start while it is free: whose, and how far on, µm.

    Half a voxel from point to point, in the order of the starts and along each way; the start
    itself is the first.
    """
    left = np.flatnonzero(ahead.any(axis=1))
    own, way = [np.arange(len(starts))], [np.zeros(len(starts))]
    home = np.rint(starts / size)
    step = size.min() / 2
    for count in range(1, 2 * int(np.ceil(np.linalg.norm(free.shape * size) / step))):
        voxels = np.rint((starts[left] + count * step * ahead[left]) / size).astype(np.int64)
        there = ((voxels >= 0) & (voxels < free.shape)).all(axis=1)
        left, voxels = left[there], voxels[there]
        goes_on = free[tuple(voxels.T)] | (voxels == home[left]).all(axis=1)
        left = left[goes_on]
        if not len(left):
            break
        own.append(left)
        way.append(np.full(len(left), count * step))
    owner, ways = np.concatenate(own), np.concatenate(way)
    order = np.argsort(owner, kind="stable")
    return owner[order], ways[order]


def _direction(path: np.ndarray, back: float) -> np.ndarray:
    """Unit vector to the first point of a path, from the point that lies `back` µm behind it."""
    arc = np.cumsum(np.linalg.norm(np.diff(path, axis=0, prepend=path[:1]), axis=1))
    behind = np.array([np.interp(back, arc, path[:, axis]) for axis in range(3)])
    length = float(np.linalg.norm(path[0] - behind))
    return (path[0] - behind) / length if length > 0 else np.zeros(3)


def _free(graph: NeuriteGraph, mask: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The voxels of the mask where the graph has no node."""
    free = mask.copy()
    free[tuple(np.rint(graph.positions / size).astype(np.int64).T)] = False
    return free


def _surface(mask: np.ndarray) -> np.ndarray:
    """(N, 3) the voxels outside the mask that share a face with it."""
    touched = np.zeros_like(mask)
    for axis in range(3):
        inside, beside = np.moveaxis(mask, axis, 0), np.moveaxis(touched, axis, 0)
        beside[1:] |= inside[:-1]
        beside[:-1] |= inside[1:]
    return np.argwhere(touched & ~mask)
