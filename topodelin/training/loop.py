"""The training loop: one generator, without callbacks. The caller logs, validates and stops."""

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from topodelin.losses import WeightedSum
from topodelin.losses.prepared import moved
from topodelin.training.config import Optimizer as Optimizing
from topodelin.training.processes import mean_over, talking, together
from topodelin.training.sampler import Batch


@dataclass(frozen=True)
class Step:
    """What one step did.

    Args:
        number: steps done, this one included.
        loss: the weighted sum; with several devices the mean of those of their shares.
        terms: each term before weighting, likewise.
        learning_rate: used in this step.
        gradient_norm: before clipping.
    """

    number: int
    loss: float
    terms: dict[str, float]
    learning_rate: float
    gradient_norm: float


def steps(
    fabric: Fabric,
    network: nn.Module,
    loss: WeightedSum,
    optimizer: Optimizer,
    batches: Iterable[Batch],
    *,
    learning_rate: Callable[[int], float],
    first: int = 0,
    seed: int = 0,
    clip: float | None = None,
) -> Generator[Step, None, None]:
    """Train on each batch and report it.

    With several devices each has its share of a batch, as large as the others', and the gradients
    are averaged: for losses that are means over the crops this is the step of the whole batch on
    one device. Dropout and the statistics of batch normalisation are of the share.

    Args:
        fabric: where and in which precision to compute; `network` and `optimizer` come from its
            `setup`.
        network: image to distance map.
        loss: gets the number of steps done before, for weights that change.
        optimizer: its learning rate is set before each step.
        batches: one for each step, the share of this device.
        learning_rate: of a step, from the number of steps done before.
        first: steps done before the first batch.
        seed: with the step and the rank it seeds dropout, so that no generator has to be
            remembered.
        clip: largest norm of the gradient.

    Raises:
        FloatingPointError: when a prediction, a term or the gradient is not finite; it names the
            step and the term. The weights are still those of the step before.
    """
    coming = iter(batches)
    for done in count(first):
        with together(fabric):
            batch = next(coming, None)
        if batch is None:
            return
        learning_mode(network)  # a caller may have evaluated between two steps
        torch.manual_seed(_generator_seed(seed, done, fabric.global_rank))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(done) * group.get("rate", 1.0)
        loss.step = done
        with together(fabric):
            image, target = fabric.to_device(batch.image), moved(batch.target, fabric.device)
            prediction = network(image)
            for name, output in named_outputs(prediction).items():
                _check_finite(output, f"the network's output{name and f' `{name}`'}", done)
            value = loss(prediction, target)
            _check_terms(value, loss.last_terms, done)
        if fabric.world_size > 1:  # averaging waits for every weight, also of heads without a term
            value = value + sum((0 * out).sum() for out in named_outputs(prediction).values())
        optimizer.zero_grad(set_to_none=True)
        with talking(fabric):
            fabric.backward(value)
        norm = _clip(network, clip)
        if not math.isfinite(norm):
            with together(fabric):  # the gradient is the same everywhere
                raise FloatingPointError(
                    f"the gradient is {norm} at step {done}; lower `optimizer.lr` or the weight "
                    f"of one of {', '.join(loss.last_terms)}"
                )
        optimizer.step()
        mean, *terms = mean_over(fabric, [value.item(), *map(float, loss.last_terms.values())])
        named = dict(zip(loss.last_terms, terms, strict=True))
        yield Step(done + 1, mean, named, learning_rate(done), norm)


def learning_rate(step: int, settings: Optimizing, *, steps: int, drops: int = 0) -> float:
    r"""The learning rate of a step: a rise over `warm_up` steps, then what the schedule says.

    $\eta_t = \eta (t + 1) / w$ for $t < w$; then, with $\gamma$ = `decay`,

    constant       $\eta$
    cosine         $\eta \tfrac12 (1 + \cos(\pi (t - w) / (T - w)))$, which is 0 at the end $t = T$
    exponential    $\eta \gamma^{\lfloor t / s \rfloor}$ with $s$ = `decay_every`
    plateau        $\eta \gamma^k$, where $k$ = `drops` counts how often the validation stood still
    """
    if step < settings.warm_up:
        return settings.lr * (step + 1) / settings.warm_up
    if settings.schedule == "exponential":
        return settings.lr * settings.decay ** (step // settings.decay_every)
    if settings.schedule == "plateau":
        return settings.lr * settings.decay**drops
    if settings.schedule == "constant":
        return settings.lr
    progress = min(1.0, (step - settings.warm_up) / max(1, steps - settings.warm_up))
    return settings.lr * 0.5 * (1 + math.cos(math.pi * progress))


def learning_mode(network: nn.Module) -> None:
    """Training mode, but modules whose weights are all frozen keep their statistics as well."""
    network.train()
    for module in network.modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            module.eval()


def named_outputs(prediction: Tensor | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The outputs of a network by name; a single one has none."""
    return prediction if isinstance(prediction, Mapping) else {"": prediction}


def average_weights(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    r"""Move `averaged` towards `network`: $\bar w \to \bar w + (1 - d_t)(w - \bar w)$.

    $d_t = \min(d, (1 + t) / (10 + t))$ forgets the random start sooner. Whole numbers and other
    buffers are copied.
    """
    rate = 1 - min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, now in zip(averaged.parameters(), network.parameters(), strict=True):
            mean.lerp_(now, rate)
        for mean, now in zip(averaged.buffers(), network.buffers(), strict=True):
            mean.copy_(now)


def _generator_seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _clip(network: nn.Module, clip: float | None) -> float:
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip or math.inf)
    return norm.item()


def _check_finite(value: Tensor, name: str, step: int) -> None:
    if not bool(value.isfinite().all()):
        raise FloatingPointError(f"{name} is not finite at step {step}; lower `optimizer.lr`")


def _check_terms(value: Tensor, terms: dict[str, Tensor], step: int) -> None:
    if bool(value.isfinite()):
        return
    bad = [name for name, term in terms.items() if not math.isfinite(float(term))]
    raise FloatingPointError(
        f"the loss is {value.item()} at step {step}, from {', '.join(bad) or 'a weight'}; "
        "lower `optimizer.lr` or that term's weight"
    )
