"""A volume as a network wants to see it: its spacing, its range of intensities, read as needed."""

import numpy as np

from topodelin.models import ModelCard, SegmentationCard
from topodelin.volumes import Spacing, Volume, VolumeError, intensity_scaling, resample
from topodelin.volumes.lazy import LazyArray, Slices

NEAR = 0.05  # relative difference of spacing that a network bears


class SeenImage(LazyArray):
    """The intensities of a volume as a network was trained to read them, float32, `(z, y, x)`.

    Args:
        volume: of one channel.
        card: how intensities are normalised; the range is that of the volume itself, before it is
            resampled.
        spacing: µm per voxel `(z, y, x)` to resample to, lazily; see [`grid_spacing`][].

    The slices that were read last are kept, since tiles side by side ask for the same ones.
    """

    def __init__(
        self, volume: Volume, card: ModelCard | SegmentationCard, spacing: Spacing
    ) -> None:
        kind = card.normalisation if isinstance(card, SegmentationCard) else "percentiles"
        volume = one_channel(volume)
        self.scaling = intensity_scaling(volume, kind, percentiles=card.percentiles)
        self.volume = resample(volume, spacing)
        self.shape, self.dtype = self.volume.shape, np.dtype(np.float32)
        self._kept: tuple[slice, np.ndarray] | None = None

    def read_slices(self, slices: Slices) -> np.ndarray:
        depth, *plane = slices
        if self._kept is None or self._kept[0] != depth:
            self._kept = None  # given back before the next is read
            array = np.asarray(self.volume.data[depth])
            self._kept = depth, array
        return self.scaling.normalize(self._kept[1][(slice(None), *plane)])


def grid_spacing(
    volume: Volume, card: ModelCard | SegmentationCard, *, flat: bool
) -> tuple[Spacing, str]:
    """The spacing at which the networks see a volume, and a line that says so if it is another.

    Args:
        flat: whether they all see images; the distance of slices does not matter then.

    An axis whose spacing differs from the card's by at most 5 % stays as it is.
    """
    told = list(zip(volume.spacing, card.spacing, strict=True))
    wanted = [own if abs(own / model - 1) <= NEAR else model for own, model in told]
    if flat:
        wanted[0] = volume.spacing[0]
    z, y, x = wanted
    if (z, y, x) == volume.spacing:
        return volume.spacing, ""
    return (z, y, x), (
        f"resampled from {_words(volume.spacing)} to {_words((z, y, x))} µm per voxel (z, y, x), "
        "the network's, and back; if the file tells a wrong spacing, give the true one with "
        "--spacing"
    )


def one_channel(volume: Volume) -> Volume:
    """The volume with axes (z, y, x); VolumeError where it has several channels."""
    if len(volume.data.shape) == 3:
        return volume
    if volume.data.shape[0] != 1:
        source = getattr(volume.data, "source", "the image")
        raise VolumeError(
            f"{source}: must have one channel, got {volume.data.shape[0]}; save the one to predict "
            "on as a file of its own"
        )
    return Volume(FirstChannel(volume), volume.spacing)


class FirstChannel(LazyArray):
    """The array of a volume `(c, z, y, x)` without its first axis."""

    def __init__(self, volume: Volume) -> None:
        self.volume, self.shape, self.dtype = volume, volume.shape, volume.dtype

    def read_slices(self, slices: Slices) -> np.ndarray:
        return np.asarray(self.volume.data[(slice(0, 1), *slices)])[0]


def _words(spacing: Spacing) -> str:
    return ", ".join(f"{step:g}" for step in spacing)
