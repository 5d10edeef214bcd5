"""Crops of images with classes: where they are taken, turned, and what of them is learnt.

As in `sampler.py` a crop is a pure function of (seed, step, number in the batch).

random       a crop anywhere
foreground   a crop with enough voxels of some classes
lattice      a random corner in every bin of a lattice, all bins once per epoch in random order
centred      a cube around a voxel that is labelled; its middle is the voxel `size // 2`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from topodelin.losses import LabelTarget
from topodelin.training.appearance import change_appearance
from topodelin.training.config import Augmentation
from topodelin.training.labelled import LabelledStack
from topodelin.training.sampler import Batch
from topodelin.training.warping import random_warp

ATTEMPTS = 50
Voxels = tuple[int, int, int]


@dataclass(frozen=True)
class Crop:
    """What was taken of a stack: image, classes and weights of one shape `(z, y, x)`."""

    image: np.ndarray
    classes: np.ndarray | None
    weights: np.ndarray | None


@dataclass(frozen=True)
class LabelSampler:
    """Draws crops and augments them.

    Args:
        stacks: all with the same spacing; drawn in proportion to their weights.
        seed: of the run.
        crop: voxels `(z, y, x)`; one deep for networks of images.
        batch: crops per step.
        augmentation: motions and changes of brightness.
        kind: "random", "foreground", "lattice" or "centred", see above.
        bins: voxels of a bin of the lattice.
        foreground: numbers of the classes that "foreground" and "centred" look for; all if empty.
        min_foreground: voxels of them that a crop holds at least, for "foreground".
        dims: axes of space of a batch; 2 leaves the single slice out.
        channels: of a batch; the grey image is repeated.
        lost: voxels by which the network's output is smaller than a crop.

    Raises:
        ValueError: when a stack is smaller than a crop or holds nothing that is looked for.
    """

    stacks: Sequence[LabelledStack]
    seed: int
    crop: Voxels
    batch: int
    augmentation: Augmentation
    kind: str = "random"
    bins: Voxels = (1, 1, 1)
    foreground: tuple[int, ...] = ()
    min_foreground: int = 1
    dims: int = 3
    channels: int = 1
    lost: Voxels = (0, 0, 0)

    def __post_init__(self) -> None:
        if not self.stacks:
            raise ValueError("`stacks` must hold at least one stack to learn from, got none")
        for stack, places in zip(self.stacks, self._places, strict=True):
            shape = stack.image.shape
            deep = self.kind == "centred"  # cubes at the border are mirrored
            if not deep and any(n < size for n, size in zip(shape, self.crop, strict=True)):
                raise ValueError(
                    f"{stack.name}: `sampling.crop` must fit in every stack, got {self.crop} for "
                    f"{shape} voxels; choose a smaller crop"
                )
            if places is not None and not len(places):
                raise ValueError(
                    f"{stack.name}: holds no voxel of the classes that `sampling` looks for; leave "
                    "the stack out or name other classes in `sampling.foreground`"
                )

    def draw(self, step: int, *, first: int = 0, every: int = 1) -> Batch:
        """The batch of a step, or every `every`-th crop of it from number `first` on."""
        crops = [self.draw_crop(step, number) for number in range(first, self.batch, every)]
        return Batch(self._images(crops), self._target(crops))

    def draw_crop(self, step: int, number: int) -> Crop:
        """One crop, augmented."""
        rng = np.random.default_rng([self.seed, step, number])
        stack, begin, size = self._place(rng, step, number)
        warp = random_warp(rng, size, stack.spacing, self.augmentation)
        source = warp.source_shape(size)
        begin = begin - (np.array(source) - size) // 2
        moved = [
            None if part is None else warp.move(read_mirrored(part, begin, source), size, order)
            for part, order in ((stack.image, 1), (stack.classes, 0), (stack.weights, 0))
        ]
        image, classes, weights = (
            None if part is None else part[tuple(slice(n) for n in self.crop)] for part in moved
        )
        assert image is not None
        if self.augmentation.intensity is not None:
            image = change_appearance(rng, image, self.augmentation.intensity)
        return Crop(np.ascontiguousarray(image, dtype=np.float32), classes, weights)

    def _images(self, crops: Sequence[Crop]) -> torch.Tensor:
        images = np.stack([crop.image for crop in crops])[:, None]
        images = images[:, :, 0] if self.dims == 2 else images
        return torch.from_numpy(images).repeat(1, self.channels, *(1,) * self.dims)

    def _target(self, crops: Sequence[Crop]) -> Mapping[str, Any]:
        """The classes of the voxels that the network tells; the middle one for cubes."""
        if crops[0].classes is None:
            return {}
        cut = tuple(
            slice(a // 2, n - (a - a // 2)) for a, n in zip(self.lost, self.crop, strict=True)
        )
        if self.kind == "centred":
            cut = tuple(slice(n // 2, n // 2 + 1) for n in self.crop)
        parts = []
        for arrays in ([c.classes for c in crops], [c.weights for c in crops]):
            if arrays[0] is None:
                parts.append(None)
                continue
            stacked = np.stack([np.asarray(array)[cut] for array in arrays])
            parts.append(torch.from_numpy(stacked[:, 0] if self.dims == 2 else stacked))
        return {"labels": LabelTarget(*parts)}

    def _place(
        self, rng: np.random.Generator, step: int, number: int
    ) -> tuple[LabelledStack, np.ndarray, Voxels]:
        """A stack, the corner of the crop in it, and the crop's size before the last cut."""
        if self.kind == "lattice":
            epoch, turn = divmod(step * self.batch + number, len(self._bins))
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self._bins))
            index, *low = self._bins[order[turn]]
            stack = self.stacks[index]
            last = np.subtract(stack.image.shape, self.crop)
            high = np.minimum(np.add(low, self.bins), last + 1)
            return stack, rng.integers(low, high), self.crop
        index = int(rng.choice(len(self.stacks), p=self._shares))
        stack, places = self.stacks[index], self._places[index]
        last = np.subtract(stack.image.shape, self.crop)
        if self.kind == "centred":
            middle = rng.integers(0, stack.image.shape)  # without labels every voxel will do
            if places is not None:
                middle = places[int(rng.integers(len(places)))]
            z, y, x = (n + 1 - n % 2 for n in self.crop)  # odd, so that flips keep the middle
            return stack, middle - np.array(self.crop) // 2, (z, y, x)
        begin = rng.integers(0, last + 1)
        for _ in range(ATTEMPTS if places is not None else 0):
            if self._holds_enough(stack, begin):
                break
            begin = rng.integers(0, last + 1)
        else:
            if places is not None:  # around a voxel that matters
                middle = places[int(rng.integers(len(places)))]
                begin = np.clip(middle - np.array(self.crop) // 2, 0, last)
        return stack, begin, self.crop

    def _holds_enough(self, stack: LabelledStack, begin: np.ndarray) -> bool:
        assert stack.classes is not None  # else there are no places to look for
        box = tuple(slice(b, b + n) for b, n in zip(begin, self.crop, strict=True))
        return int(self._wanted(stack.classes[box]).sum()) >= self.min_foreground

    @cached_property
    def _shares(self) -> np.ndarray:
        weights = np.array([stack.weight for stack in self.stacks])
        return weights / weights.sum()

    @cached_property
    def _places(self) -> list[np.ndarray | None]:
        """(K, 3) voxels of each stack that crops are laid around; None where anywhere will do."""
        if self.kind not in ("foreground", "centred"):
            return [None] * len(self.stacks)
        return [
            None if s.classes is None else np.argwhere(self._wanted(s.classes)) for s in self.stacks
        ]

    def _wanted(self, classes: np.ndarray) -> np.ndarray:
        return np.isin(classes, self.foreground) if self.foreground else classes >= 0

    @cached_property
    def _bins(self) -> np.ndarray:
        """(B, 4) stack and lowest corner of every bin in which a crop may begin."""
        rows = []
        for index, stack in enumerate(self.stacks):
            corners = [
                np.arange(0, n - size + 1, every)
                for n, size, every in zip(stack.image.shape, self.crop, self.bins, strict=True)
            ]
            grid = np.stack(np.meshgrid(*corners, indexing="ij"), axis=-1).reshape(-1, 3)
            rows.append(np.insert(grid, 0, index, axis=1))
        return np.concatenate(rows)


def read_mirrored(array: np.ndarray, begin: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A box of an array, which continues beyond its borders as in a mirror."""
    index = []
    for first, size, n in zip(begin, shape, array.shape, strict=True):
        at = np.arange(first, first + size) % (2 * n)
        index.append(np.minimum(at, 2 * n - 1 - at))
    return array[np.ix_(*index)]
