"""Trees seen from their roots: which junction lies above which, and how far down."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from topodelin.graphs.neurite_graph import NeuriteGraph


@dataclass(frozen=True, eq=False, slots=True)
class TreesFromRoots:
    """The roots, junctions and endpoints of the trees that have a root; parents before children.

    The first rows are the roots, in the order given.

    Args:
        nodes: (M,) their numbers in the graph.
        tree: (M,) which of the roots stands at the top.
        parents: (M,) row of the root or junction next above; -1 for a root.
        depths: (M,) way down from the root, µm.
        tips: (M,) endpoints at or below, the root not counted.
        enter: (M,) place in an order that keeps all that is below a row right after it.
        sizes: (M,) rows at or below.
    """

    nodes: np.ndarray
    tree: np.ndarray
    parents: np.ndarray
    depths: np.ndarray
    tips: np.ndarray
    enter: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def below_roots(self) -> np.ndarray:
        """(M,) whether a row is a junction or an endpoint, and not a root."""
        return self.parents >= 0

    def is_above(self, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Whether the rows `upper` lie on the ways from the rows `lower` to their roots."""
        start, at = self.enter[upper], self.enter[lower]
        return (start < at) & (at < start + self.sizes[upper])


def trees_from_roots(graph: NeuriteGraph, roots: np.ndarray) -> TreesFromRoots:
    """See a graph without cycles from (R,) of its nodes, of which no two are connected."""
    order, above, lengths = _downwards(graph, roots)
    children = np.bincount(above[above >= 0], minlength=len(order))
    kept = (above < 0) | (children != 1)
    above, lengths = _skip(above, lengths, kept)
    rows = np.flatnonzero(kept)
    number = np.cumsum(kept) - 1
    parents = np.where(above[rows] >= 0, number[above[rows]], -1)
    below = parents >= 0
    up = parents.tolist()
    tips, sizes = ((children[rows] == 0) & below).astype(np.int64).tolist(), [1] * len(rows)
    for row in reversed(np.flatnonzero(below).tolist()):
        tips[up[row]] += tips[row]
        sizes[up[row]] += sizes[row]
    tree, depths = list(range(len(rows))), lengths[rows].tolist()
    enter, free = [0] * len(rows), [0] * len(rows)  # `free`: the next place below each row
    after = 0  # the trees so far
    for row, parent in enumerate(up):
        if parent < 0:
            enter[row], after = after, after + sizes[row]
        else:
            tree[row] = tree[parent]
            depths[row] += depths[parent]
            enter[row] = free[parent]
            free[parent] += sizes[row]
        free[row] = enter[row] + 1
    whole = (np.array(numbers, dtype=np.int64) for numbers in (tips, enter, sizes))
    return TreesFromRoots(
        order[rows],
        np.array(tree, dtype=np.int64),
        parents,
        np.array(depths, dtype=np.float64),
        *whole,
    )


def _downwards(graph: NeuriteGraph, roots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes from the roots down, the place in that order of the one above each, the edge to it, µm.

    The roots come first and have -1 above them.
    """
    count = len(graph)  # also the number of a node above all roots, so that one search does
    heads = np.concatenate([np.full(len(roots), count), graph.edges.ravel()])
    tails = np.concatenate([roots, graph.edges[:, ::-1].ravel()])
    links = csr_array((np.ones(len(heads)), (heads, tails)), shape=(count + 1, count + 1))
    order, above = breadth_first_order(links, count)
    order = order[1:].astype(np.int64)
    order[: len(roots)] = roots  # in the order given
    place = np.full(count + 1, -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    node_above = above[order].astype(np.int64)
    steps = (
        graph.positions[order] - graph.positions[np.where(node_above < count, node_above, order)]
    )
    return order, place[node_above], np.linalg.norm(steps, axis=1)


def _skip(
    above: np.ndarray, lengths: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The next kept place above each and the way to it, in steps that double."""
    above, lengths = above.copy(), lengths.copy()
    left = np.flatnonzero((above >= 0) & ~kept[above])
    while len(left):
        middle = above[left]
        lengths[left] += lengths[middle]
        above[left] = above[middle]
        left = left[~kept[above[left]]]
    return above, lengths
