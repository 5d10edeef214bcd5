"""The training loop: one generator, without callbacks. The caller logs, validates and stops."""

import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from topodelin.losses import WeightedSum
from topodelin.losses.prepared import moved
from topodelin.training.sampler import Batch


@dataclass(frozen=True)
class Step:
    """What one step did.

    Args:
        number: steps done, this one included.
        loss: the weighted sum, over the share of the batch that this device had.
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

    Args:
        fabric: where and in which precision to compute; `network` and `optimizer` come from its
            `setup`.
        network: image to distance map.
        loss: gets the number of steps done before, for weights that change.
        optimizer: its learning rate is set before each step.
        batches: one for each step.
        learning_rate: of a step, from the number of steps done before.
        first: steps done before the first batch.
        seed: with the step and the rank it seeds dropout, so that no generator has to be
            remembered.
        clip: largest norm of the gradient.

    Raises:
        FloatingPointError: when a prediction, a term or the gradient is not finite; it names the
            step and the term. The weights are still those of the step before.
    """
    for done, batch in enumerate(batches, start=first):
        network.train()  # a caller may have evaluated between two steps
        torch.manual_seed(_generator_seed(seed, done, fabric.global_rank))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(done)
        loss.step = done
        image, target = fabric.to_device(batch.image), moved(batch.target, fabric.device)
        prediction = network(image)
        _check_finite(prediction, "the network's output", done)
        value = loss(prediction, target)
        _check_terms(value, loss.last_terms, done)
        optimizer.zero_grad(set_to_none=True)
        fabric.backward(value)
        norm = _clip(network, clip)
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"the gradient is {norm} at step {done}; lower `optimizer.lr` or the weight of "
                f"one of {', '.join(loss.last_terms)}"
            )
        optimizer.step()
        terms = {name: float(term) for name, term in loss.last_terms.items()}
        yield Step(done + 1, value.item(), terms, learning_rate(done), norm)


def learning_rate(
    step: int, *, peak: float, steps: int, warm_up: int = 0, schedule: str = "cosine"
) -> float:
    r"""The learning rate of a step: a rise over `warm_up` steps, then constant or a half cosine.

    $\eta_t = \eta (t + 1) / w$ for $t < w$; then $\eta$, or
    $\eta \tfrac12 (1 + \cos(\pi (t - w) / (T - w)))$, which is 0 at the end $t = T$.
    """
    if step < warm_up:
        return peak * (step + 1) / warm_up
    if schedule == "constant":
        return peak
    progress = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


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
