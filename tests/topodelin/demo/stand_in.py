"""A network of one blur, so that the demo can be run before any network is trained."""

import torch
from torch import nn

from topodelin.models import ModelCard

D_MAX = 10.0


class Blur(nn.Module):
    """A distance that falls with the mean brightness of a small box around each voxel."""

    divisor = (1, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(D_MAX))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        mean = nn.functional.avg_pool3d(image, (3, 5, 5), stride=1, padding=(1, 2, 2))
        return self.scale * (1 - (mean / 0.25).clamp(0, 1))


CARD = ModelCard(
    name="Blur",
    arguments={},
    spacing=(1.0, 0.33, 0.33),
    d_max=D_MAX,
    threshold=5.0,
    cube=(32, 96, 96),
    margin=(1, 2, 2),
    licence="none <needed>",
)


def load_stand_in(name: str) -> tuple[nn.Module, ModelCard]:
    """In place of `load_distance_model`."""
    return Blur().eval(), CARD
