"""Images with the class of every voxel, or with nothing: what tasks without tracings learn from."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from topodelin.annotation import (
    border_weights,
    class_balance_weights,
    class_indices,
    diffusion_weights,
)
from topodelin.training.config import TrainingConfig
from topodelin.training.config_data import Entry
from topodelin.training.config_task import Labelled, Segmentation
from topodelin.volumes import Box, Spacing, Volume, VolumeError, intensity_scaling, open_images


@dataclass(frozen=True)
class LabelledStack:
    """A normalised image in memory, with its classes.

    Args:
        name: as errors and scores call it.
        image: float32 `(z, y, x)`.
        spacing: µm per voxel.
        classes: int64 of the same shape, -1 where not judged; None without labels.
        weights: float32 of the same shape; None where all count the same.
        weight: how often it is drawn, relative to the others.
    """

    name: str
    image: np.ndarray
    spacing: Spacing
    classes: np.ndarray | None = None
    weights: np.ndarray | None = None
    weight: float = 1.0


def open_labelled(entries: Iterable[Entry], config: TrainingConfig) -> list[LabelledStack]:
    """The stacks of some entries, in memory, normalised each by itself.

    Raises:
        ValueError: for a file that cannot be used, shapes that differ or a value of no class; the
            message names the file.
    """
    stacks = []
    for entry in entries:
        assert entry.image is not None  # the configuration asks for it
        volume = _open(entry, entry.image, config)
        box = _slices(entry, volume)
        scaling = intensity_scaling(
            _cut(volume, box), config.data.normalisation, percentiles=config.data.percentiles
        )
        classes = _classes(entry, volume, box, config)
        stacks.append(
            LabelledStack(
                name=entry.image.name,
                image=scaling.normalize(volume.read(box)),
                spacing=volume.spacing,
                classes=classes,
                weights=_weights(classes, config),
                weight=entry.weight,
            )
        )
    _check_spacings(stacks)
    return stacks


def check_classes_learnt(stacks: Iterable[LabelledStack], classes: Iterable[str]) -> None:
    """Refuse a class that no voxel to learn from has."""
    found = {int(k) for stack in stacks for k in np.unique(_known(stack))}
    for number, name in enumerate(classes):
        if number not in found:
            raise ValueError(
                f"`task.classes`: {name!r} is absent from all labels of `data.train`; leave it out "
                "or add a stack that has it"
            )


def _known(stack: LabelledStack) -> np.ndarray:
    assert stack.classes is not None  # asked for in tasks of classes only
    return stack.classes


def _open(entry: Entry, path: object, config: TrainingConfig) -> Volume:
    try:
        volume = open_images(str(path), spacing=entry.spacing)
    except VolumeError as error:
        if "--spacing" not in str(error):
            raise
        raise VolumeError(f"{error}; in a run's YAML: `spacing: [z, y, x]` beside it") from None
    if len(volume.data.shape) != 3:
        raise ValueError(
            f"{path}: must have one channel, got shape {tuple(volume.data.shape)}; save one of them"
        )
    return volume


def _slices(entry: Entry, volume: Volume) -> Box:
    depth, height, width = volume.shape
    first, last = entry.slices or (0, depth)
    if last > depth:
        raise ValueError(f"{entry.image}: `slices` must end by {depth}, its depth, got {last}")
    return Box((first, 0, 0), (last, height, width))


def _cut(volume: Volume, box: Box) -> Volume:
    return Volume(volume.read(box), volume.spacing)


def _classes(entry: Entry, volume: Volume, box: Box, config: TrainingConfig) -> np.ndarray | None:
    task = config.task
    if not isinstance(task, Labelled):
        return None
    assert entry.labels is not None  # the configuration asks for it
    labels = _open(entry, entry.labels, config)
    if labels.shape != volume.shape:
        raise ValueError(
            f"{entry.labels}: must have the shape of its image, {volume.shape}, got {labels.shape}"
        )
    return class_indices(labels.read(box), task.classes, task.ignore, name=str(entry.labels))


def _weights(classes: np.ndarray | None, config: TrainingConfig) -> np.ndarray | None:
    """The sum of the weight maps that the task names."""
    task = config.task
    if classes is None or not isinstance(task, Segmentation) or task.weights is None:
        return None
    names, rules = list(task.classes), task.weights
    total = np.full(classes.shape, rules.constant, np.float32)
    if rules.balance is not None:
        total += class_balance_weights(classes, len(names), most=rules.balance)
    if rules.border is not None:
        cells = [names.index(name) for name in rules.border.cells]
        total += border_weights(classes, cells, w0=rules.border.w0, sigma=rules.border.sigma)
    if rules.diffusion is not None:
        total += diffusion_weights(classes, len(names), **rules.diffusion.model_dump())
    return total


def _check_spacings(stacks: list[LabelledStack]) -> None:
    for stack in stacks[1:]:
        if not np.allclose(stack.spacing, stacks[0].spacing, rtol=1e-3):
            raise ValueError(
                f"{stack.name}: must have the spacing of {stacks[0].name}, {stacks[0].spacing}, "
                f"got {stack.spacing}: resample it first"
            )
