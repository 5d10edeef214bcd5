"""Where trees begin: a root for every tree, by what is known of it."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.graphs.trees_from_roots import trees_from_roots

SOMA = 1


def one_root_each(graph: NeuriteGraph, roots: Sequence[int] | np.ndarray = ()) -> list[int]:
    """A root for every tree, ascending.

    Args:
        graph: one or more trees; a node without edges is one.
        roots: nodes that must be roots, at most one in each tree; trees that hold none of these
            begin at their lowest numbered node.
    """
    trees, lowest = np.unique(graph.components, return_index=True)
    chosen = dict(zip(trees.tolist(), lowest.tolist(), strict=True))
    wanted = np.asarray(roots, dtype=np.int64).ravel()
    if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(graph)):
        raise ValueError(f"`roots` must be nodes of the graph, 0 to {len(graph) - 1}, got {roots}")
    taken: dict[int, int] = {}
    for root in wanted.tolist():
        tree = int(graph.components[root])
        if taken.setdefault(tree, root) != root:
            raise ValueError(
                f"`roots` must lie in different trees, got {taken[tree]} and {root} in the same; "
                "keep one of them"
            )
    return sorted((chosen | taken).values())


def written_roots(graph: NeuriteGraph) -> np.ndarray:
    """The nodes that no edge leads to, ascending: the roots of what `read_swc` read."""
    below = np.zeros(len(graph), dtype=bool)
    below[graph.edges[:, 1]] = True
    return np.flatnonzero(~below)


def soma_roots(graph: NeuriteGraph) -> np.ndarray:
    """The thickest node of type 1 of each tree that has one; of equals the lowest numbered."""
    soma = np.flatnonzero(graph.kinds == SOMA)
    order = np.lexsort((soma, -np.nan_to_num(graph.radii[soma]), graph.components[soma]))
    soma = soma[order]
    return soma[np.unique(graph.components[soma], return_index=True)[1]]


def longest_path_roots(graph: NeuriteGraph) -> np.ndarray:
    """An end of the longest path of each tree; of its two ends the lower numbered.

    The node farthest from any node of a tree is an end of a longest path, and the node farthest
    from that one is its other end.
    """
    one = _farthest(graph, np.array(one_root_each(graph), dtype=np.int64))
    return np.minimum(one, _farthest(graph, one))


def nearest_node(graph: NeuriteGraph, place: Sequence[float] | np.ndarray) -> int:
    """The node nearest to a place `(z, y, x)`, µm."""
    if not len(graph):
        raise ValueError("`graph` must have a node")
    return int(KDTree(graph.positions).query(np.asarray(place, dtype=np.float64))[1])


def _farthest(graph: NeuriteGraph, roots: np.ndarray) -> np.ndarray:
    """For each root the node of its tree that is farthest along the cable, lowest among equals."""
    rows = trees_from_roots(graph, roots)
    order = np.lexsort((rows.nodes, -np.round(rows.depths, 9), rows.tree))
    first = np.unique(rows.tree[order], return_index=True)[1]
    return rows.nodes[order][first]
