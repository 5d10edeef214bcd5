"""The overlay of a run on the voxels of its image, computed wherever a box of it is read.

The image keeps its own voxels, as those are what a person proofreads on; the distance map, which
lives on the grid that the network works on, is interpolated onto them. The centres of the first
voxels of both coincide at 0 µm.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from topodelin.annotation.overlay import CLIP, FACTOR, POWER, grey_overlay, rgb_overlay
from topodelin.export.finished_run import FinishedRun
from topodelin.volumes import Box, IntensityRange, Volume, intensity_range, resample
from topodelin.volumes.lazy import LazyArray, Slices

COLOURS = ("grey", "rgb")


@dataclass(frozen=True)
class OverlayRecipe:
    """How image and distance map become one picture; see `topodelin.annotation.overlay`.

    Args:
        dtype: "uint8" or "uint16".
        colour: "grey", which TeraFly needs, or "rgb".
        clip: in voxels of the distance map.
        power, factor: sharpness and weight of the distance map; a factor of 0 leaves the image.
    """

    dtype: str = "uint8"
    colour: str = "grey"
    clip: float = CLIP
    power: float = POWER
    factor: float = FACTOR

    def __post_init__(self) -> None:
        if self.colour not in COLOURS:
            raise ValueError(f"`colour` must be grey or rgb, got {self.colour!r}")
        self.apply(np.zeros(1), np.zeros(1), IntensityRange(0, 1))  # refuses the other arguments

    @property
    def channels(self) -> tuple[int, ...]:
        """What comes before `(z, y, x)` in the shape of an overlay."""
        return (3,) if self.colour == "rgb" else ()

    def apply(
        self, image: np.ndarray, distance: np.ndarray, intensity: IntensityRange
    ) -> np.ndarray:
        """The overlay of two arrays of one shape."""
        common: dict[str, Any] = {
            "intensity": intensity,
            "clip": self.clip,
            "power": self.power,
            "dtype": self.dtype,
        }
        if self.colour == "rgb":
            return rgb_overlay(image, distance, **common)
        return grey_overlay(image, distance, factor=self.factor, **common)


def grey_image(run: FinishedRun) -> Volume:
    """The image of a run, which has one channel."""
    image = run.image
    if len(image.data.shape) != 3:
        raise ValueError(
            f"the image of {run.folder.path} has {image.data.shape[0]} channels; "
            "name the one that was traced, as its own file, with --image"
        )
    return image


def image_range(run: FinishedRun, image: Volume) -> IntensityRange:
    """The grey values that become black and white: those of the network, else percentiles."""
    return run.intensity or intensity_range(image)


@dataclass(frozen=True)
class OverlaySource:
    """What the overlays of one run are made of.

    Args:
        image: one channel.
        distance_map: on its own grid.
        intensity: grey values that become black and white, the same for every piece.
        recipe: how both become one picture.
    """

    image: Volume
    distance_map: Volume
    intensity: IntensityRange
    recipe: OverlayRecipe

    def volume(self, box: Box | None = None) -> Volume:
        """The overlay on the voxels of the image, or on those of a box of it, lazily.

        Raises:
            ValueError: the box is empty or reaches beyond the image.
        """
        wanted = self.image.box if box is None else box
        if wanted != wanted.clip(self.image.shape) or wanted.size == 0:
            raise ValueError(
                f"`box` must lie inside the image of {self.image.shape} voxels (z, y, x), got "
                f"{wanted.begin} to {wanted.end}"
            )
        return Volume(OverlayArray(self, wanted), self.image.spacing)


def overlay_source(run: FinishedRun, recipe: OverlayRecipe) -> OverlaySource:
    """What the overlays of a run are made of.

    Raises:
        ValueError: the image is not there, or has several channels.
    """
    image = grey_image(run)
    return OverlaySource(image, run.distance_map, image_range(run, image), recipe)


class OverlayArray(LazyArray):
    """Image and distance map of one spacing, laid over each other where they are read.

    The distance map may end a voxel or two before the image; it goes on with its last value.
    """

    def __init__(self, source: OverlaySource, box: Box) -> None:
        self.source, self.box = source, box
        self.distance = resample(source.distance_map, source.image.spacing)
        self.shape = (*source.recipe.channels, *box.shape)
        self.dtype = np.dtype(source.recipe.dtype)

    def read_slices(self, slices: Slices) -> np.ndarray:
        pairs = list(zip(self.box.begin, slices[-3:], strict=True))
        z, y, x = (b + s.start for b, s in pairs)
        end_z, end_y, end_x = (b + s.stop for b, s in pairs)
        box = Box((z, y, x), (end_z, end_y, end_x))
        grey, source = self.source.image.read(box), self.source
        return source.recipe.apply(grey, self._distance(box), source.intensity)[slices[:-3]]

    def _distance(self, box: Box) -> np.ndarray:
        last = np.array(self.distance.shape) - 1
        low, high = np.minimum(box.begin, last), np.minimum(np.array(box.end) - 1, last) + 1
        known = self.distance.read(Box(tuple(low.tolist()), tuple(high.tolist())))
        missing = [(0, int(n)) for n in np.array(box.shape) - np.array(known.shape)]
        return np.pad(known, missing, mode="edge") if any(n for _, n in missing) else known
