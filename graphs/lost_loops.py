"""Loops of one graph that another, which follows it everywhere, does not have.

A ring cut at one place, two neurites drawn as one, or one drawn twice leave no cable without a
match, and the way round is short: no length tells. The loops do. Each is followed on the other
graph; where what it visits there holds no loop, the loop is cut at the place where the other
graph tears, or else where it is farthest.
"""

import heapq
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from topodelin.graphs.contraction import ContractedGraph, contract
from topodelin.graphs.edge_splitting import split_long_edges
from topodelin.graphs.matching import Matching
from topodelin.graphs.neurite_graph import NeuriteGraph

VISITED = 0.5  # share of a long chain that a loop must run along to go through it


def lost_loops(
    matching: Matching, edges: np.ndarray, *, shortest: float, tolerance: float
) -> np.ndarray:
    """The edges to cut so that no loop is left that the other graph lacks, ascending.

    Args:
        matching: from `match`.
        edges: (E,) bool, the edges of the pieces that count, all with matched ends.
        shortest: µm; loops with a smaller perimeter are not looked at.
        tolerance: µm; a loop of the other graph so near counts as the same.
    """
    pieces = matching.pieces
    rows = _on_loops(pieces.edges, np.flatnonzero(edges), len(pieces))
    if not len(rows):
        return rows
    nodes, renumbered = np.unique(pieces.edges[rows], return_inverse=True)
    chains = contract(NeuriteGraph(pieces.positions[nodes], renumbered.reshape(-1, 2)))
    image = _Image(matching, nodes, tolerance)
    near = _Near(matching.other, tolerance)
    ways = _Chains(chains)
    cuts = []
    for chord in ways.chords():
        while ways.there[chord]:
            loop = ways.shortest_loop(chord)
            if loop is None or chains.lengths[loop].sum() < shortest:
                break
            edges_of_loop = np.concatenate([ways.edges_of(k) for k in loop])
            ends = chains.graph.edges[edges_of_loop]
            around = np.unique(ends)
            if image.holds_a_loop(around) or near.holds_a_loop(chains.graph.positions[around]):
                break
            cut = int(edges_of_loop[image.apart(ends).argmax()])
            ways.there[int(chains.chain[cut])] = False
            cuts.append(cut)
    return np.sort(rows[np.array(cuts, dtype=np.int64)])


def connected_parts(graph: NeuriteGraph, edges: np.ndarray) -> np.ndarray:
    """(N,) connected components when only the marked edges are there."""
    heads, tails = graph.edges[edges].T
    there = np.ones(len(heads), dtype=bool)
    table = coo_array((there, (heads, tails)), shape=(len(graph), len(graph)))
    return connected_components(table, directed=False)[1].astype(np.int64)


