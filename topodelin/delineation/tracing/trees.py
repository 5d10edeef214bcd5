"""From a graph of skeleton voxels to trees in µm: one for each neurite, each with its root."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import KDTree

from topodelin.delineation.tracing.stitching import SkeletonGraph
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.graphs import NeuriteGraph, smooth_branches, spanning_forest
from topodelin.graphs.branches import outside_short_branches
from topodelin.volumes import Spacing

__all__ = ["Tree", "TreeRule", "clean", "grow_trees", "parts", "rooted", "smoothed"]


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
    """The trees of a skeleton as it is, longest first: nothing is bridged or split.

    Args:
        skeleton: voxels of the working grid.
        spacing: µm per voxel `(z, y, x)`.
        seeds: (S, 3) µm.
        rule: lengths and smoothing.
    """
    graph = smoothed(clean(skeleton, spacing, rule), spacing, rule)
    trees = [rooted(graph.select(part), seeds, rule.seed_radius_um) for part in parts(graph)]
    long = [tree for tree in trees if tree.graph.length >= rule.min_tree_um]
    return sorted(long, key=lambda tree: (-tree.graph.length, *tree.graph.positions[tree.root]))


def clean(skeleton: SkeletonGraph, spacing: Spacing, rule: TreeRule) -> SkeletonGraph:
    """The skeleton as a forest, its nodes still on voxels.

    Cycles are cut where the distance map is least sure (the edge with the largest distances), so a
    false bridge between two stretches of neurite goes rather than a neurite. Then touching
    junctions become one node, and short side branches go; the lengths that count are those after
    smoothing. Nodes without edges go.
    """
    forest = _join_junctions(_cut_cycles(skeleton))
    degrees = np.bincount(forest.edges.ravel(), minlength=len(forest))
    forest = forest.select(degrees > 0)
    if rule.min_branch_um > 0:
        positions = smoothed(forest, spacing, rule).positions
        graph = forest.placed(spacing)
        forest = forest.select(outside_short_branches(graph, positions, rule.min_branch_um))
    return forest


def smoothed(forest: SkeletonGraph, spacing: Spacing, rule: TreeRule) -> NeuriteGraph:
    """The forest in µm, without the steps of its voxels; nodes keep their numbers."""
    graph = forest.placed(spacing)
    window, reach = rule.smoothing(spacing)
    return smooth_branches(graph, window, reach=reach) if window > 1 else graph


def parts(graph: NeuriteGraph) -> list[np.ndarray]:
    """(N,) bool for each connected component: its nodes."""
    return [graph.components == number for number in range(graph.component_count)]


def rooted(graph: NeuriteGraph, seeds: np.ndarray, radius: float) -> Tree:
    """Rooted at the node nearest to a seed; without a seed near, at an end of its longest path."""
    if len(seeds):
        apart, _ = KDTree(seeds).query(graph.positions, distance_upper_bound=radius)
        if np.isfinite(apart).any():
            return Tree(graph, int(apart.argmin()), True)
    return Tree(graph, _farthest(graph, _farthest(graph, 0)), False)


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


def _farthest(graph: NeuriteGraph, start: int) -> int:
    """The node farthest from `start` along the tree."""
    return int(np.argmax(dijkstra(graph.adjacency, directed=False, indices=start)))
