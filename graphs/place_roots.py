"""Where a tracing has the roots of the trees of the truth, and in which of its trees."""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.assignment import pairs_within
from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.edge_splitting import split_at
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.graphs.trees_from_roots import TreesFromRoots


@dataclass(frozen=True)
class Near:
    """What it means for two points to lie near each other."""

    tolerance: float
    z_tolerance: float | None

    def pairs(self, one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        reach = float(np.hypot(self.tolerance, self.z_tolerance or 0.0))
        rows, columns, distances = pairs_within(one, two, reach + SLACK)
        kept = self.holds(one[rows] - two[columns])
        return rows[kept], columns[kept], distances[kept]

    def holds(self, offsets: np.ndarray) -> np.ndarray:
        if self.z_tolerance is None:
            return np.linalg.norm(offsets, axis=1) <= self.tolerance + SLACK
        plane = np.linalg.norm(offsets[:, 1:], axis=1) <= self.tolerance + SLACK
        return plane & (abs(offsets[:, 0]) <= self.z_tolerance + SLACK)


@dataclass(frozen=True, eq=False)
class PlacedRoots:
    """The tracing with a node at each root that it has.

    Args:
        graph: the tracing, cut where a root lies on an edge.
        nodes: (R,) the roots.
        trees: (R,) the tree of the truth that each is the root of.
    """

    graph: NeuriteGraph
    nodes: np.ndarray
    trees: np.ndarray


def place_roots(
    truth: NeuriteGraph, one: TreesFromRoots, predicted: NeuriteGraph, near: Near
) -> PlacedRoots:
    """One root in the tracing for as many trees of the truth as have a tree of their own there."""
    top = one.nodes[~one.below_roots]
    points = truth.positions[top]
    nodes = np.flatnonzero((predicted.degrees > 0) & (predicted.degrees != 2))
    trees, at, distances = near.pairs(points, predicted.positions[nodes])
    line = SegmentTree(predicted).nearest(points)
    on_line = np.flatnonzero(line.edges >= 0)
    edges, fractions = line.edges[on_line], line.fractions[on_line]
    start, end = predicted.positions[predicted.edges[edges]].transpose(1, 0, 2)
    close = near.holds(start + fractions[:, None] * (end - start) - points[on_line])
    split = split_at(predicted, edges[close], fractions[close])
    place = np.concatenate([nodes[at], split.nodes])
    tree = np.concatenate([trees, on_line[close]])
    distance = np.concatenate([distances, line.distances[on_line[close]]])
    component = predicted.components[
        np.concatenate([nodes[at], predicted.edges[edges[close], 0]]).astype(np.int64)
    ]
    support = _support(truth, one, predicted, nodes, near)
    weight = [support.get(key, 0) for key in zip(tree.tolist(), component.tolist(), strict=True)]
    # Of one tree, what is like the root comes first: a point amid a line, or one where lines end.
    unlike = (np.arange(len(place)) >= len(at)) != (truth.degrees[top][tree] == 2)
    taken_trees: dict[int, int] = {}
    taken_components: set[int] = set()
    for row in np.lexsort((distance, unlike, -np.array(weight, dtype=np.int64))).tolist():
        if tree[row] not in taken_trees and component[row] not in taken_components:
            taken_trees[int(tree[row])] = int(place[row])
            taken_components.add(int(component[row]))
    return PlacedRoots(
        split.graph,
        np.array(list(taken_trees.values()), dtype=np.int64),
        np.array(list(taken_trees), dtype=np.int64),
    )


def _support(
    truth: NeuriteGraph,
    one: TreesFromRoots,
    predicted: NeuriteGraph,
    nodes: np.ndarray,
    near: Near,
) -> dict[tuple[int, int], int]:
    """Weight of the truth that lies near each tree of the tracing, by both trees."""
    rows, columns, _ = near.pairs(truth.positions[one.nodes], predicted.positions[nodes])
    count = int(predicted.components.max(initial=-1)) + 1
    key = np.unique(rows * count + predicted.components[nodes[columns]])
    rows, component = np.divmod(key, max(count, 1))
    trees, back = np.unique(one.tree[rows] * count + component, return_inverse=True)
    weights = np.bincount(back, weights=one.tips[rows]).astype(np.int64)
    pairs = np.stack(np.divmod(trees, max(count, 1)), axis=1).tolist()
    return {
        (tree, part): weight for (tree, part), weight in zip(pairs, weights.tolist(), strict=True)
    }
