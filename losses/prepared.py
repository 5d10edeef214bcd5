"""Checks of a loss that does the work on the annotation ahead, in the data loader.

`prepare(target)` sees no prediction and `forward(prediction, prepared)` no target, so the checks
of a pair (`topodelin.losses.checks`) come in two halves, in the same words.
"""

import math

import torch
from torch import Tensor

from topodelin.losses.checks import check_distance_map, check_pair


def check_target(target: Tensor, *, d_max: float = math.inf, dims: int | None = None) -> None:
    """Refuse what is not a finite distance map `(batch, channel, *space)`, clipped at `d_max`.

    Raises:
        TypeError, ValueError: as `check_pair` and `check_distance_map`.
    """
    stand_in = torch.zeros(1)
    if isinstance(target, Tensor):
        stand_in = stand_in.to(target.device).expand(target.shape)
    check_pair(stand_in, target, dims=dims)
    check_distance_map(target, d_max)


def check_prediction(
    prediction: Tensor, shape: tuple[int, ...], device: torch.device, *, dims: int | None = None
) -> None:
    """Refuse a prediction that is not finite or does not fit what was prepared.

    Args:
        shape, device: of the target that was prepared, and where the prepared tensors are.

    Raises:
        TypeError, ValueError: as `check_pair`.
    """
    check_pair(prediction, torch.zeros(1, device=device).expand(shape), dims=dims)
