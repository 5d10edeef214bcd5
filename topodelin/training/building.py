"""The objects that a configuration names: network, loss, optimiser."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer

from topodelin.losses import LOSSES, GradientBalance, Ramp, Switch, WeightedSum
from topodelin.models import MODELS, ZOO
from topodelin.training import config as sections_optimizer
from topodelin.training import config_loss as sections
from topodelin.training.config import TrainingConfig
from topodelin.training.config_file import ConfigError, nearest, unknown_argument
from topodelin.training.config_task import Labelled
from topodelin.training.heads import OnClass, OnHead


def build_network(config: TrainingConfig, *, dims: int | None = None, **given: Any) -> nn.Module:
    """The network with fresh weights that depend on the seed alone.

    Args:
        config: names the network, a class or an entry of the zoo.
        dims: the number of axes that the task needs; any by default.
        given: arguments that follow from the task, such as the number of classes; the
            configuration's go first.
    """
    torch.manual_seed(config.seed)
    name, arguments = config.model.name, {**given, **config.model.arguments}
    if name in ZOO:
        entry = ZOO[name]
        name, arguments = entry.name, {**entry.arguments, **arguments}
    network = _make("model.name", name, {**MODELS, **ZOO}, "model", arguments, MODELS)
    if dims not in (None, network.dims):
        kind = {2: "images", 3: "volumes"}[dims or 0]
        raise ConfigError(
            f"model.arguments: the network must take {kind}, got {network.dims} dimensions; "
            f"set `dims: {dims}`"
        )
    check_sizes(network, config)
    return network


def check_sizes(network: nn.Module, config: TrainingConfig) -> None:
    """Refuse crops and cubes that the network cannot take, with the next that it can."""
    divisor = _voxels(network.divisor, 1)
    crop = config.sampling.crop
    if len(tuple(network.divisor)) == 2 and crop[0] != 1:  # type: ignore[arg-type]
        raise ConfigError(
            f"sampling.crop: must be one slice deep for a network of images, got {crop}; "
            f"e.g. {(1, *crop[1:])}"
        )
    fitting = _voxels(network.next_size(crop[3 - network.dims :]), 1)  # type: ignore[operator]
    if fitting != crop:
        raise ConfigError(
            f"sampling.crop: must suit the network, which divides by {divisor}, got {crop}; "
            f"the next larger is {fitting}"
        )
    cube = config.validation.cube or _multiple(inner(network, crop), divisor)
    if _multiple(cube, divisor) != cube:
        raise ConfigError(
            f"validation.cube: must be a multiple of {divisor} for this network, got {cube}; "
            f"the next larger is {_multiple(cube, divisor)}"
        )


def start_at(network: nn.Module, value: float) -> None:
    """Set the last bias, so that the network begins with that value everywhere."""
    last = [weight for name, weight in network.named_parameters() if name.endswith("bias")][-1:]
    for bias in last:
        nn.init.constant_(bias, value)


def build_loss(config: TrainingConfig, heads: Sequence[str] = ("main",)) -> WeightedSum:
    """The weighted sum of the terms, each on one of the network's named outputs."""
    terms = {}
    for name, term in config.loss.terms.items():
        place = f"loss.terms.{name}"
        module = _make(place, term.loss or name, LOSSES, place, term.arguments)
        module = _on_head(place, _on_class(place, module, term, config), term, heads)
        if len(heads) > 1 and isinstance(term.weight, sections.Balance):
            raise ConfigError(f"{place}.weight: a network with several heads has no `balance`")
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
    return _voxels(getattr(network, "shrink", (0, 0, 0)), 0)


def inner(network: nn.Module, crop: tuple[int, int, int]) -> tuple[int, int, int]:
    """Voxels of the output for a crop; of a network of cubes the crop, to be predicted densely."""
    if hasattr(network, "window"):
        return crop
    z, y, x = (n - lost for n, lost in zip(crop, lost_voxels(network), strict=True))
    return z, y, x


def heads_of(network: nn.Module) -> tuple[str, ...]:
    """The named outputs of a network; a single one is called main."""
    return tuple(getattr(network, "heads", ("main",)))


