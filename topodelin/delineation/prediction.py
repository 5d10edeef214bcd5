"""The distance map of one cube: a pure function of the image, the network and a few constants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from topodelin.delineation.device import to_device
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.search_rule import (
    SearchRule,
    border_confidence,
    directions_reached,
    foreground,
)
from topodelin.models import predict_distance_map
from topodelin.volumes import Box, Index, IntensityRange, Spacing, Volume, resample

QUANTUM = 1 / 16  # finest voxel edges; a power of two, so that multiples are exact in float32


@dataclass(frozen=True, eq=False)
class CubePrediction:
    """What the network says about one cube.

    Args:
        cube: place in the lattice.
        distance: (z, y, x) float32 of the cube's core, finest voxel edges of the working grid,
            in steps of `QUANTUM`, at most `d_max`.
        foreground: number of foreground voxels.
        directions: those in which the foreground reaches the border of the cube, and how sure that
            is, from 0 to 1.
        blank: the image is one value in the cube and its margin.
    """

    cube: Index
    distance: np.ndarray
    foreground: int
    directions: Mapping[Index, float]
    blank: bool = False


@dataclass(frozen=True, eq=False)
class CubePredictor:
    """Predicts any cube of a volume, alone; picklable, so that a worker process can do it too.

    Each cube is read with `margin` voxels around it from the image, never from the prediction of
    a neighbour; what lies outside the volume repeats its border. So a prediction depends neither
    on the order of the cubes nor on which process makes it nor on how often it was interrupted.
    The answer to an image of one value throughout, as where nothing was stored, is kept: the next
    such cube costs no run of the network.

    Args:
        volume: the image on the working grid, that of the network (`working_volume`).
        lattice: the cubes of that grid.
        margin: voxels read around a cube `(z, y, x)`.
        intensity: what the image is normalised with, one for the whole run.
        model: the network, in evaluation mode.
        d_max: where distance maps are clipped, finest voxel edges.
        rule: where the search goes next.
        predict: `(model, image, d_max=, part=) -> distance map`, both (z, y, x) float32; only the
            part is wanted.
    """

    volume: Volume
    lattice: Lattice
    margin: Index
    intensity: IntensityRange
    model: nn.Module
    d_max: float
    rule: SearchRule
    predict: Callable[..., np.ndarray] = field(default=predict_distance_map)
    _blank: dict[float, np.ndarray] = field(default_factory=dict, repr=False)

    def __call__(self, cube: Index) -> CubePrediction:
        """Predict one cube.

        Raises:
            ValueError: the image or the prediction holds NaN or infinity there.
            OSError: the image cannot be read there.
        """
        core, full = self.lattice.core(cube), self.lattice.full(cube)
        context = full.grow(self.margin)
        image = read_padded(self.volume, context)
        if image.dtype.kind == "f" and not is_finite(image):
            raise ValueError("the image holds NaN or infinity in or around this cube")
        image = self.intensity.normalize(image)
        blank = is_uniform(image)
        distance = self._answer(image, full.relative_to(context.begin), blank)
        distance = distance[core.relative_to(full.begin).slices]
        if not is_finite(distance):
            raise ValueError("the network answered NaN or infinity in this cube")
        distance = quantised(np.minimum(distance, self.d_max))
        rule, spacing = self.rule, self.volume.spacing
        mask = foreground(distance, rule.threshold, rule.min_voxels)
        directions = directions_reached(mask, spacing, rule.reach_um)
        return CubePrediction(
            cube,
            distance,
            int(np.count_nonzero(distance < rule.threshold)),
            border_confidence(distance, mask, directions, spacing, rule),
            blank,
        )

    def to(self, device: str) -> None:
        """Put the network on a device."""
        to_device(self.model, device)

    def _answer(self, image: np.ndarray, cube: Box, blank: bool) -> np.ndarray:
        if not blank:
            return self.predict(self.model, image, d_max=self.d_max, part=cube.slices)
        value = float(image[0, 0, 0])
        if value not in self._blank:
            self._blank.clear()
            self._blank[value] = self._answer(image, cube, False)
        return self._blank[value]


def is_finite(array: np.ndarray) -> bool:
    """Whether no voxel is NaN or infinite; makes no copy, as NaN is its own extreme."""
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def is_uniform(image: np.ndarray) -> bool:
    """Whether all voxels are equal; a few are looked at first."""
    first = image[0, 0, 0]
    return bool((image[::16, ::16, ::16] == first).all() and (image == first).all())


def quantised(distance: np.ndarray) -> np.ndarray:
    """The distances rounded to multiples of `QUANTUM`, float32.

    A sixteenth of a voxel is far below what a network knows. Rounded maps compress several times
    better, and noise in the last bits of a float no longer shows.
    """
    steps = np.multiply(distance, np.float32(1 / QUANTUM), dtype=np.float32)
    np.rint(steps, out=steps)
    return np.multiply(steps, np.float32(QUANTUM), out=steps)


def read_padded(volume: Volume, box: Box) -> np.ndarray:
    """The voxels of a box that may reach outside the volume, whose border is repeated there."""
    inside = box.clip(volume.shape)
    image = volume.read(inside)
    if image.ndim == 4:
        image = image[0]
    if inside == box:
        return image
    before = np.subtract(inside.begin, box.begin)
    after = np.subtract(box.end, inside.end)
    return np.pad(image, list(zip(before, after, strict=True)), mode="edge")


def working_volume(volume: Volume, spacing: Spacing) -> Volume:
    """The volume on the working grid, read lazily; only volumes of one channel are taken."""
    if len(volume.data.shape) == 4 and volume.data.shape[0] != 1:
        raise ValueError(
            f"`volume` must have one channel, got {volume.data.shape[0]}; save the one that shows "
            "the neurites as a volume of its own"
        )
    return resample(volume, spacing)
