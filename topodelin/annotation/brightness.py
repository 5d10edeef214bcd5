"""How bright a labelled neurite is along its path: slow variation, and gaps.

Both processes run along the graph from node to node, so they go on through junctions, and their
statistics do not depend on how densely the path is sampled.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit
from scipy.sparse.csgraph import breadth_first_order

from topodelin.annotation.microscope import Microscope
from topodelin.graphs.neurite_graph import NeuriteGraph


def path_brightness(
    graph: NeuriteGraph, rng: np.random.Generator, microscope: Microscope
) -> Float[np.ndarray, " nodes"]:
    r"""Relative brightness of every node.

    The logarithm is an Ornstein-Uhlenbeck process of standard deviation `brightness_sigma` and
    correlation length `brightness_correlation`, zero on average. Gaps are a two-state Markov
    process: the label ends at a rate of $g / ((1 - g) \ell)$ per µm and comes back at $1 / \ell$,
    so a share $g$ of the path is dark in runs of mean length $\ell$; only where the radius is at
    most `gap_neurite_radius`, or unknown. Each component has its own
    factor. On a cycle the process runs both ways round and may jump where the ways meet.
    """
    order, parent, step = _outwards(graph)
    count = len(graph)
    slow = _ornstein_uhlenbeck(
        order, parent, step, rng.normal(size=count), microscope.brightness_correlation
    )
    light = np.exp(microscope.brightness_sigma * slow)
    dimmed = _gaps(
        order,
        parent,
        step,
        rng.random(count),
        rng.uniform(*microscope.gap_brightness, size=count),
        microscope.gap_share,
        microscope.gap_length,
    )
    dimmed[graph.radii > microscope.gap_neurite_radius] = 1.0
    components = int(graph.components.max(initial=-1)) + 1
    factor = rng.uniform(*microscope.neurite_factor, size=components)
    return light * dimmed * factor[graph.components]


def _outwards(graph: NeuriteGraph) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes so that parents come first, the parent of each (-1 at a root), and its distance."""
    order, parent = [], np.full(len(graph), -1, dtype=np.int64)
    _, roots = np.unique(graph.components, return_index=True)
    for root in roots.tolist():
        nodes, before = breadth_first_order(graph.adjacency, root, directed=False)
        order.append(nodes)
        parent[nodes[1:]] = before[nodes[1:]]
    step = np.zeros(len(graph))
    child = parent >= 0
    step[child] = np.linalg.norm(graph.positions[child] - graph.positions[parent[child]], axis=1)
    return np.concatenate([*order, np.zeros(0, np.int64)]).astype(np.int64), parent, step


@njit(cache=True, nogil=True)
@no_type_check
def _ornstein_uhlenbeck(
    order: np.ndarray, parent: np.ndarray, step: np.ndarray, noise: np.ndarray, length: float
) -> np.ndarray:
    value = np.empty(len(order))
    for node in order:
        if parent[node] < 0:
            value[node] = noise[node]
        else:
            kept = np.exp(-step[node] / length)
            value[node] = kept * value[parent[node]] + np.sqrt(1 - kept * kept) * noise[node]
    return value


@njit(cache=True, nogil=True)
@no_type_check
def _gaps(
    order: np.ndarray,
    parent: np.ndarray,
    step: np.ndarray,
    chance: np.ndarray,
    depth: np.ndarray,
    share: float,
    length: float,
) -> np.ndarray:
    """1 on labelled nodes; in a gap the `depth` drawn at its first node."""
    factor = np.ones(len(order))
    dark = np.zeros(len(order), dtype=np.bool_)
    for node in order:
        mother = parent[node]
        likely = share
        if mother >= 0:
            memory = np.exp(-step[node] / (length * (1 - share)))
            likely = share * (1 - memory) + (memory if dark[mother] else 0.0)
        dark[node] = chance[node] < likely
        if dark[node]:
            goes_on = mother >= 0 and dark[mother]
            factor[node] = factor[mother] if goes_on else depth[node]
    return factor