def build_optimizer(network: nn.Module, settings: sections_optimizer.Optimizer) -> Optimizer:
    """The optimiser over all weights that learn; `sgd` has the first of `betas` as momentum.

    The weights that `groups` match are frozen (rate 0) or have their own decay; each parameter
    group remembers its `rate`, the factor on the learning rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    unused = list(settings.groups)
    for name, weight in network.named_parameters():
        own = next((group for group in settings.groups if re.search(group.match, name)), None)
        if own is not None and own in unused:
            unused.remove(own)
        rate = 1.0 if own is None else own.rate
        decay = settings.weight_decay if own is None else own.weight_decay
        decay = settings.weight_decay if decay is None else decay
        weight.requires_grad_(weight.requires_grad and rate > 0)
        if weight.requires_grad:
            groups.setdefault((rate, decay), []).append(weight)
    if unused:
        raise ConfigError(
            f"optimizer.groups: must match the name of a weight, got {unused[0].match!r}; the "
            f"names begin with {', '.join(dict(network.named_children()))}"
        )
    if not groups:
        raise ConfigError("optimizer.groups: must leave a weight that learns, got all frozen")
    parameters = [
        {"params": weights, "weight_decay": decay, "rate": rate}
        for (rate, decay), weights in groups.items()
    ]
    if settings.name == "sgd":
        return SGD(parameters, lr=settings.lr, momentum=settings.betas[0])
    kind = {"adam": Adam, "adamw": AdamW, "nadam": NAdam}[settings.name]
    return kind(parameters, lr=settings.lr, betas=settings.betas, eps=settings.eps)


def _on_class(
    place: str, loss: nn.Module, term: sections.Term, config: TrainingConfig
) -> nn.Module:
    """A loss of distance maps in a task of classes judges one class against the rest."""
    of_labels = getattr(loss, "takes", "distance_map") == "labels"
    if not isinstance(config.task, Labelled):
        if of_labels:
            raise ConfigError(f"{place}: is a loss of classes; set `task: {{kind: segmentation}}`")
        return loss
    if of_labels:
        if term.of_class is not None:
            raise ConfigError(f"{place}.of_class: is for losses of distance maps, not of classes")
        return loss
    if term.of_class is None:
        raise ConfigError(
            f"{place}: is a loss of distance maps; name the class of its lines, `of_class: "
            f"{next(iter(config.task.classes))}`"
        )
    if config.task.ignore:
        raise ConfigError(
            f"{place}.of_class: needs labels of every voxel; `task.ignore` must be []"
        )
    return OnClass(loss, list(config.task.classes).index(term.of_class))


def _on_head(place: str, loss: nn.Module, term: sections.Term, heads: Sequence[str]) -> nn.Module:
    head = term.head or heads[0]
    if head not in heads:
        raise ConfigError(
            f"{place}.head: must be an output of the network, got {head!r}; {nearest(head, heads)}"
        )
    return OnHead(loss, head) if len(heads) > 1 else loss


def _voxels(sizes: Any, missing: int) -> tuple[int, int, int]:
    """Three sizes; an image is one slice deep."""
    z, y, x = (missing,) * (3 - len(sizes)) + tuple(int(size) for size in sizes)
    return z, y, x


def _multiple(size: tuple[int, int, int], divisor: tuple[int, int, int]) -> tuple[int, int, int]:
    z, y, x = (-(-n // d) * d for n, d in zip(size, divisor, strict=True))
    return z, y, x


def _make(
    place: str,
    name: str,
    known: Mapping[str, Any],
    section: str,
    arguments: dict[str, Any],
    classes: Mapping[str, Any] | None = None,
) -> Any:
    if name not in known:
        raise ConfigError(f"{place}: must be a known name, got {name!r}; {nearest(name, known)}")
    made = (classes or known)[name]
    unknown = unknown_argument(made, arguments)
    if unknown:
        raise ConfigError(f"{section}.arguments: {unknown}")
    try:
        return made(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{section}.arguments: {error}") from None
