"""Forests: a graph without its cycles, and without its crumbs."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


def spanning_forest(
    graph: NeuriteGraph | NetworkxGraph, weights: Sequence[float] | np.ndarray | None = None
) -> NeuriteGraph:
    """The same nodes with every cycle cut at its heaviest edge (minimum spanning forest).

    Args:
        graph: any graph.
        weights: (E,) cost of each edge; its length in µm by default. Among equal weights the
            edge that comes later in `graph.edges` is cut.
    """
    graph = as_neurite_graph(graph)
    kept = graph.edges[forest_edges(graph, weights)]
    return NeuriteGraph(graph.positions, kept, graph.radii, graph.kinds)


def forest_edges(
    graph: NeuriteGraph, weights: Sequence[float] | np.ndarray | None = None
) -> np.ndarray:
    """The edges (rows of `graph.edges`, ascending) of the minimum spanning forest."""
    cost = graph.lengths if weights is None else np.asarray(weights, dtype=np.float64)
    if cost.shape != (len(graph.edges),) or np.isnan(cost).any():
        raise ValueError(
            f"`weights` must hold one number for each of {len(graph.edges)} edges, "
            f"got shape {cost.shape}" + (" with NaN" if np.isnan(cost).any() else "")
        )
    # Ranks instead of weights: no two are equal and none is 0, which a sparse matrix would drop.
    by_rank = np.argsort(cost, kind="stable")
    low, high = np.sort(graph.edges[by_rank], axis=1).T
    _, first = np.unique(low * len(graph) + high, return_index=True)  # lightest of parallel edges
    ranks = coo_array((first + 1.0, (low[first], high[first])), shape=(len(graph), len(graph)))
    forest = minimum_spanning_tree(ranks.tocsr())
    return np.sort(by_rank[np.rint(forest.data).astype(np.int64) - 1])


def refuse_cycles(graph: NeuriteGraph) -> None:
    """Raise a ValueError that names an edge which closes a cycle, if there is one."""
    if len(graph.edges) == len(graph) - graph.component_count:
        return
    surplus = np.setdiff1d(np.arange(len(graph.edges)), forest_edges(graph))
    start, end = graph.edges[surplus[0]].tolist()
    where = ", ".join(f"{value:.1f}" for value in graph.positions[start])
    raise ValueError(
        f"`graph` must be a forest, got {len(surplus)} edges that close a cycle, one between "
        f"nodes {start} and {end} near ({where}) µm (z, y, x); use spanning_forest(graph)"
    )


def drop_small_components(
    graph: NeuriteGraph | NetworkxGraph, min_length_um: float
) -> NeuriteGraph:
    """The graph without the connected components shorter than `min_length_um` in all."""
    graph = as_neurite_graph(graph)
    component = graph.components
    count = int(component.max()) + 1 if len(component) else 0
    lengths = np.bincount(component[graph.edges[:, 0]], weights=graph.lengths, minlength=count)
    return graph.select((lengths >= min_length_um)[component])


def separated(graph: NeuriteGraph | NetworkxGraph) -> list[tuple[NeuriteGraph, np.ndarray]]:
    """Each connected component as a graph, with the numbers of its nodes in the whole, ascending.

    Components come in the order of their lowest numbered nodes; nodes and edges keep their order.
    """
    graph = as_neurite_graph(graph)
    component = graph.components
    owner = component[graph.edges[:, 0]]
    cuts = np.arange(1, graph.component_count)
    nodes = np.argsort(component, kind="stable")
    edges = np.argsort(owner, kind="stable")
    number = np.empty(len(graph), dtype=np.int64)
    first = np.searchsorted(component[nodes], np.arange(graph.component_count))
    number[nodes] = np.arange(len(graph)) - first[component[nodes]]
    each_nodes = np.split(nodes, np.searchsorted(component[nodes], cuts)) if len(nodes) else []
    each_edges = np.split(edges, np.searchsorted(owner[edges], cuts))
    return [
        (
            NeuriteGraph(
                graph.positions[own], number[graph.edges[rows]], graph.radii[own], graph.kinds[own]
            ),
            own,
        )
        for own, rows in zip(each_nodes, each_edges, strict=False)
    ]
