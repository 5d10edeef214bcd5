"""The chains of a graph in an order that its shape gives, whatever numbers its nodes have.

What is drawn or sampled along a graph should not change when nodes are renumbered, edges cut in
pieces, or the whole is turned. So nodes are numbered by their distance from the middle of the
cable, the farthest first; only where distances are equal, as in a symmetric drawing, by position.
A chain runs from the lower to the higher of its ends, and a closed loop from its farthest node.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.contraction import ContractedGraph, contract
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph

DIGITS = 1e-9  # of the size of a graph: what is nearer than this counts as equal


def in_fixed_order(graph: NeuriteGraph) -> ContractedGraph:
    """The graph with nodes, chains and edges in that order; each edge runs along its chain.

    The nodes of each chain of the result follow those of the chain before, and of as near points
    of two chains `SegmentTree` finds the one on the chain that comes first.
    """
    order = _Order(graph)
    ranks = order.ranks(graph.positions)
    by_rank = np.argsort(ranks, kind="stable")
    place = np.empty_like(by_rank)
    place[by_rank] = np.arange(len(by_rank))
    chains = contract(NeuriteGraph(graph.positions[by_rank], place[graph.edges]))
    count = len(chains.lengths)
    each, sizes = np.arange(count), chains.lengths
    quarters = np.concatenate([sizes / 4, sizes * 3 / 4])
    low, high = order.ranks(points_on(chains, np.tile(each, 2), quarters)).reshape(2, -1)
    first, second = chains.ends.T
    turned = (first > second) | ((first == second) & (low > high))
    middle = order.ranks(points_on(chains, each, 0.5 * sizes))
    by_shape = np.lexsort(
        (middle, np.rint(sizes / order.grain), np.maximum(first, second), np.minimum(first, second))
    )
    number = np.empty(count, dtype=np.int64)
    number[by_shape] = each

    turn = turned[chains.chain]
    sign = np.where(turn, -chains.sign, chains.sign)
    chain = number[chains.chain]
    along = np.empty(len(chain), dtype=np.int64)
    along[chains.by_place] = np.arange(len(chain))
    edges = np.lexsort((np.where(turn, -along, along), chain))
    ends = np.where(turned[:, None], chains.ends[:, ::-1], chains.ends)[by_shape]
    pairs = chains.graph.edges[edges]
    chain = chain[edges]
    before = np.cumsum(chains.graph.lengths[edges]) - chains.graph.lengths[edges]
    begin = before - before[np.searchsorted(chain, chain)]
    return ContractedGraph(
        NeuriteGraph(
            chains.graph.positions, np.where(sign[edges, None] > 0, pairs, pairs[:, ::-1])
        ),
        chains.nodes,
        ends,
        sizes[by_shape],
        chain,
        begin,
        np.ones(len(edges), dtype=np.int64),
        np.arange(len(edges)),
    )


def contract_from_fixed_nodes(graph: NeuriteGraph | NetworkxGraph) -> ContractedGraph:
    """The graph contracted, with each closed loop without a junction begun at its first node.

    First is what lies farthest from the middle of the cable, not what has the lowest number. The
    other chains are those of `contract`, which gives the same where there is no such loop.
    """
    graph = as_neurite_graph(graph)
    loops = [path for path in graph.paths if path[0] == path[-1] and graph.degrees[path[0]] == 2]
    if not loops:
        return contract(graph)
    ranks = _Order(graph).ranks(graph.positions)
    number = np.arange(len(graph))  # the first node and the lowest numbered change places
    lowest = np.array([path[0] for path in loops])
    first = np.array([path[np.argmin(ranks[path])] for path in loops])
    number[lowest], number[first] = first, lowest
    return contract(NeuriteGraph(graph.positions[number], number[graph.edges]))


@dataclass(frozen=True, eq=False, slots=True)
class EvenPoints:
    """Points at equal distances along each chain, from end to end.

    Args:
        chain, way: (K,) where they lie, chain after chain and along each; µm.
        first: (C + 1,) the first point of each chain, and the number of all.
        steps: (C,) distance of neighbouring points of each chain, µm.
    """

    chain: np.ndarray
    way: np.ndarray
    first: np.ndarray
    steps: np.ndarray


def even_points(chains: ContractedGraph, longest: float) -> EvenPoints:
    """Both ends of each chain, and points between them at equal distances of at most `longest`."""
    lengths = chains.lengths
    pieces = np.maximum(1, np.ceil(lengths / longest - 1e-9)).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(pieces + 1)])
    chain = np.repeat(np.arange(len(lengths)), pieces + 1)
    rank = np.arange(len(chain)) - first[chain]
    return EvenPoints(chain, lengths[chain] * rank / pieces[chain], first, lengths / pieces)


class _Order:
    """Numbers by which to sort points of a graph: farthest from its middle first, then by place."""

    def __init__(self, graph: NeuriteGraph) -> None:
        start, end = graph.positions[graph.edges[:, 0]], graph.positions[graph.edges[:, 1]]
        whole = graph.length
        weights = graph.lengths / whole if whole else np.zeros(len(graph.edges))
        self._middle = weights @ ((start + end) / 2)
        self.grain = max(DIGITS * float(self._away(start).max(initial=0.0)), np.finfo(float).tiny)

    def ranks(self, points: np.ndarray) -> np.ndarray:
        """(N,) the rank of each of (N, 3) points among them, the same for the same place."""
        keys = np.column_stack([-self._away(points), points - self._middle])
        keys = np.rint(keys / self.grain)
        order = np.lexsort(keys.T[::-1])
        new = np.ones(len(order), dtype=bool)
        new[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = np.cumsum(new) - 1
        return ranks

    def _away(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - self._middle, axis=1)


def points_on(chains: ContractedGraph, chain: np.ndarray, way: np.ndarray) -> np.ndarray:
    """(K, 3) the points at a way along some chains, µm."""
    edges, fractions = chains.on_edges(chain, way)
    start, end = chains.graph.positions[chains.graph.edges[edges]].transpose(1, 0, 2)
    return start + fractions[:, None] * (end - start)
