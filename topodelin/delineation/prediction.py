"""The distance map of one cube: a pure function of the image, the network and a few constants."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from topodelin.delineation.lattice import Lattice
from topodelin.delineation.search_rule import SearchRule, directions_reached, foreground
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
        directions: those in which the foreground reaches the border of the cube.
    """

    cube: Index
    distance: np.ndarray
    foreground: int
    directions: tuple[Index, ...]


@dataclass(frozen=True, eq=False)
class CubePredictor:
    """Predicts any cube of a volume, alone; picklable, so that a worker process can do it too.

    Each cube is read with `margin` voxels around it from the image, never from the prediction of
    a neighbour; what lies outside the volume repeats its border. So a prediction depends neither
    on the order of the cubes nor on which process makes it nor on how often it was interrupted.

    Args:
        volume: the image on the working grid, that of the network (`working_volume`).
        lattice: the cubes of that grid.
        margin: voxels read around a cube `(z, y, x)`.
        intensity: what the image is normalised with, one for the whole run.
        model: the network, in evaluation mode.
        d_max: where distance maps are clipped, finest voxel edges.
        rule: where the search goes next.
        predict: `(model, image, d_max=) -> distance map`, both (z, y, x) float32.
    """

    volume: Volume
    lattice: Lattice
    margin: Index
    intensity: IntensityRange
    model: nn.Module
    d_max: float
    rule: SearchRule
    predict: Callable[..., np.ndarray] = field(default=predict_distance_map)

    def __call__(self, cube: Index) -> CubePrediction:
        """Predict one cube.

        Raises:
            ValueError: the image or the prediction holds NaN or infinity there.
            OSError: the image cannot be read there.
        """
        core = self.lattice.core(cube)
        context = self.lattice.full(cube).grow(self.margin)
        image = self.intensity.normalize(read_padded(self.volume, context))
        if not np.isfinite(image).all():
            raise ValueError("the image holds NaN or infinity in or around this cube")
        distance = self.predict(self.model, image, d_max=self.d_max)
        distance = distance[core.relative_to(context.begin).slices]
        if not np.isfinite(distance).all():
            raise ValueError("the network answered NaN or infinity in this cube")
        distance = quantised(np.minimum(distance, self.d_max))
        mask = foreground(distance, self.rule.threshold, self.rule.min_voxels)
        return CubePrediction(
            cube,
            distance,
            int(np.count_nonzero(distance < self.rule.threshold)),
            directions_reached(mask, self.volume.spacing, self.rule.reach_um),
        )


def quantised(distance: np.ndarray) -> np.ndarray:
    """The distances rounded to multiples of `QUANTUM`, float32.

    A sixteenth of a voxel is far below what a network knows. Rounded maps compress several times
    better, and noise in the last bits of a float no longer shows.
    """
    step = np.float32(QUANTUM)
    return np.round(distance.astype(np.float32, copy=False) / step) * step


def read_padded(volume: Volume, box: Box) -> np.ndarray:
    """The voxels of a box that may reach outside the volume, whose border is repeated there."""
    inside = box.clip(volume.shape)
    image = volume.read(inside)
    if image.ndim == 4:
        image = image[0]
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
