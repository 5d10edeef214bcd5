"""What networks say about a volume, slice by slice on the grid of the volume itself."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from topodelin.models import ModelCard
from topodelin.models.ensemble import mean_planes
from topodelin.models.prediction import distance_slabs
from topodelin.models.probabilities import probability_slabs
from topodelin.prediction.members import Member
from topodelin.prediction.seen_image import SeenImage, grid_spacing, one_channel
from topodelin.volumes import Spacing, Volume
from topodelin.volumes.resample import ResampledArray

Sizes = int | Sequence[int]


def predicted_planes(
    members: Sequence[Member],
    volume: Volume,
    *,
    tile: Sizes | None = None,
    margin: Sizes | None = None,
    blend: str = "linear",
    scratch: Path | None = None,
) -> Generator[np.ndarray, None, None]:
    """For each slice of the volume the probabilities, or the distance, `(channel, y, x)` float32.

    Args:
        members: what they say is averaged; see `open_members`.
        volume: read lazily, some slices at a time.
        tile, margin: `(z, y, x)`, as in `predict_tiles`; those of the cards by default.
        blend: as there.
        scratch: folder for what does not fit into memory; the system's by default.

    Where the networks want another spacing (see `grid_spacing`), they see the volume resampled, and
    what they say is interpolated linearly at the voxels of the volume: probabilities still add up
    to 1, distances stay in finest voxel edges of the networks' spacing. In between it lies in a
    temporary file.

    Raises:
        ValueError: the volume is smaller than a network takes, has several channels or holds NaN.
    """
    volume = one_channel(volume)
    spacing, _ = grid_spacing(volume, members[0].card, flat=all(m.flat for m in members))
    images = [SeenImage(volume, member.card, spacing) for member in members]
    for member, image in zip(members, images, strict=True):
        _check_size(member, image)
    slabs = [
        _slabs(member, image, member.tile if tile is None else tile, margin, blend)
        for member, image in zip(members, images, strict=True)
    ]
    if spacing == volume.spacing:
        yield from mean_planes(slabs)
    else:
        yield from _back(mean_planes(slabs), images[0].shape, spacing, volume, scratch)


def _slabs(
    member: Member, image: SeenImage, tile: Sizes, margin: Sizes | None, blend: str
) -> Iterator[np.ndarray]:
    margin = member.card.margin if margin is None else margin
    if isinstance(member.card, ModelCard):
        d_max = member.card.d_max
        return distance_slabs(
            member.network, image, d_max=d_max, tile=tile, margin=margin, blend=blend
        )
    return probability_slabs(member.network, image, tile=tile, margin=margin, blend=blend)


def _check_size(member: Member, image: SeenImage) -> None:
    """Refuse an image that would be more border than image; cubes go on as in a mirror."""
    if hasattr(member.network, "window"):
        return
    least = tuple(getattr(member.network, "least", ()))
    size = image.shape[-len(least) :] if least else ()
    if any(n < needed for n, needed in zip(size, least, strict=True)):
        source = getattr(image.volume.data, "source", "the image")
        raise ValueError(
            f"{source}: has {size} voxels at the network's spacing, {member.name} needs at least "
            f"{least}; give a larger image, or check --spacing"
        )


def _back(
    planes: Iterator[np.ndarray],
    shape: Sequence[int],
    spacing: Spacing,
    volume: Volume,
    scratch: Path | None,
) -> Iterator[np.ndarray]:
    """Slices at one spacing as slices of the volume."""
    with TemporaryDirectory(dir=scratch, prefix=".predict-") as folder:
        first = next(planes)
        stored = np.memmap(Path(folder) / "planes", np.float32, "w+", shape=(len(first), *shape))
        stored[:, 0] = first
        for z, plane in enumerate(planes, start=1):
            stored[:, z] = plane
        back = ResampledArray(Volume(stored, spacing), volume.spacing)
        back.shape = (len(first), *volume.shape)  # the border goes on to the last voxel
        try:
            for z in range(volume.shape[0]):
                yield back[:, z]
        finally:
            del stored, back  # before the folder goes
