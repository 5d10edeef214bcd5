"""What one kind of task brings to a run; the loop is the same for all.

A task is a record made by one function (`distance.py`, `segmentation.py`, ...): the network with
fresh weights, the loss, where batches come from, how a network is judged, and the card that its
file gets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import nn

from topodelin.losses import WeightedSum
from topodelin.models import ModelCard, SegmentationCard
from topodelin.training.checkpoint import State
from topodelin.training.sampler import Batch


@runtime_checkable
class Draws(Protocol):
    """Where batches come from: a pure function of the step."""

    def draw(self, step: int, *, first: int = 0, every: int = 1) -> Batch:
        """The batch of a step, or every `every`-th crop of it from number `first` on."""
        ...


@dataclass(frozen=True)
class Judgement:
    """What a validation says of a network.

    Args:
        score: higher is better; NaN where nothing could be judged.
        text: for the log, as "quality 0.912 at 3 µm".
        records: for `metrics.jsonl`.
        chosen: what goes into the provenance of the model file.
        settings: what goes into its card.
    """

    score: float
    text: str
    records: tuple[Mapping[str, Any], ...] = ()
    chosen: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """The parts of a run that depend on what is learnt.

    Args:
        network: with fresh weights.
        loss: of its output and the target of a batch.
        sampler: of batches.
        learnt, judged: how many stacks are learnt from and judged on.
        judge: a network, or several together, without changing them.
        card: of a network's file, from the state of the run and the judgement, if there is one.
    """

    network: nn.Module
    loss: WeightedSum
    sampler: Draws
    learnt: int
    judged: int
    judge: Callable[..., Judgement]
    card: Callable[[State, Judgement | None], ModelCard | SegmentationCard]
