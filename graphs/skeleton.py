"""Mask to neurite graph: thinning, junctions, side branches, smooth lengths."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from topodelin.graphs.branches import outside_short_branches, smooth_branches
from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.graphs.spacing import check_spacing
from topodelin.graphs.thinning import thin
from topodelin.graphs.voxel_edges import voxel_edges


def graph_from_mask(
    mask: np.ndarray,
    spacing: Sequence[float],
    *,
    min_branch_um: float = 0.0,
    smoothing: int = 5,
) -> NeuriteGraph:
    """The centrelines of a mask as a graph in µm.

    The mask is thinned to one voxel (Lee, 26-neighbourhood), touching voxels are joined without
    inventing cycles (`voxel_edges`), touching junction voxels become one node at their mean, side
    branches shorter than `min_branch_um` go, and the chains of voxels are smoothed so that their
    length is that of the line they follow.

    Args:
        mask: (z, y, x), true inside neurites.
        spacing: µm per voxel (z, y, x). Voxel (0, 0, 0) of the mask lies at 0 µm.
        min_branch_um: side branches below this length are pruned (`prune_branches`).
        smoothing: voxels in the moving average along each chain, odd; in volumes with coarse
            slices the coarse coordinate is averaged over more of them (`smooth_branches`).
            1 leaves every node on its voxel.

    Loops stay loops. A component that thins to a single voxel has no length and is dropped.
    The graph knows no radii. Components, cycles and lengths do not depend on the order of voxels.

    References:
        T. C. Lee, R. L. Kashyap, C. N. Chu. Building skeleton models via 3-D medial surface/axis
        thinning algorithms. CVGIP: Graphical Models and Image Processing 56, 1994.
    """
    size = np.array(check_spacing(spacing))
    mask = np.asarray(mask)
    if mask.ndim != 3:
        remedy = "; use mask[None] for one plane" if mask.ndim == 2 else ""
        raise ValueError(f"`mask` must have axes (z, y, x), got shape {mask.shape}{remedy}")
    if smoothing < 1 or smoothing % 2 == 0:
        raise ValueError(f"`smoothing` must be an odd number of voxels from 1 up, got {smoothing}")
    voxels = _skeleton_voxels(mask.astype(bool))
    positions, edges = _join_junctions(voxels.astype(np.float64), voxel_edges(voxels))
    raw = NeuriteGraph(positions * size, edges)
    raw = raw.select(raw.degrees > 0)
    reach = tuple((2 * (smoothing - 1) * size).tolist())

    def smooth(graph: NeuriteGraph) -> NeuriteGraph:
        return smooth_branches(graph, smoothing, reach=reach)

    if min_branch_um > 0:  # the lengths that count are those after smoothing
        raw = raw.select(outside_short_branches(raw, smooth(raw).positions, min_branch_um))
    return smooth(raw)


def _skeleton_voxels(mask: np.ndarray) -> np.ndarray:
    """(N, 3) voxels of the skeleton, thinned in the smallest box that holds the foreground."""
    low, high = [], []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        if len(inside) == 0:
            return np.zeros((0, 3), dtype=np.int64)
        low.append(int(inside[0]))
        high.append(int(inside[-1]) + 1)
    box = tuple(slice(begin, end) for begin, end in zip(low, high, strict=True))
    return np.argwhere(thin(mask[box])) + np.array(low)


def _join_junctions(positions: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Touching junction voxels become one node at their mean.

    A cluster stays as it is where joining it would lose a cycle: when its voxels form one, or when
    a voxel outside touches it twice.
    """
    count = len(positions)
    junction = np.bincount(edges.ravel(), minlength=count) > 2
    both = junction[edges].all(axis=1)
    inner = coo_array((np.ones(both.sum()), tuple(edges[both].T)), shape=(count, count))
    clusters, cluster = connected_components(inner, directed=False)
    surplus = np.bincount(cluster[edges[both, 0]], minlength=clusters) + 1 - np.bincount(cluster)
    cyclic = surplus > 0
    pairs = np.sort(cluster[edges[~both]], axis=1)
    distinct, times = np.unique(pairs, axis=0, return_counts=True)
    cyclic[distinct[times > 1]] = True
    # Nodes of a cyclic cluster get numbers of their own after the clusters; then close the gaps.
    node = np.where(cyclic[cluster], clusters + np.arange(count), cluster)
    _, node = np.unique(node, return_inverse=True)
    members = np.bincount(node)
    mean = np.stack([np.bincount(node, weights=p) / members for p in positions.T], axis=1)
    joined = node[edges]
    return mean, joined[joined[:, 0] != joined[:, 1]]
