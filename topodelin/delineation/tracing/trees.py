"""From a graph of skeleton voxels to trees in µm: one for each neurite, each with its root."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import KDTree

from topodelin.delineation.stitching import SkeletonGraph
from topodelin.graphs import NeuriteGraph, drop_small_components, smooth_branches, spanning_forest
from topodelin.graphs.branches import outside_short_branches
from topodelin.volumes import Spacing


@dataclass(frozen=True)
class TreeRule:
    """How a skeleton becomes trees.

    Args:
        min_branch_um: side branches shorter than this are pruned, µm.
        min_tree_um: trees shorter than this are dropped, µm.
        smoothing: window of [`smooth_branches`][], voxels; 1 leaves nodes on voxels.
        seed_radius_um: a tree is rooted at a seed that lies within this distance of it, µm.
    """

    min_branch_um: float = 5.0
    min_tree_um: float = 10.0
    smoothing: int = 6
    seed_radius_um: float = 10.0

    def __post_init__(self) -> None:
        for name in ("min_branch_um", "min_tree_um", "seed_radius_um"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"`{name}` must be 0 µm or more, got {getattr(self, name)}")
        if self.smoothing < 1:
            raise ValueError(f"`smoothing` must be 1 voxel or more, got {self.smoothing}")


@dataclass(frozen=True, eq=False)
class Tree:
    """One traced neurite, without cycles.

    Args:
        graph: in µm.
        root: number of the node at which it starts.
        holds_seed: whether a seed lies near it; the root is then the node nearest to a seed.
    """

    graph: NeuriteGraph
    root: int
    holds_seed: bool

    @property
    def branches(self) -> int:
        """Paths between nodes of degree other than 2."""
        ends = self.graph.degrees[self.graph.degrees != 2]
        return int(ends.sum()) // 2


def grow_trees(
    skeleton: SkeletonGraph, spacing: Spacing, seeds: np.ndarray, rule: TreeRule
) -> list[Tree]:
    """The trees of a skeleton, longest first.

    Cycles are cut where the distance map is least sure (the edge with the largest distances), so a
    false bridge between two stretches of neurite goes rather than a neurite. Then touching
    junctions become one node, short side branches go, branches are smoothed, short trees go.

    Args:
        skeleton: voxels of the working grid.
        spacing: µm per voxel `(z, y, x)`.
        seeds: (S, 3) µm.
        rule: lengths and smoothing.
    """
    raw = _join_junctions(_cut_cycles(skeleton))
    graph = NeuriteGraph(raw.voxels * np.asarray(spacing), raw.edges)
    graph = graph.select(graph.degrees > 0)
    if rule.min_branch_um > 0:  # the lengths that count are those after smoothing
        positions = _smooth(graph, spacing, rule.smoothing).positions
        graph = graph.select(outside_short_branches(graph, positions, rule.min_branch_um))
    graph = drop_small_components(_smooth(graph, spacing, rule.smoothing), rule.min_tree_um)
    trees = [_root(part, seeds, rule.seed_radius_um) for part in _parts(graph)]
    return sorted(trees, key=lambda tree: (-tree.graph.length, *tree.graph.positions[tree.root]))


def _cut_cycles(skeleton: SkeletonGraph) -> SkeletonGraph:
    distances = np.nan_to_num(skeleton.distances, nan=np.inf)
    graph = NeuriteGraph(skeleton.voxels, skeleton.edges)
    kept = spanning_forest(graph, weights=distances[skeleton.edges].max(axis=1).astype(np.float64))
    return SkeletonGraph(skeleton.voxels, skeleton.distances, kept.edges)


def _join_junctions(forest: SkeletonGraph) -> SkeletonGraph:
    """Touching junction voxels (degree >= 3) drawn together into the one of least distance."""
    count = len(forest)
    crowded = np.bincount(forest.edges.ravel(), minlength=count) >= 3
    inside = forest.edges[crowded[forest.edges].all(axis=1)]
    links = coo_array((np.ones(len(inside)), tuple(inside.T)), shape=(count, count))
    _, cluster = connected_components(links, directed=False)
    order = np.lexsort((np.arange(count), forest.distances, cluster))
    _, first = np.unique(cluster[order], return_index=True)
    centre = order[first][cluster]  # the node that each node becomes
    kept, edges = np.unique(centre), centre[forest.edges]
    edges = np.searchsorted(kept, edges[edges[:, 0] != edges[:, 1]])
    return SkeletonGraph(forest.voxels[kept], forest.distances[kept], edges)


def _smooth(graph: NeuriteGraph, spacing: Spacing, window: int) -> NeuriteGraph:
    z, y, x = (window * step for step in spacing)
    return smooth_branches(graph, window, reach=(z, y, x)) if window > 1 else graph


def _parts(graph: NeuriteGraph) -> list[NeuriteGraph]:
    """The connected components, each a graph of its own."""
    count = int(graph.components.max()) + 1 if len(graph) else 0
    nodes = np.argsort(graph.components, kind="stable")
    edges = graph.edges[np.argsort(graph.components[graph.edges[:, 0]], kind="stable")]
    first_node = np.searchsorted(graph.components[nodes], np.arange(count + 1))
    first_edge = np.searchsorted(graph.components[edges[:, 0]], np.arange(count + 1))
    renumber = np.empty(len(graph), np.int64)
    renumber[nodes] = np.arange(len(graph)) - first_node[graph.components[nodes]]
    return [
        NeuriteGraph(
            graph.positions[nodes[first_node[k] : first_node[k + 1]]],
            renumber[edges[first_edge[k] : first_edge[k + 1]]],
        )
        for k in range(count)
    ]


def _root(graph: NeuriteGraph, seeds: np.ndarray, radius: float) -> Tree:
    """Rooted at the node nearest to a seed; without a seed near, at an end of its longest path."""
    if len(seeds):
        apart, _ = KDTree(seeds).query(graph.positions, distance_upper_bound=radius)
        if np.isfinite(apart).any():
            return Tree(graph, int(apart.argmin()), True)
    return Tree(graph, _farthest(graph, _farthest(graph, 0)), False)


def _farthest(graph: NeuriteGraph, start: int) -> int:
    """The node farthest from `start` along the tree."""
    return int(np.argmax(dijkstra(graph.adjacency, directed=False, indices=start)))
