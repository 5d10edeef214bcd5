"""Lengths of short paths: searched outwards from one place, never farther than asked."""

import heapq

import numpy as np

from topodelin.graphs.neurite_graph import NeuriteGraph


class LocalPaths:
    """A graph prepared for many questions about the length of a short path along it."""

    def __init__(self, graph: NeuriteGraph) -> None:
        self._graph = graph
        tails, heads = np.concatenate([graph.edges, graph.edges[:, ::-1]]).T
        order = np.argsort(tails, kind="stable")
        self._first = np.searchsorted(tails[order], np.arange(len(graph) + 1)).tolist()
        self._heads = heads[order].tolist()
        self._steps = np.tile(graph.lengths, 2)[order].tolist()

    def lengths(
        self,
        from_edges: np.ndarray,
        from_fractions: np.ndarray,
        to_edges: np.ndarray,
        to_fractions: np.ndarray,
        limits: np.ndarray,
    ) -> np.ndarray:
        """(K,) length along the graph between two places each; infinite beyond the limit, µm.

        Args:
            from_edges, to_edges: (K,) rows of `graph.edges`.
            from_fractions, to_fractions: (K,) place on that edge, 0 to 1.
            limits: (K,) longest path looked for.
        """
        edges, sizes = self._graph.edges, self._graph.lengths
        found = np.full(len(from_edges), np.inf)
        same = from_edges == to_edges
        found[same] = np.abs(from_fractions - to_fractions)[same] * sizes[from_edges[same]]
        # The ways from the four pairs of ends that are one node: right wherever it is short.
        one, two = edges[from_edges], edges[to_edges]
        before = _to_ends(from_fractions, sizes[from_edges])
        after = _to_ends(to_fractions, sizes[to_edges])
        for i in range(2):
            for j in range(2):
                meet = one[:, i] == two[:, j]
                found[meet] = np.minimum(found[meet], before[meet, i] + after[meet, j])
        for k in np.flatnonzero(found > limits).tolist():
            starts = dict(zip(one[k].tolist(), before[k].tolist(), strict=True))
            goals = dict(zip(two[k].tolist(), after[k].tolist(), strict=True))
            found[k] = self._search(starts, goals, float(limits[k]))
        return np.where(found <= limits, found, np.inf)

    def frontier(self, node: int, limit: float) -> dict[int, float]:
        """The first nodes at least `limit` away from a node, and the ends before, with the way."""
        queue, done, found = [(0.0, node)], set(), {}
        while queue:
            way, node = heapq.heappop(queue)
            if node in done:
                continue
            done.add(node)
            around = range(self._first[node], self._first[node + 1])
            if way >= limit or all(self._heads[at] in done for at in around):
                found[node] = way
                continue
            for at in around:
                heapq.heappush(queue, (way + self._steps[at], self._heads[at]))
        return found

    def _search(self, starts: dict[int, float], goals: dict[int, float], limit: float) -> float:
        """Dijkstra from two nodes to two nodes, given up beyond the limit."""
        best, answer = limit, np.inf
        queue = [(way, node) for node, way in starts.items() if way <= best]
        heapq.heapify(queue)
        done: set[int] = set()
        while queue:
            way, node = heapq.heappop(queue)
            if way > best:
                break
            if node in done:
                continue
            done.add(node)
            if node in goals and way + goals[node] <= best:
                best = answer = way + goals[node]
            for at in range(self._first[node], self._first[node + 1]):
                onward = way + self._steps[at]
                if onward <= best and self._heads[at] not in done:
                    heapq.heappush(queue, (onward, self._heads[at]))
        return answer


def _to_ends(fractions: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(K, 2) way from a place on an edge to either end of it."""
    return np.stack([fractions, 1 - fractions], axis=1) * sizes[:, None]
