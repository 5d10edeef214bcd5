"""The distance of every voxel to the nearest of many segments, in torch operations on any device.

The same exact rule as in `topodelin.losses.kernels.segment_distance` with one level of blocks: per
block the segments that may be nearest to one of its voxels, then all its voxels against these. Work
is cut into pieces of a fixed number of distances, so memory does not grow with voxels times
segments.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK_SIDE = 8
DISTANCES_AT_ONCE = 2**20

# Rounding of the bounds in single precision: a segment is kept rather than lost.
SLACK = 1e-4


def nearest_segments_torch(
    starts: Tensor,
    ends: Tensor,
    spacing: Tensor,
    shape: Sequence[int],
    d_max: float,
    *,
    side: int = BLOCK_SIDE,
    at_once: int = DISTANCES_AT_ONCE,
) -> tuple[Tensor, Tensor]:
    """The truncated distance map of segments and the row of the nearest one, -1 beyond `d_max`.

    Args:
        starts, ends: (segments, dims), in voxel indices, of the map's float type and device.
        spacing: (dims,), lengths of a voxel's edges in units of the map.
        shape: of the map.
        d_max: where the map is truncated.
        side: of a block, in voxels.
        at_once: distances held in memory at a time.
    """
    dims, count = starts.shape[1], len(starts)
    device = starts.device
    blocks = [math.ceil(size / side) for size in shape]
    origins = _grid(blocks, device) * side
    voxels = _grid([side] * dims, device)
    distance = torch.full((len(origins), len(voxels)), d_max, dtype=starts.dtype, device=device)
    nearest = torch.full(distance.shape, -1, dtype=torch.int32, device=device)

    steps = (ends - starts) * spacing
    length = steps.square().sum(1)
    scale = torch.where(length > 0, 1 / length, 0).nan_to_num(posinf=0)
    reach = float((spacing * (side - 1) / 2).norm())
    per_piece = max(1, at_once // max(len(voxels), count))
    for first in range(0, len(origins) if count else 0, per_piece):
        piece = slice(first, first + per_piece)
        centres = origins[piece] + (side - 1) / 2
        every = torch.arange(count, device=device)[None]
        squared = _squared_distance(centres[:, None], every, starts, steps, scale, spacing)[:, :, 0]
        bound = (squared.amin(1).sqrt() + reach).clamp(max=d_max) + reach
        bound = bound * (1 + SLACK) + SLACK
        _compare(
            origins[piece, None] + voxels,
            squared <= bound.square()[:, None],
            (starts, steps, scale, spacing),
            at_once,
            distance[piece],
            nearest[piece],
        )
    return _assemble(distance, blocks, side, shape), _assemble(nearest, blocks, side, shape)


def _compare(
    voxels: Tensor,
    kept: Tensor,
    segments: tuple[Tensor, Tensor, Tensor, Tensor],
    at_once: int,
    distance: Tensor,
    nearest: Tensor,
) -> None:
    """Lower `distance` (blocks, voxels), in place, by the segments `kept` for each block."""
    used = kept.sum(1)
    table = _rows(kept)
    column = 0
    while column < table.shape[1]:
        busy = (used > column).nonzero()[:, 0]
        columns = max(1, at_once // (len(busy) * voxels.shape[1]))
        rows = table[busy, column : column + columns]
        least, which = _squared_distance(voxels[busy], rows, *segments).min(1)
        least = least.sqrt()
        nearer = least < distance[busy]
        distance[busy] = torch.where(nearer, least, distance[busy])
        nearest[busy] = torch.where(nearer, rows.gather(1, which).int(), nearest[busy])
        column += columns


def _squared_distance(
    points: Tensor, rows: Tensor, starts: Tensor, steps: Tensor, scale: Tensor, spacing: Tensor
) -> Tensor:
    """(blocks, segments, points) from `points` (blocks, points, dims) to `rows` of segments."""
    away = [
        (points[:, None, :, axis] - starts[rows, axis][:, :, None]) * spacing[axis]
        for axis in range(starts.shape[1])
    ]
    step = [steps[rows, axis][:, :, None] for axis in range(starts.shape[1])]
    along = sum((a * s for a, s in zip(away, step, strict=True)), torch.zeros_like(away[0]))
    fraction = (along * scale[rows][:, :, None]).clamp(0, 1)
    parts = (torch.addcmul(a, fraction, s, value=-1) for a, s in zip(away, step, strict=True))
    return sum((part.square() for part in parts), torch.zeros_like(fraction))


def _rows(kept: Tensor) -> Tensor:
    """(blocks, most) numbers of the True columns of each row, in order.

    Short rows are filled up with segment 0, which is then compared in vain.
    """
    block, segment = kept.nonzero(as_tuple=True)
    counts = kept.sum(1)
    first = counts.cumsum(0) - counts
    table = kept.new_zeros((len(kept), int(counts.max())), dtype=torch.int64)
    table[block, torch.arange(len(block), device=kept.device) - first[block]] = segment
    return table


def _grid(sizes: Sequence[int], device: torch.device) -> Tensor:
    """(cells, dims) indices of the cells of a grid, the last axis fastest."""
    axes = [torch.arange(size, device=device) for size in sizes]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(sizes))


def _assemble(values: Tensor, blocks: Sequence[int], side: int, shape: Sequence[int]) -> Tensor:
    """A map of `shape` from values (blocks, voxels of a block)."""
    dims = len(blocks)
    order = [axis for pair in zip(range(dims), range(dims, 2 * dims), strict=True) for axis in pair]
    grid = values.reshape(*blocks, *[side] * dims).permute(order)
    whole = grid.reshape([n * side for n in blocks])
    return whole[tuple(slice(size) for size in shape)].contiguous()
