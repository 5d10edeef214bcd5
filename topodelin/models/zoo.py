"""The networks that a configuration or a model file may name."""

from torch import nn

from topodelin.models.unet import UNet

_NETWORKS: list[type[nn.Module]] = [UNet]

MODELS: dict[str, type[nn.Module]] = {network.__name__.lower(): network for network in _NETWORKS}
