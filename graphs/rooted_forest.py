"""Trees with a root, and how deep the paths to it meet.

The path between two places of a tree is as long as the sum of their depths less twice the depth
where their ways to the root meet. In the order of a depth-first walk (preorder) that depth is the
least of the depths between neighbours from the one place to the other, so that a running minimum
gives a whole row of a table of distances.
"""

import numpy as np

from topodelin.graphs.contraction import ContractedGraph


class RootedForest:
    """The components of a contracted graph that hold no cycle, each walked from one of its nodes.

    Args:
        contracted: any graph.
        components: (M,) component of each of its nodes, from 0.

    Attributes:
        acyclic: whether a component is a tree.
        depths: (M,) way from the root to each node, µm; 0 outside the trees.
        before: (M,) how many nodes the walk met earlier; -1 outside the trees.
        lower: (C,) the end of each chain that is farther from the root; -1 outside the trees.
    """

    def __init__(self, contracted: ContractedGraph, components: np.ndarray) -> None:
        ends, lengths = contracted.ends, contracted.lengths
        count = len(contracted.nodes)
        nodes = np.bincount(components)
        self.acyclic = np.bincount(components[ends[:, 0]], minlength=len(nodes)) == nodes - 1
        roots = np.unique(components, return_index=True)[1][self.acyclic]
        order, above, depths = _walk(ends, lengths, roots, count)
        self.depths = depths
        self.before = np.full(count, -1, dtype=np.int64)
        self.before[order] = np.arange(len(order))
        self.lower = np.full(len(lengths), -1, dtype=np.int64)
        via = above[order]
        down = via >= 0
        self.lower[via[down]] = order[down]
        # Depth of the node above each, in the order of the walk: where its siblings' paths meet it.
        highest = np.full(len(order), -np.inf)
        highest[down] = depths[ends[via[down]].sum(axis=1) - order[down]]
        self._least = _least_of_runs(highest)

    def meeting_depths(self, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        """(N,) depth, µm, where the ways of two nodes to the root meet; -inf between two trees.

        Args:
            one: (N,) nodes of trees.
            two: (N,) nodes of trees that the walk did not meet earlier.
        """
        begin, end = self.before[one], self.before[two]
        apart = begin < end
        level = np.where(apart, np.frexp(np.maximum(end - begin, 1))[1] - 1, 0)
        first = np.where(apart, begin + 1, 0)
        second = np.where(apart, end - (1 << level) + 1, 0)
        least = np.minimum(self._least[level, first], self._least[level, second])
        return np.where(apart, least, self.depths[one])


def _walk(
    ends: np.ndarray, lengths: np.ndarray, roots: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth-first order of the nodes below some roots, the chain above each, and its depth."""
    tails = ends.T.ravel()  # each chain twice, once from either end
    order = np.argsort(tails, kind="stable")
    heads = ends[:, ::-1].T.ravel()[order].tolist()
    chain = (order % max(len(ends), 1)).tolist()
    first = np.searchsorted(tails[order], np.arange(count + 1)).tolist()
    sizes = lengths.tolist()
    above, depths, found = [-1] * count, [0.0] * count, []
    stack = roots[::-1].tolist()
    while stack:
        node = stack.pop()
        found.append(node)
        for half in range(first[node], first[node + 1]):
            via = chain[half]
            if via != above[node]:
                head = heads[half]
                above[head], depths[head] = via, depths[node] + sizes[via]
                stack.append(head)
    return np.array(found, dtype=np.int64), np.array(above, dtype=np.int64), np.array(depths)


def _least_of_runs(values: np.ndarray) -> np.ndarray:
    """(L, N) the least of each run of 1, 2, 4, ... values; a run beyond the end is cut off."""
    rows, run = [values], 1
    while 2 * run <= len(values):
        longer = rows[-1].copy()
        np.minimum(longer[:-run], longer[run:], out=longer[:-run])
        rows.append(longer)
        run *= 2
    return np.stack(rows)
