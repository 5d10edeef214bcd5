"""A network that needs no training, and drawings for it: the image *is* the distance map."""

import numpy as np
import torch
from torch import nn

from topodelin.models import ModelCard
from topodelin.volumes import Volume

D_MAX = 6.0


class Inverse(nn.Module):
    """Answers `d_max * (1 - image)`: an image that is 1 on a centreline and 0 far from it."""

    divisor = (1, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(D_MAX))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scale * (1 - image)


def card(
    cube: tuple[int, int, int] = (16, 16, 16),
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> ModelCard:
    return ModelCard(
        name="Inverse",
        arguments={},
        spacing=spacing,
        d_max=D_MAX,
        threshold=2.5,
        cube=cube,
        margin=(2, 2, 2),
        percentiles=(50.0, 100.0),
    )


def drawn(
    lines: list[list[tuple[float, float, float]]],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Volume:
    """A volume in which polylines (voxels) shine: 255 on them, 0 from `D_MAX` voxels away."""
    nearest = np.full(shape, np.inf)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).astype(float)
    for line in lines:
        for start, end in zip(line[:-1], line[1:], strict=True):
            a, step = np.array(start), np.subtract(end, start)
            along = np.clip((grid - a) @ step / (step @ step), 0, 1)
            nearest = np.minimum(
                nearest, np.linalg.norm(grid - a - along[..., None] * step, axis=-1)
            )
    shine = 255 * (1 - np.clip(nearest, 0, D_MAX) / D_MAX)
    return Volume(shine.round().astype(np.uint8), spacing)


def fork_in_space() -> Volume:
    """A neurite that forks and another one beside it, across several cubes of 16 voxels."""
    lines = [
        [(8, 8, 4), (8, 8, 20), (24, 24, 44)],
        [(8, 8, 20), (8, 26, 44)],
        [(26, 6, 6), (26, 6, 40)],
    ]
    return drawn(
        [[(float(z), float(y), float(x)) for z, y, x in line] for line in lines], (32, 32, 48)
    )
