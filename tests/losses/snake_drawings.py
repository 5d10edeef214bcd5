"""Small annotated curves and the maps of the neurites they mean, for the tests of the snake."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from topodelin.losses.rendering import render_distance_map
from topodelin.losses.snake import snake_loss
from topodelin.losses.voxel_graph import VoxelGraph

D_MAX = 15.0


def path(points: Sequence[Sequence[float]] | np.ndarray) -> VoxelGraph:
    """Nodes joined one after the other."""
    positions = np.array(points, dtype=np.float64)
    nodes = np.arange(len(positions))
    return VoxelGraph(positions, np.stack([nodes[:-1], nodes[1:]], axis=1))


def empty(dims: int) -> VoxelGraph:
    return VoxelGraph(np.empty((0, dims)), np.empty((0, 2)))


def bow(dims: int, shift: float = 0.0, side: int = 20) -> VoxelGraph:
    """A bent curve across a map, its first axis moved by so many voxels."""
    t = np.linspace(0, 1, side - 5)
    columns = [side / 2 + 2 * np.sin(3 * t) + shift, 3 + (side - 6) * t, side / 2 - 2 * t]
    return path(np.stack(columns[:dims], axis=1))


def fork(seed: int, shape: Sequence[int]) -> VoxelGraph:
    """A path with a side branch, and a piece of its own; one node on a face, one without edge.

    0* --- 1 --- 2 --- 3        6 --- 7      8
                 |
                 4 --- 5
    """
    rng = np.random.default_rng(seed)
    positions = (0.15 + 0.7 * rng.random((9, len(shape)))) * (np.array(shape) - 1)
    positions[0, 0] = 0
    frozen = np.zeros(positions.shape, bool)
    frozen[0, 0] = True
    edges = [(0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (6, 7)]
    return VoxelGraph(positions, np.array(edges), frozen)


def map_of(
    graph: VoxelGraph,
    shape: Sequence[int],
    *,
    d_max: float = D_MAX,
    spacing: Sequence[float] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The distance map of a graph, with batch and channel axes."""
    positions = torch.tensor(graph.positions).to(dtype)
    edges = torch.tensor(graph.edges)
    return render_distance_map(positions, edges, shape, d_max, spacing=spacing)[None, None]


def noise(seed: int, shape: Sequence[int], sigma: float) -> Tensor:
    """Gaussian errors of a prediction."""
    values = np.random.default_rng(seed).normal(0, sigma, tuple(shape))
    return torch.from_numpy(values.astype(np.float32))


def noisy_map(shape: tuple[int, ...], seed: int = 0, shift: float = 1.5) -> Tensor:
    """What a network might predict where the bow runs `shift` voxels beside its annotation."""
    target = map_of(bow(len(shape), shift), shape)
    return target + noise(seed, target.shape, 0.5)


def gradient(prediction: Tensor, graphs: list[VoxelGraph], **constants: object) -> Tensor:
    """The derivative of the snake loss with respect to the prediction."""
    asked = prediction.clone().requires_grad_()
    snake_loss(asked, graphs, **constants).backward()
    assert asked.grad is not None
    return asked.grad
