"""The networks that predict together, each with its card."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from topodelin.models import ModelCard, ModelError, SegmentationCard, load_model
from topodelin.models.ensemble import check_members

DENSE_TILE = 32  # voxels a side: what a network of middle voxels judges at once


@dataclass(frozen=True, eq=False)
class Member:
    """One network of an ensemble.

    Args:
        name: of the model file, for messages.
        network: in evaluation mode, on its device.
        card: what it reads and tells.
    """

    name: str
    network: nn.Module
    card: ModelCard | SegmentationCard

    @property
    def flat(self) -> bool:
        """Whether it sees images, not volumes."""
        return len(self.network.divisor) == 2  # type: ignore[arg-type]

    @property
    def tile(self) -> tuple[int, int, int]:
        """Voxels of the result computed at once `(z, y, x)`, by default."""
        z, y, x = self.card.cube
        if hasattr(self.network, "window"):
            return max(z, DENSE_TILE), max(y, DENSE_TILE), max(x, DENSE_TILE)
        return z, y, x


def open_members(names: Sequence[str]) -> list[Member]:
    """The networks of an ensemble, or one alone, from model files or bundled names.

    Raises:
        ValueError: there is none; or they tell different things or at different spacings.
        ModelError: a file that holds no model, or one that predicts intensities.
    """
    if not names:
        raise ValueError("`models` must name a model file or a bundled model, got none")
    members = [Member(name, *load_model(name)) for name in names]
    for member in members:
        if isinstance(member.card, SegmentationCard):
            _check_classes(member, member.card)
    check_members([member.name for member in members], [member.card for member in members])
    return members


def _check_classes(member: Member, card: SegmentationCard) -> None:
    if not card.classes:
        raise ModelError(
            f"{member.name}: the network must predict classes or a distance map, this one predicts "
            "intensities (it was pretrained); train it on labels first"
        )
    channels = int(member.network.out_channels)  # type: ignore[arg-type]
    if max(2, channels) != len(card.classes):
        raise ModelError(
            f"{member.name}: the card names {len(card.classes)} classes and the network has "
            f"{channels} output channel(s); write the file again with the right card"
        )