def _on_loops(edges: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Those of some edges that lie on loops or between them: what has an end is taken off."""
    one, two = edges[rows].T
    degree = np.bincount(one, minlength=count) + np.bincount(two, minlength=count)
    around = np.zeros(count, dtype=np.int64)  # all neighbours of a node, by exclusive or
    np.bitwise_xor.at(around, one, two)
    np.bitwise_xor.at(around, two, one)
    ends = np.flatnonzero(degree == 1)
    while len(ends):
        inner = around[ends]
        degree[ends] = 0
        np.subtract.at(degree, inner, 1)
        np.bitwise_xor.at(around, inner, ends)
        ends = np.unique(inner[degree[inner] == 1])
    return rows[(degree[one] > 0) & (degree[two] > 0)]


class _Chains:
    """A contracted graph whose chains can be taken away."""

    def __init__(self, chains: ContractedGraph) -> None:
        self._chains = chains
        self.there = [True] * len(chains.lengths)
        self._ends, self._lengths = chains.ends.tolist(), chains.lengths.tolist()
        self._around: list[list[int]] = [[] for _ in chains.nodes]
        for k, (one, two) in enumerate(self._ends):
            self._around[one].append(k)
            self._around[two].append(k)
        self._first = np.searchsorted(
            chains.chain[chains.by_place], np.arange(len(self._ends) + 1)
        ).tolist()

    def edges_of(self, chain: int) -> np.ndarray:
        """The edges of a chain, along it."""
        return self._chains.by_place[self._first[chain] : self._first[chain + 1]]

    def chords(self) -> list[int]:
        """The chains that close a loop when they are added from the shortest on."""
        parent = list(range(len(self._around)))

        def root(node: int) -> int:
            while parent[node] != node:
                parent[node] = node = parent[parent[node]]
            return node

        found = []
        for k in np.argsort(self._chains.lengths, kind="stable").tolist():
            one, two = (root(node) for node in self._ends[k])
            if one == two:
                found.append(k)
            parent[one] = two
        return found

    def shortest_loop(self, chord: int) -> list[int] | None:
        """The chains of the shortest loop through one, if there is any."""
        start, goal = self._ends[chord]
        queue, came = [(0.0, start, -1)], {}
        while queue:
            way, node, by = heapq.heappop(queue)
            if node in came:
                continue
            came[node] = by
            if node == goal:
                break
            for k in self._around[node]:
                one, two = self._ends[k]
                onward = two if one == node else one
                if k != chord and self.there[k] and onward not in came:
                    heapq.heappush(queue, (way + self._lengths[k], onward, k))
        if goal not in came:
            return None
        loop, node = [chord], goal
        while came[node] >= 0:
            loop.append(came[node])
            one, two = self._ends[loop[-1]]
            node = one if two == node else two
        return loop


class _Image:
    """Where the nodes of some pieces lie on the other graph."""

    def __init__(self, matching: Matching, nodes: np.ndarray, tolerance: float) -> None:
        other, self._short = matching.other, tolerance
        edges, fractions = matching.edges[nodes], matching.fractions[nodes]
        self._distances = matching.distances[nodes]
        self._chains = contract(other)
        self._chain = self._chains.chain[edges]
        self._way = self._chains.on_chains(edges, fractions)
        near = self._chains.ends[self._chains.lengths <= tolerance]
        count = len(self._chains.nodes)
        table = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(count, count))
        self._node = connected_components(table, directed=False)[1]

    def holds_a_loop(self, nodes: np.ndarray) -> bool:
        """Whether the long chains that these nodes visit close a loop, short ones being points."""
        chains, row = np.unique(self._chain[nodes], return_inverse=True)
        way, lengths = self._way[nodes], self._chains.lengths[chains]
        low, high = np.full(len(chains), np.inf), np.full(len(chains), -np.inf)
        np.minimum.at(low, row, way)
        np.maximum.at(high, row, way)
        visited = high - low >= np.minimum(VISITED * lengths, lengths - 2 * self._short)
        visited &= lengths > self._short
        ends = self._node[self._chains.ends[chains[visited]]]
        names, ends = np.unique(ends, return_inverse=True)
        one, two = ends.reshape(-1, 2).T
        table = coo_array((np.ones(len(one)), (one, two)), shape=(len(names), len(names)))
        return len(one) > len(names) - connected_components(table, directed=False)[0]

    def apart(self, ends: np.ndarray) -> np.ndarray:
        """(K,) for each edge the way between the places of its ends, and how far these are, µm.

        The way is along at most two chains; where these do not touch it counts as infinite.
        """
        chain, way = self._chain[ends], self._way[ends]
        to_ends = np.stack([way, self._chains.lengths[chain] - way], axis=2)
        node = self._node[self._chains.ends[chain]]
        ways = to_ends[:, 0, :, None] + to_ends[:, 1, None, :]
        ways[node[:, 0, :, None] != node[:, 1, None, :]] = np.inf
        along = np.where(
            chain[:, 0] == chain[:, 1], np.abs(way[:, 0] - way[:, 1]), ways.min(axis=(1, 2))
        )
        return along + self._distances[ends].mean(axis=1)


class _Near:
    """The other graph within a distance of some places."""

    def __init__(self, graph: NeuriteGraph, distance: float) -> None:
        self._graph, self._distance = graph, distance

    @cached_property
    def _nodes(self) -> tuple[csr_array, KDTree]:
        pieces = split_long_edges(self._graph, self._distance / 2).graph
        return pieces.adjacency, KDTree(pieces.positions)

    def holds_a_loop(self, places: np.ndarray) -> bool:
        """Whether the edges between its nodes there close one."""
        adjacency, tree = self._nodes
        found = tree.query_ball_point(places, self._distance)
        nodes = np.unique(np.concatenate([np.array(few, dtype=np.int64) for few in found]))
        table = adjacency[nodes][:, nodes]
        return table.nnz // 2 > len(nodes) - connected_components(table, directed=False)[0]
