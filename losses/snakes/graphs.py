"""The annotations of a batch as the snake loss needs them: tensors, with their internal forces."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from topodelin.losses.prepared import moved_record
from topodelin.losses.snakes.forces import InternalForces, internal_forces
from topodelin.losses.snakes.rule import SnakeRule
from topodelin.losses.voxel_graph import VoxelGraph

FADE = 1.0  # voxels outside the grid at which the map stops pulling


@dataclass(frozen=True, eq=False)
class PreparedGraph:
    """One annotation as tensors, with its internal forces.

    Args:
        positions, edges: of the graph.
        free: coordinates that may move.
        ends: nodes of one edge.
        forces: for the `alpha` and `beta` of one rule.
        lowest, highest: corners of the box that holds the nodes; infinite without any.
    """

    positions: Float[Tensor, "nodes dims"]
    edges: Int64[Tensor, "edges 2"]
    free: Bool[Tensor, "nodes dims"]
    ends: Bool[Tensor, " nodes"]
    forces: InternalForces
    lowest: tuple[float, ...]
    highest: tuple[float, ...]

    def to(self, device: torch.device | str) -> "PreparedGraph":
        """The same on another device."""
        return moved_record(self, device)


@dataclass(frozen=True, eq=False)
class PreparedGraphs:
    """What the snake loss needs to know of the annotations of a batch."""

    samples: tuple[PreparedGraph, ...]

    def to(self, device: torch.device | str) -> "PreparedGraphs":
        """The same on another device."""
        return moved_record(self, device)


def prepare_graphs(graphs: Sequence[VoxelGraph], rule: SnakeRule) -> PreparedGraphs:
    """Assemble the internal forces of each graph, which depend on the annotation only."""
    return PreparedGraphs(tuple(_prepare(graph, rule) for graph in graphs))


def _prepare(graph: VoxelGraph, rule: SnakeRule) -> PreparedGraph:
    if not isinstance(graph, VoxelGraph):
        raise TypeError(
            f"`graphs` must hold one VoxelGraph per sample, got {type(graph).__name__}; turn a "
            "NeuriteGraph into voxels with VoxelGraph.of(graph, spacing, origin) and crop_graph"
        )
    places = graph.positions
    return PreparedGraph(
        torch.tensor(places),
        torch.tensor(graph.edges),
        torch.tensor(~graph.frozen),
        torch.tensor(np.bincount(graph.edges.ravel(), minlength=len(graph)) == 1),
        internal_forces(graph.edges, len(graph), rule.alpha, rule.beta),
        tuple(places.min(axis=0, initial=math.inf).tolist()),
        tuple(places.max(axis=0, initial=-math.inf).tolist()),
    )


def check_graphs(prepared: PreparedGraphs, shape: tuple[int, ...]) -> None:
    """Refuse graphs that do not fit to a prediction of this shape."""
    space = shape[2:]
    if len(prepared.samples) != shape[0]:
        raise ValueError(
            f"`graphs` must hold one graph for each of {shape[0]} samples, got "
            f"{len(prepared.samples)}; give an empty VoxelGraph where nothing is annotated"
        )
    for index, sample in enumerate(prepared.samples):
        if len(sample.lowest) != len(space):
            raise ValueError(
                f"`graphs` must be {len(space)}-D like the prediction, got graph {index} in "
                f"{len(sample.lowest)}-D"
            )
        inside = all(
            low >= -FADE and high <= size - 1 + FADE
            for low, high, size in zip(sample.lowest, sample.highest, space, strict=True)
        )
        if not inside:
            raise ValueError(
                f"`graphs` must lie in the array of shape {space}, in voxels, got graph {index} "
                f"from {sample.lowest} to {sample.highest}; cut it with crop_graph(graph, begin, "
                "end)"
            )
