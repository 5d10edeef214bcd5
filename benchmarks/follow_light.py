"""A network that needs no training, for measurements of all that is not the network."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from topodelin.models import ModelCard
from topodelin.volumes import Index, Spacing

D_MAX = 6.0
THRESHOLD = 3.0


class FollowLight(nn.Module):
    """Answers `d_max * (1 - image)`: bright is near, dark is far.

    Args:
        seconds: that it takes for each image, asleep.
        hang: a file; the process that removes it hangs.
    """

    divisor = (1, 1, 1)

    def __init__(self, seconds: float = 0.0, hang: Path | None = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(D_MAX), requires_grad=False)
        self.seconds, self.hang = seconds, hang

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.hang is not None and _removed(self.hang):
            time.sleep(3600)
        time.sleep(self.seconds)
        return self.scale * (1 - image)


def _removed(path: Path) -> bool:
    """Whether this process removed the file."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def card(
    cube: Index, margin: Index, spacing: Spacing, percentiles: Sequence[float] = (0.0, 100.0)
) -> ModelCard:
    """Of the network that follows light."""
    low, high = percentiles
    return ModelCard(
        name="FollowLight",
        arguments={},
        spacing=spacing,
        d_max=D_MAX,
        threshold=THRESHOLD,
        cube=cube,
        margin=margin,
        percentiles=(low, high),
    )
