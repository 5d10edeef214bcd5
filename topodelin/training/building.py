"""The objects that a configuration names: network, loss, optimiser."""

from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from topodelin.losses import LOSSES, Ramp, WeightedSum
from topodelin.models import MODELS
from topodelin.training.config import Optimizer as OptimizerSection
from topodelin.training.config import Ramp as RampSection
from topodelin.training.config import TrainingConfig
from topodelin.training.config_file import ConfigError, nearest


def build_network(config: TrainingConfig) -> nn.Module:
    """The network with fresh weights that depend on the seed alone.

    Its last bias is set to `d_max`, so that it begins with "no neurite anywhere", which is right
    almost everywhere, and not with "a neurite everywhere".
    """
    torch.manual_seed(config.seed)
    network = _make("model.name", config.model.name, MODELS, "model", config.model.arguments)
    divisor = tuple(network.divisor)
    if len(divisor) != 3:
        raise ConfigError(
            f"model.arguments: the network must take volumes, got {len(divisor)} dimensions; "
            "set `dims: 3`"
        )
    crop = config.sampling.crop
    fitting = tuple(network.next_size(crop)) if hasattr(network, "next_size") else crop
    if fitting != crop:
        raise ConfigError(
            f"sampling.crop: must suit the network, which divides by {divisor}, got {crop}; "
            f"the next larger is {fitting}"
        )
    cube = config.validation.cube or crop
    fitting = tuple(-(-size // d) * d for size, d in zip(cube, divisor, strict=True))
    if fitting != cube:
        raise ConfigError(
            f"validation.cube: must be a multiple of {divisor} for this network, got {cube}; "
            f"the next larger is {fitting}"
        )
    last = [weight for name, weight in network.named_parameters() if name.endswith("bias")][-1:]
    for bias in last:
        nn.init.constant_(bias, config.target.d_max)
    return network


def build_loss(config: TrainingConfig) -> WeightedSum:
    """The weighted sum of the terms."""
    terms = {}
    for name, term in config.loss.terms.items():
        place = f"loss.terms.{name}"
        module = _make(place, name, LOSSES, place, term.arguments)
        weight = term.weight
        if isinstance(weight, RampSection):
            weight = Ramp(*weight.ramp, start=weight.start, length=weight.length)
        terms[name] = (module, weight)
    return WeightedSum(terms)


def build_optimizer(network: nn.Module, settings: OptimizerSection) -> Optimizer:
    """The optimiser over all weights; `sgd` has a momentum of 0.9."""
    arguments: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.name == "sgd":
        return SGD(network.parameters(), momentum=0.9, **arguments)
    kind = Adam if settings.name == "adam" else AdamW
    return kind(network.parameters(), **arguments)


def _make(
    place: str, name: str, known: dict[str, Any], section: str, arguments: dict[str, Any]
) -> Any:
    if name not in known:
        raise ConfigError(f"{place}: must be a known name, got {name!r}; {nearest(name, known)}")
    try:
        return known[name](**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{section}.arguments: {error}") from None
