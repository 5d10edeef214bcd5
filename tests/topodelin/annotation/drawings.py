"""Small graphs drawn by hand."""

from typing import Any

import numpy as np

from topodelin.graphs import NeuriteGraph


def drawn(
    positions: Any, edges: Any = (), radii: float | list[float] | None = None, kinds: Any = None
) -> NeuriteGraph:
    """A graph from lists; one radius for all nodes, or one each."""
    nodes = np.array(positions, dtype=float).reshape(-1, 3)
    given = np.nan if radii is None else radii
    return NeuriteGraph(
        nodes,
        np.array(edges, dtype=int).reshape(-1, 2),
        np.broadcast_to(np.array(given, dtype=float), (len(nodes),)),
        np.zeros(len(nodes), int) if kinds is None else np.array(kinds),
    )


def chain(*nodes: tuple[float, float, float], radii: float | None = None) -> NeuriteGraph:
    """Nodes joined one after another, µm."""
    return drawn(nodes, [(node, node + 1) for node in range(len(nodes) - 1)], radii)


def straight(count: int, step: float, radii: float | None = None) -> NeuriteGraph:
    """A line along x of `count` nodes, `step` µm apart."""
    return chain(*((0.0, 0.0, step * node) for node in range(count)), radii=radii)


EMPTY = drawn([])
