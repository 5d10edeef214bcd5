"""Random curves as truth, and the same with planted gaps and bridges as prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import KDTree
from torch import Tensor

from topodelin.losses import VoxelGraph

D_MAX = 15.0
APART = 8.0  # voxels between two curves, so that each is a tree of its own
WINDING = 8.0  # voxels, to either side
TRIES = 2000  # of one curve or bridge
NOISE = 0.3  # standard deviation of the errors of the predicted distance, voxels
GAP_LENGTHS = (4, 12)  # steps of about a voxel along the curve
BRIDGE_LENGTHS = (10.0, 30.0)  # voxels
NEAR = 4.0  # voxels of a bridge nearer to a true curve than this are not counted as bridge


@dataclass(frozen=True)
class Scene:
    """One truth and one faulty prediction of it.

    Args:
        truth, prediction: distance maps `(1, 1, *space)`.
        graph: the true curves, in voxel indices.
        gaps: for each gap, bool of the shape of space, the voxels of the true curve where the
            prediction has none, and those that touch them.
        bridges: for each bridge likewise its voxels and those that touch them, away from the
            true curves.
    """

    truth: Tensor
    prediction: Tensor
    graph: VoxelGraph
    gaps: list[np.ndarray]
    bridges: list[np.ndarray]


def plant(shape: Sequence[int], curves: int, gaps: int, bridges: int, seed: int) -> Scene:
    """Curves from face to face, `gaps` of them in equal shares, `bridges` between two of them."""
    rng = np.random.default_rng(seed)
    drawn = random_curves(rng, shape, curves)
    mask = np.zeros(tuple(shape), bool)
    for points in drawn:
        mask[voxels(points)] = True
    truth = distance(mask)

    kept = [np.ones(len(points), bool) for points in drawn]
    holes = []
    for number in range(gaps):
        points, keep = drawn[number % curves], kept[number % curves]
        length = int(rng.integers(*GAP_LENGTHS, endpoint=True))
        begin = int(rng.integers(length, len(points) - 2 * length))
        keep[begin : begin + length] = False
        hole = np.zeros_like(mask)
        hole[voxels(points[begin : begin + length])] = True
        holes.append(hole)
    predicted = np.zeros_like(mask)
    for points, keep in zip(drawn, kept, strict=True):
        predicted[voxels(points[keep])] = True

    spans = []
    for _ in range(TRIES * bridges):
        if len(spans) == bridges:
            break
        one = int(rng.integers(curves))
        begin = drawn[one][rng.integers(len(drawn[one]))]
        others = np.concatenate([points for k, points in enumerate(drawn) if k != one])
        lengths = np.linalg.norm(others - begin, axis=1)
        ends = others[(lengths >= BRIDGE_LENGTHS[0]) & (lengths <= BRIDGE_LENGTHS[1])]
        if not len(ends):
            continue
        along = np.linspace(0, 1, int(2 * BRIDGE_LENGTHS[1]))[:, None]
        span = np.zeros_like(mask)
        span[voxels(begin + along * (ends[rng.integers(len(ends))] - begin))] = True
        counted = grown(span) & (truth > NEAR)
        if counted.any():
            predicted |= span
            spans.append(counted)

    noise = rng.normal(0, NOISE, mask.shape)
    prediction = (distance(predicted) + noise).astype(np.float32)
    holes = [grown(hole & ~predicted) for hole in holes]
    firsts = np.cumsum([0, *map(len, drawn)])
    edges = [
        first + np.stack([np.arange(len(p) - 1), np.arange(1, len(p))], 1)
        for first, p in zip(firsts, drawn, strict=False)
    ]
    return Scene(
        torch.from_numpy(truth)[None, None],
        torch.from_numpy(prediction)[None, None],
        VoxelGraph(np.concatenate(drawn), np.concatenate(edges)),
        holes,
        spans,
    )


def random_curves(rng: np.random.Generator, shape: Sequence[int], count: int) -> list[np.ndarray]:
    """So many curves, none nearer than `APART` to another."""
    drawn: list[np.ndarray] = []
    for _ in range(TRIES * count):
        if len(drawn) == count:
            return drawn
        points = random_curve(rng, shape)
        if all(KDTree(other).query(points)[0].min() >= APART for other in drawn):
            drawn.append(points)
    raise ValueError(f"`count` must leave the curves {APART:g} voxels apart, got {count}")


def random_curve(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Points, about a voxel apart, of a curve that winds from one face to the opposite one.

    In images all run along the last axis, since any other would cross them.
    """
    last = np.array(shape) - 1.0
    along = int(rng.integers(3)) if len(shape) == 3 else 1
    knots = (
        0.1 + 0.8 * rng.random(len(shape)) + rng.uniform(-WINDING, WINDING, (5, len(shape))) / last
    )
    fine = np.linspace(0, 4, int(1.2 * last[along]))
    points = np.stack(
        [ndimage.map_coordinates(column, [fine], order=3, mode="nearest") for column in knots.T], 1
    )
    points[:, along] = fine / 4
    return np.clip(points, 0, 1) * last


def grown(mask: np.ndarray) -> np.ndarray:
    """The voxels of a mask and those that touch them."""
    return np.asarray(ndimage.binary_dilation(mask, np.ones((3,) * mask.ndim)))


def voxels(points: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.round(points).astype(int).T)


def distance(mask: np.ndarray) -> np.ndarray:
    return np.minimum(np.asarray(ndimage.distance_transform_edt(~mask)), D_MAX).astype(np.float32)
