"""The class of every voxel, judged by a confusion table over whole stacks."""

import math
from collections.abc import Sequence
from functools import partial

from torch import nn

from topodelin.models import SegmentationCard
from topodelin.training.building import build_loss, build_network, heads_of, inner, lost_voxels
from topodelin.training.checkpoint import State
from topodelin.training.config import TrainingConfig
from topodelin.training.config_task import Labelled
from topodelin.training.label_sampler import LabelSampler
from topodelin.training.label_scores import label_scores
from topodelin.training.labelled import LabelledStack, check_classes_learnt, open_labelled
from topodelin.training.outputs import provenance
from topodelin.training.tasks.task import Judgement, Task

AUTO = {"segmentation": "random", "centre_voxel": "centred"}


def segmentation_task(config: TrainingConfig) -> Task:
    """The task of a configuration whose stacks have labels, for every voxel or for centres."""
    network = class_network(config)
    taught = open_labelled(config.data.train, config)
    judged = open_labelled(config.data.validation, config)
    assert isinstance(config.task, Labelled)
    check_classes_learnt(taught, config.task.classes)
    return Task(
        network=network,
        loss=build_loss(config, heads_of(network)),
        sampler=label_sampler(config, taught, network),
        learnt=len(taught),
        judged=len(judged),
        judge=partial(judge_classes, stacks=judged, config=config),
        card=partial(class_card, config, taught),
    )


def class_network(config: TrainingConfig) -> nn.Module:
    """The network with one output channel a class, or one for two where the configuration asks."""
    assert isinstance(config.task, Labelled)
    return build_network(config, out_channels=len(config.task.classes))


def label_sampler(
    config: TrainingConfig, stacks: Sequence[LabelledStack], network: nn.Module
) -> LabelSampler:
    """The sampler of a configuration, for what its network takes and gives."""
    sampling = config.sampling
    names = list(config.task.classes) if isinstance(config.task, Labelled) else []
    return LabelSampler(
        stacks,
        seed=config.seed,
        crop=sampling.crop,
        batch=sampling.batch,
        augmentation=config.augmentation,
        kind=AUTO.get(config.task.kind, "centred") if sampling.kind == "auto" else sampling.kind,
        bins=sampling.bins or sampling.crop,
        foreground=tuple(names.index(name) for name in sampling.foreground),
        min_foreground=sampling.min_foreground,
        dims=int(network.dims),  # type: ignore[arg-type]
        channels=int(network.in_channels),  # type: ignore[arg-type]
        lost=lost_voxels(network),
    )


def judge_classes(
    *networks: nn.Module, stacks: Sequence[LabelledStack], config: TrainingConfig
) -> Judgement:
    """The scores of all stacks together; several networks are averaged."""
    assert isinstance(config.task, Labelled)
    scores = label_scores(networks, stacks, config)
    name = config.task.metric
    plain = {key: None if math.isnan(value) else value for key, value in scores.items()}
    return Judgement(
        score=scores[name],
        text=", ".join(f"{key} {scores[key]:.3f}" for key in dict.fromkeys((name, "miou", "f1"))),
        records=(plain,),
        chosen=plain,
    )


def class_card(
    config: TrainingConfig,
    stacks: Sequence[LabelledStack],
    state: State,
    judgement: Judgement | None,
) -> SegmentationCard:
    """How to use the network of a run, and where it comes from."""
    network = state.network
    names = tuple(config.task.classes) if isinstance(config.task, Labelled) else ()
    z, y, x = config.validation.margin
    flat = network.dims == 2
    return SegmentationCard(
        name=type(network).__name__.lower(),
        arguments=network.arguments,  # type: ignore[arg-type]
        spacing=stacks[0].spacing,
        cube=config.validation.cube or inner(network, config.sampling.crop),
        margin=(0 if flat else z, y, x),
        classes=names,
        normalisation=config.data.normalisation,
        percentiles=config.data.percentiles,
        licence=config.model.licence,
        provenance=provenance(config, state, judgement.chosen if judgement else {}),
    )
