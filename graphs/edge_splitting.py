"""More nodes on the same lines: edges cut at given places, or into short pieces."""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.checks import check_positive
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True, eq=False, slots=True)
class SplitGraph:
    """A graph after cutting edges, and what became of the old one.

    Args:
        graph: the old nodes under their old numbers, then the new ones.
        nodes: (K,) the node at each place that was asked for.
        parents: the old edge that each edge is a piece of, ascending.
    """

    graph: NeuriteGraph
    nodes: np.ndarray
    parents: np.ndarray


def split_at(
    graph: NeuriteGraph | NetworkxGraph, edges: np.ndarray, fractions: np.ndarray
) -> SplitGraph:
    """Make each of (K,) places on the edges a node.

    Args:
        graph: any graph.
        edges: (K,) rows of `graph.edges`, in any order and as often as wanted.
        fractions: (K,) place on that edge, 0 at its first node and 1 at its second. There no new
            node is made; equal places share one.

    Radii are interpolated; a new node takes its kind from the first node of the edge.
    """
    graph = as_neurite_graph(graph)
    edges, fractions = np.asarray(edges, np.int64), np.asarray(fractions, np.float64)
    if edges.shape != fractions.shape or not ((fractions >= 0) & (fractions <= 1)).all():
        raise ValueError("`fractions` must hold one number from 0 to 1 for each of `edges`")
    nodes = np.where(fractions == 0, graph.edges[edges, 0], graph.edges[edges, 1])
    inside = np.flatnonzero((fractions > 0) & (fractions < 1))
    order = inside[np.lexsort((fractions[inside], edges[inside]))]
    edge, at = edges[order], fractions[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (edge[1:] != edge[:-1]) | (at[1:] != at[:-1])
    nodes[order] = len(graph) + np.cumsum(first) - 1
    edge, at = edge[first], at[first]

    cuts = np.bincount(edge, minlength=len(graph.edges))
    pieces = cuts + 1
    parents = np.repeat(np.arange(len(pieces)), pieces)
    rank = np.arange(len(parents)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    cut = len(graph) + np.repeat(np.cumsum(cuts) - cuts, pieces) + rank  # the cut after a piece
    heads = np.where(rank == 0, graph.edges[parents, 0], cut - 1)
    tails = np.where(rank == cuts[parents], graph.edges[parents, 1], cut)
    start, end = graph.edges[edge].T
    split = NeuriteGraph(
        np.concatenate([graph.positions, _between(graph.positions, start, end, at[:, None])]),
        np.stack([heads, tails], axis=1),
        np.concatenate([graph.radii, _between(graph.radii, start, end, at)]),
        np.concatenate([graph.kinds, graph.kinds[start]]),
    )
    return SplitGraph(split, nodes, parents)


def split_long_edges(graph: NeuriteGraph | NetworkxGraph, longest: float) -> SplitGraph:
    """Cut each edge into equal pieces of at most `longest` µm; `nodes` are the new nodes."""
    check_positive(longest=longest)
    graph = as_neurite_graph(graph)
    pieces = np.maximum(1, np.ceil(graph.lengths / longest - 1e-9)).astype(np.int64)
    cuts = pieces - 1
    edges = np.repeat(np.arange(len(cuts)), cuts)
    rank = np.arange(len(edges)) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    return split_at(graph, edges, (rank + 1) / pieces[edges])


def _between(
    values: np.ndarray, start: np.ndarray, end: np.ndarray, fraction: np.ndarray
) -> np.ndarray:
    return values[start] + fraction * (values[end] - values[start])
