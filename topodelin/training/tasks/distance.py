"""Distance maps of neurites, judged by the centrelines traced in them."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from topodelin.models import ModelCard
from topodelin.training.building import build_loss, build_network, heads_of, start_at
from topodelin.training.checkpoint import State
from topodelin.training.config import TrainingConfig
from topodelin.training.outputs import provenance
from topodelin.training.preparation import make_sampler, prepare_stacks
from topodelin.training.progress import Report
from topodelin.training.sampler import check_kinds, check_stack
from topodelin.training.stacks import Stack, open_stacks
from topodelin.training.tasks.task import Judgement, Task
from topodelin.training.validation import best_score, validate


def distance_task(config: TrainingConfig, folder: Path, fabric: Fabric, report: Report) -> Task:
    """The task of a configuration; synthetic volumes are rendered into the run's folder first."""
    network = distance_network(config)
    loss = build_loss(config, heads_of(network))
    taught, judged = prepare_stacks(config, folder, fabric, report)
    return Task(
        network=network,
        loss=loss,
        sampler=make_sampler(config, taught, network, loss),
        learnt=len(taught),
        judged=len(judged),
        judge=partial(judge_distances, stacks=judged, config=config),
        card=partial(distance_card, config),
    )


def check_distance_config(config: TrainingConfig) -> nn.Module:
    """Say what would stop a run before its first step; the network where nothing would."""
    network = distance_network(config)
    loss = build_loss(config, heads_of(network))
    frugal = config.model_copy(update={"data": config.data.model_copy(update={"memory_gb": 0.0})})
    for entries, learnt in ((config.data.train, True), (config.data.validation, False)):
        real = [entry for entry in entries if entry.rendered is None]
        for stack in open_stacks(real, (), frugal):
            if learnt:
                check_stack(stack, config.sampling.crop, config.sampling.min_foreground)
                check_kinds(stack, loss.takes)
    return network


def distance_network(config: TrainingConfig) -> nn.Module:
    """The network with fresh weights that depend on the seed alone.

    Its last bias is set to `d_max`, so that it begins with "no neurite anywhere", which is right
    almost everywhere, and not with "a neurite everywhere".
    """
    network = build_network(config, dims=3)
    start_at(network, config.target.d_max)
    return network


def judge_distances(
    *networks: nn.Module, stacks: Sequence[Stack], config: TrainingConfig
) -> Judgement:
    """The quality of the centrelines at the threshold that suits them best.

    Several networks are averaged.
    """
    scores = validate(networks, stacks, config)
    best = best_score(scores, config.validation.threshold_slack)
    return Judgement(
        score=best.quality,
        text=(
            f"quality {best.quality:.3f} at {config.validation.tolerance_um:g} µm (completeness "
            f"{best.completeness:.3f}, correctness {best.correctness:.3f}, "
            f"threshold {best.threshold:g})"
        ),
        records=tuple(score.as_dict() for score in scores),
        chosen=best.as_dict(),
        settings={"threshold": best.threshold},
    )


def distance_card(config: TrainingConfig, state: State, judgement: Judgement | None) -> ModelCard:
    """How to use the network of a run, and where it comes from."""
    threshold = min(config.validation.thresholds)
    if judgement is not None and math.isfinite(judgement.score):
        threshold = judgement.settings["threshold"]
    return ModelCard(
        name=type(state.network).__name__.lower(),
        arguments=state.network.arguments,  # type: ignore[arg-type]
        spacing=config.target.spacing,
        d_max=config.target.d_max,
        threshold=threshold,
        cube=config.validation.cube or config.sampling.crop,
        margin=config.validation.margin,
        percentiles=config.data.percentiles,
        licence=config.model.licence,
        provenance=provenance(config, state, judgement.chosen if judgement else {}),
    )
