"""Every short piece of one graph, and the place on the other graph that it lies nearest to."""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.edge_splitting import SplitGraph, split_long_edges
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NeuriteGraph


@dataclass(frozen=True, eq=False, slots=True)
class Matching:
    """A graph cut into short edges, and for each of its nodes the nearest place on another one.

    Args:
        pieces: the graph with more nodes; the old ones come first.
        other: the graph that it was matched to.
        trees: (N,) component of the graph that each node of `pieces` lies on.
        matched: (N,) whether that place lies within the tolerance.
        components: (N,) component of `other` there, -1 where unmatched.
        edges, fractions, distances: (N,) the place and how far it is, µm; searched as far as
            `reach`, beyond that -1, NaN and infinity.
        tolerance, step: the parameters, µm.
    """

    pieces: NeuriteGraph
    other: NeuriteGraph
    trees: np.ndarray
    matched: np.ndarray
    components: np.ndarray
    edges: np.ndarray
    fractions: np.ndarray
    distances: np.ndarray
    tolerance: float
    step: float


def match(
    graph: NeuriteGraph, other: NeuriteGraph, *, tolerance: float, step: float, reach: float = 0.0
) -> Matching:
    """Match the nodes of a graph, cut into edges of at most `step`, to the edges of another.

    Args:
        graph, other: µm.
        tolerance: how far apart the same neurite may lie in the two, µm.
        step: longest edge of the pieces, µm.
        reach: how far to look for a place all the same, µm, if more than the tolerance.
    """
    split = split_long_edges(graph, step)
    pieces = split.graph
    limit = max(tolerance, reach) + SLACK
    nearest = SegmentTree(other).nearest(pieces.positions, limit=limit)
    matched = nearest.distances <= tolerance + SLACK
    components = np.full(len(pieces), -1, dtype=np.int64)
    components[matched] = other.components[other.edges[nearest.edges[matched], 0]]
    return Matching(
        pieces,
        other,
        components_after_cuts(graph, split),
        matched,
        components,
        nearest.edges,
        nearest.fractions,
        nearest.distances,
        float(tolerance),
        float(step),
    )


def components_after_cuts(graph: NeuriteGraph, split: SplitGraph) -> np.ndarray:
    """(N,) component, in the graph that was cut, of each node of the one with more nodes.

    The same as the components of the latter, without the memory that finding them takes.
    """
    components = np.empty(len(split.graph), dtype=np.int64)
    components[: len(graph)] = graph.components
    tree = graph.components[graph.edges[split.parents, 0]]
    components[split.graph.edges] = tree[:, None]
    return components
