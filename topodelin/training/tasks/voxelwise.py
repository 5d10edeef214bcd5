"""A run whose classifier of voxels is a tree ensemble: the files of a run, but no steps.

It leaves behind what a run of a network does, but for checkpoints: fitting cannot be stopped
half-way, and is done again from the beginning where the same command is given again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from topodelin import __version__
from topodelin.classical.fitting import fit_trees, make_classifier
from topodelin.models import SegmentationCard, save_model
from topodelin.models.filter_features import REACH, check_features
from topodelin.models.tree_ensemble import TreeEnsemble
from topodelin.training.config import TrainingConfig
from topodelin.training.config_file import ConfigError, dump_config
from topodelin.training.config_task import Voxelwise
from topodelin.training.labelled import LabelledStack, check_classes_learnt, open_labelled
from topodelin.training.progress import Report
from topodelin.training.tasks.segmentation import judge_classes
from topodelin.training.tasks.task import Judgement

TILE = (1, 512, 512)  # pixels classified at once
OF_NETWORKS = (
    "model",
    "target",
    "sampling",
    "augmentation",
    "loss",
    "optimizer",
    "stopping",
    "devices",
    "nodes",
)


def check_voxelwise(
    config: TrainingConfig,
) -> tuple[Voxelwise, list[LabelledStack], list[LabelledStack]]:
    """The task, the stacks to learn from and those to be judged on, or what stops such a run.

    Raises:
        ConfigError: for a section of networks, an unknown feature, classifier or argument.
        ValueError: when a stack cannot be used or a class is absent; the message names it.
    """
    task = config.task
    assert isinstance(task, Voxelwise)  # asked for by its kind
    for name in OF_NETWORKS:
        if getattr(config, name) != TrainingConfig.model_fields[name].default:
            raise ConfigError(
                f"{name}: is for networks, `task.kind: voxelwise` has none; leave it out"
            )
    try:
        check_features(task.features)
        make_classifier(task.classifier, task.arguments, config.seed)
    except ValueError as error:
        raise ConfigError(f"task: {error}") from None
    taught = open_labelled(config.data.train, config)
    check_classes_learnt(taught, task.classes)
    return task, taught, open_labelled(config.data.validation, config)


def train_voxelwise(config: TrainingConfig, folder: Path, report: Report) -> float | None:
    """Fit the classifier that a configuration names, judge it and write its model file.

    Args:
        config: with a task of the kind `voxelwise`.
        folder: of the run; files of an earlier run are replaced.
        report: gets a line now and then.

    Returns:
        the score of the stacks to be judged on; None without any.
    """
    task, taught, judged = check_voxelwise(config)
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    report.event(
        f"fitting: {task.classifier} on {len(task.features)} features, {len(taught)} stacks "
        f"to learn from, {len(judged)} to be judged on"
    )
    network = _fitted(task, taught, config.seed)
    report.event(f"fitted: {len(network.roots)} trees with {len(network.feature)} decisions")
    judgement = judge_classes(network, stacks=judged, config=config) if judged else None
    path = folder / "model.safetensors"
    save_model(path, network, _card(config, task, taught, network, judgement))
    records = [dict(record) for record in judgement.records] if judgement else []
    lines = [json.dumps({"step": 1, "validation": records}) + "\n"] if records else []
    (folder / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    report.event(f"done: classifier in {path}" + (f" ({judgement.text})" if judgement else ""))
    return judgement.score if judgement else None


def _fitted(task: Voxelwise, stacks: Sequence[LabelledStack], seed: int) -> TreeEnsemble:
    return fit_trees(
        [stack.image for stack in stacks],
        [stack.classes for stack in stacks if stack.classes is not None],
        classifier=task.classifier,
        features=task.features,
        arguments=task.arguments,
        voxels=task.voxels,
        weights=[stack.weight for stack in stacks],
        seed=seed,
    )


def _card(
    config: TrainingConfig,
    task: Voxelwise,
    stacks: Sequence[LabelledStack],
    network: TreeEnsemble,
    judgement: Judgement | None,
) -> SegmentationCard:
    return SegmentationCard(
        name=type(network).__name__.lower(),
        arguments=network.arguments,
        spacing=stacks[0].spacing,
        cube=TILE,
        margin=(0, REACH, REACH),
        classes=tuple(task.classes),
        normalisation=config.data.normalisation,
        percentiles=config.data.percentiles,
        licence=config.model.licence,
        provenance={
            "trained_by": f"topodelin {__version__}",
            "model": task.classifier,
            "task": "voxelwise",
            "arguments": task.arguments,
            "voxels": task.voxels,
            "seed": config.seed,
            "validation": dict(judgement.chosen) if judgement else {},
            "data": [stack.name for stack in stacks],
        },
    )
