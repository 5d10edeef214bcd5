"""The objects that a configuration names: network, loss, optimiser."""

from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from topodelin.losses import LOSSES, GradientBalance, Ramp, Switch, WeightedSum
from topodelin.models import MODELS
from topodelin.training import config as sections
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
        module = _make(place, term.loss or name, LOSSES, place, term.arguments)
        try:
            terms[name] = (module, build_weight(term.weight))
        except ValueError as error:
            raise ConfigError(f"{place}.weight: {error}") from None
    try:
        return WeightedSum(terms)
    except ValueError as error:
        raise ConfigError(f"loss.terms: {error}") from None


def build_weight(
    weight: float | sections.Ramp | sections.Switch | sections.Balance,
) -> float | Ramp | Switch | GradientBalance:
    """A number, or the schedule that a section describes."""
    match weight:
        case sections.Ramp():
            return Ramp(*weight.ramp, start=weight.start, length=weight.length)
        case sections.Switch():
            return Switch(weight.switch, at=weight.at)
        case sections.Balance():
            return GradientBalance(build_weight(weight.balance), most=weight.most)  # type: ignore[arg-type]
        case _:
            return weight


def lost_voxels(network: nn.Module) -> tuple[int, int, int]:
    """By how many voxels the network's output is smaller than its input, along each axis."""
    z, y, x = (int(lost) for lost in getattr(network, "shrink", (0, 0, 0)))
    return z, y, x


def build_optimizer(network: nn.Module, settings: sections.Optimizer) -> Optimizer:
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
