"""Random crops: which cubes of which stacks a step learns from.

A crop is a pure function of (seed, step, number in the batch): nothing has to be remembered to go
on from any step, and any number of threads or devices draws the same crops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from topodelin.graphs import NeuriteGraph
from topodelin.losses import PreparedTargets
from topodelin.training.appearance import NORMALISED, change_appearance
from topodelin.training.config import Augmentation
from topodelin.training.stacks import Stack
from topodelin.training.targets import (
    FROM_PLANES,
    collated,
    graph_target,
    narrowed,
    planes_foreground,
    planes_target,
    stacked,
)
from topodelin.training.warping import Warp, random_warp
from topodelin.volumes import Box

ATTEMPTS = 50  # random places tried before one is taken that is known to hold centreline


DISTANCE_MAP = frozenset({"distance_map"})


class Batch(NamedTuple):
    """Normalised images and their annotations, as [`WeightedSum`][] takes them."""

    image: Float[Tensor, "batch 1 z y x"]
    target: Mapping[str, Any] | PreparedTargets


@dataclass(frozen=True)
class Sampler:
    """Draws crops with at least `min_foreground` centreline voxels, and augments them.

    Args:
        stacks: all with the same spacing; drawn in proportion to their weights.
        seed: of the run.
        crop: voxels `(z, y, x)`.
        batch: crops per step.
        min_foreground: centreline voxels that each crop holds at least.
        d_max: where the distance map is clipped, finest voxel edges.
        augmentation: changes of geometry and brightness.
        kinds: the kinds of annotation that the loss takes, see `targets.py`.
        lost: voxels by which the network's output is smaller than a crop, along each axis.
        attempts: random places tried; after them the crop is laid, without being turned, around
            one of the stack's centreline voxels that are known to have enough around them.

    Raises:
        ValueError: when a stack is smaller than a crop, or has no place with enough centreline;
            the message names the stack.
    """

    stacks: Sequence[Stack]
    seed: int
    crop: tuple[int, int, int]
    batch: int
    min_foreground: int
    d_max: float
    augmentation: Augmentation
    kinds: frozenset[str] = DISTANCE_MAP
    lost: tuple[int, int, int] = (0, 0, 0)
    attempts: int = ATTEMPTS

    def __post_init__(self) -> None:
        if not self.stacks:
            raise ValueError("`stacks` must hold at least one stack to learn from, got none")
        for stack in self.stacks:
            check_stack(stack, self.crop, self.min_foreground)
            check_kinds(stack, self.kinds)

    def draw(self, step: int, *, first: int = 0, every: int = 1) -> Batch:
        """The batch of a step, or every `every`-th crop of it from number `first` on.

        Its target is a mapping from kind to annotation; nothing is prepared yet.
        """
        crops = [self.draw_crop(step, number) for number in range(first, self.batch, every)]
        images, targets = zip(*crops, strict=True)
        return Batch(stacked(images), collated(targets, self.kinds))

    def draw_crop(self, step: int, number: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Image (float32) and annotation of one crop."""
        rng = np.random.default_rng([self.seed, step, number])
        weights = self._weights
        stack = self.stacks[int(rng.choice(len(weights), p=weights))]
        for _ in range(self.attempts):
            warp = self._warp(rng, stack)
            box = _random_box(rng, warp.source_shape(self.crop), stack.image.shape)
            if self._may_hold_enough(stack, box, warp):
                foreground, target = self._target(stack, box, warp)
                if foreground >= self.min_foreground:
                    break
        else:
            warp = Warp()
            box = _random_anchor_box(rng, stack, self.crop, self.min_foreground)
            _, target = self._target(stack, box, warp)
        image = warp.move(stack.read(box), self.crop, 1)
        if self.augmentation.intensity is not None:
            image = change_appearance(rng, image, self.augmentation.intensity, limits=NORMALISED)
        return np.ascontiguousarray(image, dtype=np.float32), narrowed(target, self.lost)

    @cached_property
    def _weights(self) -> np.ndarray:
        weights = np.array([stack.weight for stack in self.stacks])
        return weights / weights.sum()

    def _warp(self, rng: np.random.Generator, stack: Stack) -> Warp:
        """A random warp whose upright box fits in the stack; thin stacks are only turned.

        An elastic displacement is weakened where it would fold the crop: a neurite has one place.
        """
        warp = random_warp(rng, self.crop, stack.image.spacing, self.augmentation)
        if warp.displacement is not None:
            warp = replace(warp, displacement=warp.displacement.gentle())
        if stack.planes is not None:  # pixels, unlike curves, cannot be turned by any angle
            warp = warp.rearrangement()
        for smaller in (warp, warp.rearrangement()):
            if _fits(smaller.source_shape(self.crop), stack.image.shape):
                return smaller
        return Warp(flips=warp.flips)

    def _may_hold_enough(self, stack: Stack, box: Box, warp: Warp) -> bool:
        """False where even the upright box, which the crop lies in, holds too little.

        Turning changes which voxels a curve passes, by less than a factor of two.
        """
        _, most = warp.stretches
        return _count(stack.centreline, box) * 2 * most >= self.min_foreground

    def _target(self, stack: Stack, box: Box, warp: Warp) -> tuple[int, dict[str, Any]]:
        """How many centreline voxels a crop holds, and its annotation."""
        spacing, crop = stack.image.spacing, self.crop
        if stack.planes is not None:
            target = planes_target(stack.planes, box, warp, crop, spacing, self.d_max)
            return planes_foreground(stack.planes, box), target
        graph, origin = self._moved(stack, box, warp)
        target = graph_target(graph, origin, crop, spacing, self.d_max)
        return int(np.count_nonzero(target["distance_map"] == 0)), target

    def _moved(
        self, stack: Stack, box: Box, warp: Warp
    ) -> tuple[NeuriteGraph, tuple[int, int, int]]:
        """The centrelines of a crop, and the voxel of their frame at which it begins."""
        spacing = stack.image.spacing
        if warp == Warp(plane=warp.plane):
            return stack.truth, box.begin
        centre = (np.add(box.begin, box.end) - 1) / 2 * spacing
        new_centre = (np.array(self.crop) - 1) / 2 * spacing
        least, _ = warp.stretches
        margin = self.d_max * min(spacing) / least
        reach = np.linalg.norm(np.array(box.shape) * spacing) / 2 + margin
        near = _near(stack.truth, centre, float(reach))
        if warp.displacement is not None:  # straight lines become bent ones
            near = near.split(min(spacing))
        moved = warp.move_positions(near.positions - centre) + new_centre
        return NeuriteGraph(moved, near.edges), (0, 0, 0)


