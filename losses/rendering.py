r"""The exact distance map of a graph, differentiable with respect to its nodes.

Every voxel of the map depends on one point only: the closest one of the graph. Moving the segment
that holds it moves that point with it, so the derivative is known in closed form and needs no more
than the number of the nearest segment of each voxel.

Reference:
    D. Oner, L. Citraro, M. Kozinski, P. Fua. Adjusting the ground truth annotations for
    connectivity-based learning to delineate. TMI 2022. arXiv:2112.02781. (Theirs depends on the
    size of the blocks it works in, and leaves out nodes without edges.)
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from topodelin.losses.kernels.host_threads import over_ranges
from topodelin.losses.kernels.segment_distance import (
    BLOCK_SIDES,
    nearest_segments,
    position_gradient,
)
from topodelin.losses.kernels.segment_distance_torch import nearest_segments_torch

BACKENDS = ("auto", "numba", "torch")


def render_distance_map(
    positions: Tensor,
    edges: Tensor,
    shape: Sequence[int],
    d_max: float,
    *,
    spacing: Sequence[float] | None = None,
    backend: str = "auto",
) -> Float[Tensor, "*space"]:
    r"""The distance of every voxel to the nearest point of a graph, truncated at `d_max`.

    $$D(x) = \min\Bigl(d_{max},\; \min_{(u,v)} \min_{0 \le a \le 1}
             \bigl\| s \odot (x - (1-a)\, p_u - a\, p_v) \bigr\|\Bigr)$$

    Exact up to rounding. The gradient of a voxel with $0 < D < d_{max}$ goes to the two ends of
    its nearest segment: with the closest point $q$ on it and the fraction $a$,
    $-(1-a)\,n$ to $u$ and $-a\,n$ to $v$, where $n = s \odot s \odot (x-q) / \|s \odot (x-q)\|$.
    Where several segments are equally near, one of them takes it all. It cannot be differentiated
    twice.

    Args:
        positions: $p$, (N, d) float nodes, d = 2 or 3, in voxel indices. What lies outside the map
            is seen from within.
        edges: (E, 2) int64, rows of `positions`. A node without edges is a point of the graph, and
            so is an edge of length 0.
        shape: voxels of the map along each axis.
        d_max: $d_{max}$, in units of the map.
        spacing: $s$, lengths of a voxel's edges in units of the map; 1s by default.
        backend: "numba" is a compiled kernel on torch's threads of the host, "torch" runs on the
            device of `positions`, "auto" takes the kernel for tensors on the host and torch for
            others. They agree to rounding.

    Returns a map of the float type of `positions`, float32 for half precision; `d_max`
    everywhere without nodes.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy; also
            for NaN and infinity.
    """
    size, scale = _check(positions, edges, shape, d_max, spacing)
    if backend not in BACKENDS:
        choices = ", ".join(map(repr, BACKENDS))
        raise ValueError(f"`backend` must be one of {choices}, got {backend!r}")
    if backend == "auto":
        backend = "numba" if positions.device.type == "cpu" else "torch"
    full = positions if positions.dtype == torch.float64 else positions.float()
    segments = _with_lone_nodes(edges.to(positions.device), len(positions))
    return _Rendering.apply(full, segments, size, scale, float(d_max), backend)


def _with_lone_nodes(edges: Tensor, count: int) -> Tensor:
    """The edges, followed by a segment from each of `count` nodes without an edge to itself."""
    lone = torch.ones(count, dtype=torch.bool, device=edges.device)
    lone[edges.flatten()] = False
    return torch.cat([edges, lone.nonzero().expand(-1, 2)])


def _check(
    positions: Tensor,
    edges: Tensor,
    shape: Sequence[int],
    d_max: float,
    spacing: Sequence[float] | None,
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The shape and the spacing of a map, or an error that says what is wrong."""
    dims = positions.shape[1] if positions.ndim == 2 else 0
    if dims not in (2, 3) or not positions.is_floating_point():
        raise (ValueError if positions.is_floating_point() else TypeError)(
            f"`positions` must be a float tensor (nodes, 2) or (nodes, 3), got {positions.dtype} "
            f"{tuple(positions.shape)}; torch.empty(0, 3) for an empty graph"
        )
    if edges.dtype != torch.int64 or edges.ndim != 2 or edges.shape[1] != 2:
        raise (ValueError if edges.dtype == torch.int64 else TypeError)(
            f"`edges` must be an int64 tensor (edges, 2), got {edges.dtype} {tuple(edges.shape)}; "
            "torch.empty(0, 2, dtype=torch.int64) for none"
        )
    size = tuple(int(n) for n in shape)
    if len(size) != dims or min(size) < 1:
        raise ValueError(f"`shape` must be {dims} positive numbers of voxels, got {size}")
    if not 0 < d_max < math.inf:
        raise ValueError(f"`d_max` must be a positive number in units of the map, got {d_max!r}")
    scale = (1.0,) * dims if spacing is None else tuple(float(value) for value in spacing)
    if len(scale) != dims or not all(0 < value < math.inf for value in scale):
        raise ValueError(
            f"`spacing` must be {dims} positive lengths in units of the map, got {spacing!r}"
        )
    if not bool(torch.isfinite(positions).all()):
        raise ValueError(
            "`positions` must be finite, got NaN or infinity; lower the step that moved them"
        )
    low, high = (int(value) for value in edges.aminmax()) if edges.numel() else (0, -1)
    if low < 0 or high >= len(positions):
        raise ValueError(
            f"`edges` must hold rows of the {len(positions)} positions, got {low} to {high}"
        )
    return size, scale


