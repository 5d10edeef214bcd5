"""A small asymmetric volume and tracings of it, for the tests of the report."""

import numpy as np

from topodelin.graphs import NeuriteGraph
from topodelin.volumes import Volume

SPACING = (2.0, 0.5, 0.25)


def phantom() -> Volume:
    """5 x 7 x 11 voxels (10 x 3.5 x 2.75 µm), dark but for one voxel near the corner."""
    data = np.zeros((5, 7, 11), np.uint8)
    data[1, 2, 4] = 200
    return Volume(data, SPACING)


def line(start: tuple[float, float, float], end: tuple[float, float, float]) -> NeuriteGraph:
    """A straight neurite of 11 nodes, µm."""
    return NeuriteGraph(np.linspace(start, end, 11), np.stack([np.arange(10), np.arange(1, 11)], 1))


def together(*graphs: NeuriteGraph) -> NeuriteGraph:
    """Several graphs as one, not joined."""
    first = np.cumsum([0, *(len(graph) for graph in graphs)])
    return NeuriteGraph(
        np.concatenate([graph.positions for graph in graphs]),
        np.concatenate([graph.edges + n for graph, n in zip(graphs, first, strict=False)]),
    )


def nothing() -> NeuriteGraph:
    """A graph without nodes."""
    return NeuriteGraph(np.empty((0, 3)), np.empty((0, 2), np.int64))