def check_stack(stack: Stack, crop: tuple[int, int, int], min_foreground: int) -> None:
    """Refuse a stack that no crop can be taken from."""
    if not _fits(crop, stack.image.shape):
        raise ValueError(
            f"{stack.name}: `sampling.crop` must fit in every stack, got {crop} for "
            f"{stack.image.shape} voxels of {stack.image.spacing} µm; choose a smaller crop"
        )
    most = max((_count(stack.centreline, box) for box in _anchor_boxes(stack, crop)), default=0)
    if most < min_foreground:
        raise ValueError(
            f"{stack.name}: `sampling.min_foreground` must be reached in some crop of every "
            f"stack, got {min_foreground} where a crop of {crop} voxels holds at most {most} "
            "centreline voxels; lower it, enlarge the crop or leave the stack out"
        )


def check_kinds(stack: Stack, kinds: frozenset[str]) -> None:
    """Refuse a stack that is annotated in projections only for a loss that takes more."""
    missing = kinds - FROM_PLANES
    if stack.planes is not None and missing:
        raise ValueError(
            f"{stack.name}: a stack annotated in projections only suits losses that take "
            f"projections, such as l2d, but a term takes {' and '.join(sorted(missing))}; leave "
            "that term out or give the stack a `truth`"
        )


def _anchor_boxes(stack: Stack, crop: tuple[int, int, int], most: int = 200) -> list[Box]:
    """Upright crops around up to `most` centreline voxels spread evenly over the stack."""
    points = stack.centreline[:: max(1, len(stack.centreline) // most)]
    last = np.subtract(stack.image.shape, crop)
    return [_box(np.clip(point - np.array(crop) // 2, 0, last), crop) for point in points]


def _random_anchor_box(
    rng: np.random.Generator, stack: Stack, crop: tuple[int, int, int], min_foreground: int
) -> Box:
    boxes = _anchor_boxes(stack, crop)
    enough = [box for box in boxes if _count(stack.centreline, box) >= min_foreground]
    return enough[int(rng.integers(len(enough)))]


def _random_box(
    rng: np.random.Generator, shape: tuple[int, int, int], within: tuple[int, int, int]
) -> Box:
    begin = [int(rng.integers(n - size + 1)) for n, size in zip(within, shape, strict=True)]
    return _box(begin, shape)


def _box(begin: Sequence[int] | np.ndarray, shape: tuple[int, int, int]) -> Box:
    z, y, x = (int(value) for value in begin)
    return Box((z, y, x), (z + shape[0], y + shape[1], x + shape[2]))


def _fits(shape: tuple[int, int, int], within: tuple[int, int, int]) -> bool:
    return all(size <= n for size, n in zip(shape, within, strict=True))


def _count(points: np.ndarray, box: Box) -> int:
    inside = (points >= box.begin) & (points < box.end)
    return int(inside.all(axis=1).sum())


def _near(graph: NeuriteGraph, centre: np.ndarray, reach: float) -> NeuriteGraph:
    """The edges that may come within `reach` µm of a point, and their nodes."""
    distance = np.linalg.norm(graph.positions - centre, axis=1)
    close = (distance[graph.edges] - graph.lengths[:, None] <= reach).any(axis=1)
    keep = distance <= reach
    keep[graph.edges[close]] = True
    return graph.select(keep)
