"""Truths and tracings of any size, for `speed_metrics.py`."""

from pathlib import Path
from typing import Any

import numpy as np

from topodelin.graphs import NeuriteGraph, resample, spanning_forest

CHAIN = 40.0  # µm between junctions


def network(rng: np.random.Generator, nodes: int) -> NeuriteGraph:
    """About that many nodes, 4 µm apart, along the edges of a moved grid in a thin slab."""
    side = max(3, round(np.sqrt(nodes / (2 * CHAIN / 4))))
    row, column = np.divmod(np.arange(side * side), side)
    grid = np.stack([0 * row, row, column], axis=1) * CHAIN
    positions = grid + rng.normal(0, CHAIN / 6, grid.shape)
    number = np.arange(side * side).reshape(side, side)
    right = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    down = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)
    return resample(NeuriteGraph(positions, np.concatenate([right, down])), 4.0)


def without(rng: np.random.Generator, graph: NeuriteGraph, share: float) -> NeuriteGraph:
    """The graph with a share of its edges lost."""
    return NeuriteGraph(graph.positions, graph.edges[rng.random(len(graph.edges)) > share])


def traced(rng: np.random.Generator, truth: NeuriteGraph) -> NeuriteGraph:
    """The truth moved and with some edges lost."""
    moved = truth.positions + rng.normal(0, 0.3, truth.positions.shape)
    return without(rng, NeuriteGraph(moved, truth.edges), 0.003)


def large_pair(case: str, nodes: int, seed: int) -> tuple[NeuriteGraph, NeuriteGraph]:
    """Truth and tracing: "network", "tree" or "forest"."""
    rng = np.random.default_rng(seed)
    truth = network(rng, nodes)
    if case != "network":
        truth = spanning_forest(truth)
    if case == "forest":
        truth = without(rng, truth, 0.001)
    return truth, traced(rng, truth)


def skeletons(side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of 64 straight lines across a cube, and of 60 of them one voxel beside."""
    rng = np.random.default_rng(seed)
    ends = rng.uniform(1, side - 2, (64, 2, 3))
    ends[:, :, 0] = (1, side - 2)
    lines = np.rint(np.linspace(ends[:, 0], ends[:, 1], 2 * side, axis=1)).astype(int)
    masks = np.zeros((2, side, side, side), dtype=bool)
    masks[0][tuple(lines.reshape(-1, 3).T)] = True
    masks[1][tuple((lines[:60] + (0, 0, 1)).reshape(-1, 3).T)] = True
    return masks[0], masks[1]


def save_pair(path: Path, truth: Any, predicted: Any) -> None:
    """Write two graphs or two masks for another process."""
    arrays = {}
    for name, one in (("truth", truth), ("predicted", predicted)):
        if isinstance(one, NeuriteGraph):
            arrays |= {f"{name}_positions": one.positions, f"{name}_edges": one.edges}
        else:
            arrays[name] = one
    np.savez(path, **arrays)


def load_pair(path: Path) -> list[Any]:
    """What `save_pair` wrote."""
    arrays = np.load(path)
    return [
        arrays[name]
        if name in arrays
        else NeuriteGraph(arrays[f"{name}_positions"], arrays[f"{name}_edges"])
        for name in ("truth", "predicted")
    ]
