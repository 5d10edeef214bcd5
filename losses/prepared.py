"""What losses that do the work on the annotation ahead, in the data loader, have in common.

`prepare(target)` sees no prediction and `forward(prediction, prepared)` no target, so the checks
of a pair (`topodelin.losses.checks`) come in two halves, in the same words.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from topodelin.losses.checks import check_distance_map, check_pair

Record = TypeVar("Record")


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


def moved_record(record: Record, device: torch.device | str) -> Record:
    """A frozen dataclass with everything in it that lives on a device on another one."""
    assert is_dataclass(record) and not isinstance(record, type)
    parts = {field.name: getattr(record, field.name) for field in fields(record)}
    return replace(record, **{name: moved(part, device) for name, part in parts.items()})


def moved(part: Any, device: torch.device | str) -> Any:
    """A target, prepared or not, on another device; what lives on none is returned as it is.

    The copy to a device does not wait; the copy to the host does, or it would be read too soon.
    """
    if isinstance(part, Tensor):
        return part.to(device, non_blocking=torch.device(device).type != "cpu")
    if hasattr(part, "to"):
        return part.to(device)
    if isinstance(part, Mapping):
        return {name: moved(value, device) for name, value in part.items()}
    if isinstance(part, list | tuple) and not hasattr(part, "_fields"):
        return type(part)(moved(value, device) for value in part)
    return part
