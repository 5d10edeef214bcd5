"""Scores of a network of classes on whole stacks."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from topodelin.graphs import average_precision, confusion
from topodelin.models import predict_probabilities
from topodelin.training.building import inner
from topodelin.training.config import TrainingConfig
from topodelin.training.config_task import Labelled
from topodelin.training.labelled import LabelledStack


def label_scores(
    networks: Sequence[nn.Module], stacks: Sequence[LabelledStack], config: TrainingConfig
) -> dict[str, float]:
    """Every score by name, from the tables of all stacks added; higher is better.

    The probabilities of several networks are averaged.

    Only voxels with a class count. `f1` is the mean Dice and `average_precision` a
    mean, both over the classes that occur; NaN where nothing is defined.
    """
    assert isinstance(config.task, Labelled)
    names = list(config.task.classes)
    numbers = range(len(names))
    table = confusion(np.zeros(0, np.int64), np.zeros(0, np.int64), labels=tuple(numbers))
    told: list[np.ndarray] = [np.zeros((len(names), 0), np.float32)]
    true: list[np.ndarray] = [np.zeros(0, np.int64)]
    for stack in stacks:
        assert stack.classes is not None  # stacks of a task of classes
        known = stack.classes >= 0
        each = [
            predict_probabilities(
                network,
                stack.image,
                tile=config.validation.cube or inner(network, config.sampling.crop),
                margin=config.validation.margin,
                where=known,
            )
            for network in networks
        ]
        probabilities = np.mean(each, axis=0)
        true.append(stack.classes[known])
        told.append(probabilities[:, known])
        table += confusion(true[-1], told[-1].argmax(0), labels=tuple(numbers))
    truth, chances = np.concatenate(true), np.concatenate(told, axis=1)
    precise = [average_precision(truth == k, chances[k]) for k in numbers]
    defined = [value for value in precise if not np.isnan(value)]
    scores = {
        "miou": table.mean_iou(numbers),
        "miou_subset": table.mean_iou([names.index(n) for n in config.task.subset]),
        "f1": table.mean_dice(numbers),
        "kappa": table.kappa,
        "pixel_accuracy": table.accuracy,
        "average_precision": float(np.mean(defined)) if defined else float("nan"),
    }
    return scores | {f"iou_{name}": table.iou(k) for k, name in enumerate(names)}