class _Rendering(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        positions: Tensor,
        segments: Tensor,
        shape: tuple[int, ...],
        spacing: tuple[float, ...],
        d_max: float,
        backend: str,
    ) -> Tensor:
        nearest_of = _nearest_numba if backend == "numba" else _nearest_torch
        distance, nearest = nearest_of(positions, segments, shape, spacing, d_max)
        nearest.masked_fill_((distance >= d_max) | (distance == 0), -1)  # no gradient from there
        ctx.save_for_backward(positions, segments, distance, nearest)
        ctx.spacing, ctx.backend = spacing, backend
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        positions, segments, distance, nearest = ctx.saved_tensors
        pull = _pull_numba if ctx.backend == "numba" else _pull_torch
        gradient = pull(positions, segments, distance, nearest, ctx.spacing, cotangents[0])
        return gradient, None, None, None, None, None


def _nearest_numba(
    positions: Tensor,
    segments: Tensor,
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    d_max: float,
) -> tuple[Tensor, Tensor]:
    starts, ends, lengths = _host_segments(positions, segments, spacing)
    distance = np.empty(_volume(shape))
    nearest = np.empty(_volume(shape), np.int32)

    def render(begin: int, end: int) -> None:
        nearest_segments(starts, ends, lengths, d_max, *BLOCK_SIDES, begin, end, distance, nearest)

    over_ranges(render, len(distance), least=BLOCK_SIDES[0])
    return (
        torch.from_numpy(distance).view(shape).to(positions),
        torch.from_numpy(nearest).view(shape).to(positions.device),
    )


def _pull_numba(
    positions: Tensor,
    segments: Tensor,
    distance: Tensor,
    nearest: Tensor,
    spacing: tuple[float, ...],
    cotangent: Tensor,
) -> Tensor:
    starts, ends, lengths = _host_segments(positions, segments, spacing)
    volume = _volume(distance.shape)
    at_ends = np.zeros((2, len(starts), 3))
    position_gradient(
        starts,
        ends,
        lengths,
        distance.cpu().double().view(volume).numpy(),
        nearest.cpu().view(volume).numpy(),
        cotangent.cpu().double().contiguous().view(volume).numpy(),
        at_ends[0],
        at_ends[1],
    )
    gradient = np.zeros((len(positions), 3))
    rows = segments.cpu().numpy()
    np.add.at(gradient, rows[:, 0], at_ends[0])
    np.add.at(gradient, rows[:, 1], at_ends[1])
    return torch.from_numpy((gradient * lengths)[:, -len(spacing) :]).to(positions)


def _host_segments(
    positions: Tensor, segments: Tensor, spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts and ends (segments, 3) in units of the map, and the spacing; 2-D lies at depth 0."""
    dims = len(spacing)
    lengths = np.ones(3)
    lengths[-dims:] = spacing
    points = np.zeros((len(positions), 3))
    points[:, -dims:] = positions.detach().cpu().double().numpy() * spacing
    rows = segments.cpu().numpy()
    return points[rows[:, 0]], points[rows[:, 1]], lengths


def _volume(shape: Sequence[int]) -> tuple[int, ...]:
    """An image is a volume of depth 1."""
    return (1,) * (3 - len(shape)) + tuple(shape)


def _nearest_torch(
    positions: Tensor,
    segments: Tensor,
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    d_max: float,
) -> tuple[Tensor, Tensor]:
    starts, ends = positions.detach()[segments.T]
    return nearest_segments_torch(starts, ends, positions.new_tensor(spacing), shape, d_max)


def _pull_torch(
    positions: Tensor,
    segments: Tensor,
    distance: Tensor,
    nearest: Tensor,
    spacing: tuple[float, ...],
    cotangent: Tensor,
) -> Tensor:
    voxels = (nearest >= 0).nonzero()
    index = voxels.unbind(1)
    scale = positions.new_tensor(spacing)
    tails, heads = segments[nearest[index].long()].unbind(1)
    step = (positions[heads] - positions[tails]) * scale
    away = (voxels - positions[tails]) * scale
    length = step.square().sum(1)
    along = (away * step).sum(1) / length
    fraction = along.where(length > 0, 0).clamp(0, 1)[:, None]
    pull = (cotangent[index] / distance[index])[:, None] * (away - fraction * step) * scale
    gradient = torch.zeros_like(positions)
    gradient.index_add_(0, tails, pull * (fraction - 1))
    return gradient.index_add_(0, heads, pull * -fraction)
