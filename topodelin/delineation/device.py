"""Which network, and where it runs."""

import torch
from torch import nn

from topodelin.models import bundled_models


def default_model() -> str:
    """The bundled network that is used when none is named.

    Raises:
        ValueError: this installation has none.
    """
    names = bundled_models()
    if not names:
        raise ValueError(
            "no network is bundled with this installation; name a model file (--model)"
        )
    return names[0]


def to_device(model: nn.Module, device: str = "auto") -> nn.Module:
    """The network moved to a device; "auto" is the first GPU, or the CPU where there is none.

    Raises:
        ValueError: there is no such device.
    """
    try:
        return model.to(torch.device(_chosen(device)))
    except (RuntimeError, AssertionError) as error:
        raise _unusable(device, str(error)) from None


def check_device(device: str) -> None:
    """Refuse a device that is not there, without making use of it.

    Raises:
        ValueError: names it.
    """
    try:
        wanted = torch.device(_chosen(device))
    except RuntimeError as error:
        raise _unusable(device, str(error)) from None
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise _unusable(device, f"{torch.cuda.device_count()} GPUs are there")


def _chosen(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _unusable(device: str, reason: str) -> ValueError:
    return ValueError(
        f"`device` {device!r} cannot be used here ({reason.splitlines()[0]}); take cpu or auto"
    )
