"""A graph without its nodes of degree 2: junctions, endpoints, and the chains between them."""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True, eq=False, slots=True)
class ContractedGraph:
    """The chains of a graph, and where each of its edges lies on them.

    Args:
        graph: the graph that was contracted.
        nodes: (M,) its junctions and endpoints, and one node of each loop that has none.
        ends: (C, 2) rows of `nodes`, the two ends of each chain; a loop has the same twice.
        lengths: (C,) of the chains, µm.
        chain: (E,) the chain that each edge of the graph lies on.
        begin: (E,) way along the chain to the first node of the edge, µm.
        sign: (E,) 1 where the edge runs along the chain, -1 where against it.
        by_place: (E,) the edges in the order of the chains, and along each.
    """

    graph: NeuriteGraph
    nodes: np.ndarray
    ends: np.ndarray
    lengths: np.ndarray
    chain: np.ndarray
    begin: np.ndarray
    sign: np.ndarray
    by_place: np.ndarray

    def on_chains(self, edges: np.ndarray, fractions: np.ndarray) -> np.ndarray:
        """Way along their chains, µm, of places given by an edge and a fraction of it."""
        return self.begin[edges] + self.sign[edges] * fractions * self.graph.lengths[edges]

    def on_edges(self, chains: np.ndarray, ways: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Edge and fraction of places given by a chain and the way along it, µm."""
        sizes, order = self.graph.lengths, self.by_place
        low = np.minimum(self.begin, self.begin + self.sign * sizes)
        # One axis for all chains: each starts after the ends of those before.
        start = np.cumsum(self.lengths + 1.0) - self.lengths - 1.0
        axis = start[self.chain[order]] + low[order]
        at = np.searchsorted(axis, start[chains] + ways, side="right") - 1
        edges = order[np.maximum(at, 0)]
        along = np.clip((ways - low[edges]) / np.where(sizes[edges] > 0, sizes[edges], 1.0), 0, 1)
        return edges, np.where(self.sign[edges] > 0, along, 1 - along)


def contract(graph: NeuriteGraph | NetworkxGraph) -> ContractedGraph:
    """Contract every chain of nodes of degree 2. Nodes without edges are left out."""
    graph = as_neurite_graph(graph)
    chains = graph.paths
    if not chains:
        nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
        pairs = np.zeros((0, 2), dtype=np.int64)
        return ContractedGraph(graph, none, pairs, nothing, none, nothing, none, none)
    one, two = (np.concatenate([path[part] for path in chains]) for part in (np.s_[:-1], np.s_[1:]))
    sizes = np.array([len(path) - 1 for path in chains])
    chain = np.repeat(np.arange(len(chains)), sizes)
    # Each edge is in one chain once, so the two lists of pairs of nodes are the same when sorted.
    here = np.lexsort((np.minimum(one, two), np.maximum(one, two)))
    edge = np.empty(len(chain), dtype=np.int64)
    edge[here] = np.lexsort((graph.edges.min(axis=1), graph.edges.max(axis=1)))
    length = graph.lengths[edge]
    first = np.cumsum(sizes) - sizes
    after = np.cumsum(length)
    begin = after - length - np.repeat(after[first] - length[first], sizes)
    forward = graph.edges[edge, 0] == one
    ends = np.array([(path[0], path[-1]) for path in chains])
    nodes, rows = np.unique(ends, return_inverse=True)
    back = np.argsort(edge)
    return ContractedGraph(
        graph,
        nodes,
        rows.reshape(-1, 2),
        np.bincount(chain, weights=length),
        chain[back],
        np.where(forward, begin, begin + length)[back],
        np.where(forward, 1, -1)[back],
        edge,
    )
