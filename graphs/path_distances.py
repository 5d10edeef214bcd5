"""Lengths of the shortest paths between places on a graph, block by block of sources."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from topodelin.graphs.contraction import ContractedGraph

SHORTEST = 1e-12  # µm; a stored 0 would be no edge
KEPT = 4096  # junctions and endpoints up to which all distances are held: 128 MiB


class NodeDistances:
    """Lengths of the paths between the junctions and endpoints of a graph, by Dijkstra."""

    def __init__(self, contracted: ContractedGraph) -> None:
        self.contracted = contracted
        self._table = _shortest_of_parallel(contracted)
        self._count = len(contracted.nodes)
        self._all: np.ndarray | None = None

    def rows(self, nodes: np.ndarray) -> np.ndarray:
        """(R, M) µm from some rows of `contracted.nodes` to all; infinite without a path."""
        if self._count > KEPT:
            unique, back = np.unique(nodes, return_inverse=True)
            return np.asarray(dijkstra(self._table, indices=unique))[back]
        if self._all is None:
            self._all = np.asarray(dijkstra(self._table))
        return self._all[nodes]


class PathDistances:
    """Places on the chains of a graph, prepared for the lengths of the paths between them.

    A path leaves the chain of its start at one of two ends and enters the chain of its goal at one
    of two ends, or it stays on the one chain that both lie on.
    """

    def __init__(self, between: NodeDistances, edges: np.ndarray, fractions: np.ndarray) -> None:
        """Args: distances of the nodes; places as edge and fraction of it, edge -1 for nowhere."""
        contracted = between.contracted
        self._between, self._count = between, len(edges)
        self._placed = np.flatnonzero(edges >= 0)
        at = edges[self._placed]
        self._way = contracted.on_chains(at, fractions[self._placed])
        self._chain = contracted.chain[at]
        self._ends = contracted.ends[self._chain]
        self._left = contracted.lengths[self._chain] - self._way
        self._by_chain = np.argsort(self._chain, kind="stable")
        bounds = np.arange(len(contracted.lengths) + 1)
        self._first = np.searchsorted(self._chain[self._by_chain], bounds)

    def from_places(self, rows: np.ndarray) -> np.ndarray:
        """(R, K) length of the path from each of the places in `rows` to all K places, µm.

        Infinite where there is no path, or no place.
        """
        found = np.full((len(rows), self._count), np.inf)
        number = np.full(self._count, -1, dtype=np.int64)
        number[self._placed] = np.arange(len(self._placed))
        there = np.flatnonzero(number[rows] >= 0)
        source = number[rows[there]]
        if not len(source):
            return found
        ways = np.minimum(
            self._between.rows(self._ends[source, 0]) + self._way[source, None],
            self._between.rows(self._ends[source, 1]) + self._left[source, None],
        )
        ways = np.minimum(
            ways[:, self._ends[:, 0]] + self._way, ways[:, self._ends[:, 1]] + self._left
        )
        for row, place in enumerate(source.tolist()):
            chain = self._chain[place]
            same = self._by_chain[self._first[chain] : self._first[chain + 1]]
            along = np.abs(self._way[same] - self._way[place])
            ways[row, same] = np.minimum(ways[row, same], along)
        found[np.ix_(there, self._placed)] = ways
        return found


def _shortest_of_parallel(contracted: ContractedGraph) -> csr_array:
    """Symmetric table of the lengths of the chains, the shortest of parallel ones, no loops."""
    low, high = np.sort(contracted.ends, axis=1).T
    steps = np.maximum(contracted.lengths, SHORTEST)
    order = np.lexsort((steps, high, low))
    low, high, steps = low[order], high[order], steps[order]
    first = np.ones(len(low), dtype=bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first &= low != high
    low, high, steps = low[first], high[first], steps[first]
    rows, columns = np.concatenate([low, high]), np.concatenate([high, low])
    count = len(contracted.nodes)
    return csr_array((np.tile(steps, 2), (rows, columns)), shape=(count, count))
