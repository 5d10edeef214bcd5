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
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        return model.to(torch.device(chosen))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"`device` {device!r} cannot be used here ({reason}); take cpu or auto"
        ) from None
