"""A tracing after repairing some of the errors that `find_errors` listed."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.edge_splitting import split_at
from topodelin.graphs.find_errors import OF_TRUTH, TracingError
from topodelin.graphs.forest import forest_edges
from topodelin.graphs.local_paths import LocalPaths
from topodelin.graphs.nearest import NearestPoints, SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph, joined

DETOUR = 1.5  # two ends are joined already by a path up to so many times as long as they are apart
ROOM = 16  # and this number of steps more: four tolerances with the default step
CRUMB = 16  # steps: shorter pieces that hung on false cable only go where cable is added beside
MANY = 30  # ends on one side: from here on they are joined again in their order, not all with all


def repaired(
    predicted: NeuriteGraph | NetworkxGraph, errors: Sequence[TracingError], *, step: float
) -> NeuriteGraph:
    """The tracing after repairing some of its errors.

    Args:
        predicted: the tracing that the errors were found on.
        errors: those to repair.
        step: as in `TracingErrors`.

    False cable is taken away, and what it touched on one side joined again where nothing else
    joins it. Missing cable is added, as the truth has it, and joined to the nearest places of
    what is there; the cable of the tracing that runs where it should is taken away, with crumbs
    that nothing else held. The rest keeps its nodes; nodes without cable go.
    """
    predicted = as_neurite_graph(predicted)
    surplus = [error for error in errors if error.kind not in OF_TRUTH]
    missing = [error for error in errors if error.kind in OF_TRUTH]
    gone = [error.pieces for error in surplus] + [error.instead for error in missing]
    graph, touched = cut_out(predicted, gone, step=step)
    added = [_first_break(error) for error in missing]
    whole = joined([graph, *added])
    if not len(graph.edges):
        return whole.select(whole.degrees > 0)
    first = np.cumsum([len(graph), *(len(stretch) for stretch in added)]).tolist()
    ends = [np.array(error.ends).reshape(-1, 3) for error in missing]
    near = SegmentTree(graph).nearest(np.concatenate([np.zeros((0, 3)), *ends]))
    split = split_at(whole, near.edges, near.fractions)
    last = np.cumsum([len(some) for some in ends])[:-1]
    places = np.split(split.nodes, last)
    held = _held_already(graph, missing, near, step)

    links, spare = [np.zeros((0, 2), np.int64)], []  # the spare ones only between components
    for error, nodes in zip(surplus, touched, strict=False):
        spare += _on_one_side(error, graph.positions[nodes], nodes)
    for error, stretch, at, own, nodes, twice in zip(
        missing,
        added,
        first,
        places,
        touched[len(surplus) :],
        np.split(held, last),
        strict=False,
    ):
        tree = KDTree(stretch.positions)
        apart, node = tree.query(np.array(error.ends).reshape(-1, 3))
        pairs = np.stack([own, at + np.asarray(node)], axis=1)
        links.append(pairs[(apart == 0) & ~twice])
        spare += pairs[(apart == 0) & twice].tolist()
        beside = at + np.asarray(tree.query(graph.positions[nodes])[1])
        spare += np.stack([nodes, beside], axis=1).tolist()
        if stretch is not error.stretch:
            spare += own[error.stretch.edges].tolist()
    mended = _with_edges(split.graph, np.concatenate(links))
    mended = _with_edges(mended, _needed(mended, np.array(spare, dtype=np.int64).reshape(-1, 2)))
    crumbs = _crumbs(mended, touched, len(graph), added, step)
    return mended.select((mended.degrees > 0) & ~crumbs)


def cut_out(
    graph: NeuriteGraph, pieces: Sequence[np.ndarray], *, step: float
) -> tuple[NeuriteGraph, list[np.ndarray]]:
    """A graph without some pieces, and where these touched it.

    Args:
        graph: any graph.
        pieces: lists of rows of the edges of `split_long_edges(graph, step).graph`.
        step: longest piece, µm.

    Returns:
        The graph, in which only edges that lose a part of themselves are cut, and nodes stay even
        without edges; and for each list the nodes of its pieces that still have edges.
    """
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *pieces])
    counts = np.maximum(1, np.ceil(graph.lengths / step - 1e-9)).astype(np.int64)
    first = np.cumsum(counts) - counts
    edges = np.searchsorted(first, rows, side="right") - 1
    touched = np.unique(edges)
    cuts = counts[touched] - 1
    at = np.repeat(touched, cuts)
    rank = np.arange(len(at)) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    split = split_at(graph, at, (rank + 1) / counts[at]).graph
    now = np.ones(len(counts), dtype=np.int64)
    now[touched] = counts[touched]
    gone = (np.cumsum(now) - now)[edges] + rows - first[edges]
    stays = np.ones(len(split.edges), dtype=bool)
    stays[gone] = False
    rest = NeuriteGraph(split.positions, split.edges[stays], split.radii, split.kinds)
    bounds = np.cumsum([len(part) for part in pieces])[:-1] if pieces else []
    lists = [np.unique(split.edges[part]) for part in np.split(gone, bounds)] if pieces else []
    return rest, [nodes[rest.degrees[nodes] > 0] for nodes in lists]


def _first_break(error: TracingError) -> NeuriteGraph:
    """The stretch of an error, or of several breaks between the same two parts the first one."""
    stretch = error.stretch
    if error.length or len(error.ends) < len(stretch) or len(stretch.edges) < 2:
        return stretch
    return NeuriteGraph(stretch.positions[stretch.edges[0]], np.array([(0, 1)]))


def _on_one_side(
    error: TracingError, places: np.ndarray, nodes: np.ndarray
) -> list[tuple[int, int]]:
    """The pairs of nodes that removed cable touched on one side."""
    if not len(nodes):
        return []
    _, end = KDTree(np.array(error.ends)).query(places)
    sides = np.array(error.sides)[end]
    pairs = []
    for side in np.unique(sides):
        own = nodes[sides == side].tolist()
        pairs += combinations(own, 2) if len(own) < MANY else zip(own[:-1], own[1:], strict=True)
    return pairs


def _held_already(
    graph: NeuriteGraph, missing: Sequence[TracingError], near: NearestPoints, step: float
) -> np.ndarray:
    """For each end of missing cable, whether what is left near it joins it to one before.

    Only where cable was taken away: elsewhere two ends of one stretch close a loop of the truth.
    """
    held = np.zeros(len(near.edges), dtype=bool)
    last = np.cumsum([0, *(len(error.ends) for error in missing)]).tolist()
    pairs = [
        (one, two)
        for error, begin, end in zip(missing, last[:-1], last[1:], strict=True)
        if len(error.instead)
        for one, two in combinations(range(begin, min(end, begin + MANY)), 2)
    ]
    if not pairs:
        return held
    one, two = np.array(pairs).T
    ends = np.array([end for error in missing for end in error.ends])
    limits = DETOUR * np.linalg.norm(ends[two] - ends[one], axis=1) + ROOM * step
    edges, fractions = near.edges, near.fractions
    ways = LocalPaths(graph).lengths(edges[one], fractions[one], edges[two], fractions[two], limits)
    held[two[np.isfinite(ways)]] = True
    return held


def _crumbs(
    graph: NeuriteGraph,
    touched: Sequence[np.ndarray],
    old: int,
    added: Sequence[NeuriteGraph],
    step: float,
) -> np.ndarray:
    """(N,) whether a node lies in a short component that false cable held, beside added cable."""
    count = int(graph.components.max(initial=-1)) + 1
    part = graph.components[graph.edges[:, 0]]
    short = np.bincount(part, weights=graph.lengths, minlength=count) < CRUMB * step
    new = np.concatenate([np.zeros((0, 3)), *(stretch.positions for stretch in added)])
    loose = np.zeros(count, dtype=bool)
    loose[graph.components[np.concatenate([np.zeros(0, np.int64), *touched])]] = True
    loose[graph.components[old : old + len(new)]] = False
    nodes = np.flatnonzero((loose & short)[graph.components])
    if not len(nodes) or not len(new):
        return np.zeros(len(graph), dtype=bool)
    apart, _ = KDTree(new).query(graph.positions[nodes])
    loose[graph.components[nodes[apart > ROOM / 4 * step]]] = False
    return (loose & short)[graph.components]


def _needed(graph: NeuriteGraph, links: np.ndarray) -> np.ndarray:
    """Of some links the shortest that make one of all components that they join."""
    part = graph.components[links]
    apart = links[part[:, 0] != part[:, 1]]
    one, two = graph.positions[apart].transpose(1, 0, 2)
    between = NeuriteGraph(np.zeros((len(graph), 3)), graph.components[apart])
    return apart[forest_edges(between, np.linalg.norm(two - one, axis=1))]


def _with_edges(graph: NeuriteGraph, links: np.ndarray) -> NeuriteGraph:
    """The graph with more edges, but none from a node to itself."""
    edges = np.concatenate([graph.edges, links[links[:, 0] != links[:, 1]]])
    return NeuriteGraph(graph.positions, edges, graph.radii, graph.kinds)
