"""Scores of a trained network on slices or stacks that it never saw."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import label
from torch import nn

from topodelin.graphs import Confusion, average_precision, confusion, segment_agreement
from topodelin.models import predict_probabilities
from topodelin.refinement import dense_crf
from topodelin.training import TrainingConfig
from topodelin.training.building import inner
from topodelin.training.config_data import Entry
from topodelin.training.config_task import Labelled
from topodelin.training.labelled import LabelledStack, open_labelled
from topodelin.training.stacks import Stack, open_stacks
from topodelin.training.validation import Score, best_score, validate

THRESHOLDS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
Scores = dict[str, float]


def label_scores(
    network: nn.Module, entries: Sequence[Entry], config: TrainingConfig, *, crf: bool
) -> tuple[Scores, dict[str, np.ndarray]]:
    """Scores of the one stack of `entries`; and image, classes and predictions, for a picture."""
    (stack,) = open_labelled(entries, config)
    assert stack.classes is not None
    told = predict_probabilities(
        network,
        stack.image,
        tile=config.validation.cube or inner(network, config.sampling.crop),
        margin=config.validation.margin,
        where=stack.classes >= 0,
    )
    kept = {"image": stack.image, "classes": stack.classes, "told": told.argmax(0)}
    scores = class_scores(told, stack, config)
    if crf:
        refined = refine(told, stack)
        kept["refined"] = refined.argmax(0)
        again = class_scores(refined, stack, config)
        scores |= {f"crf_{key}": value for key, value in again.items()}
    return scores, kept


def class_scores(told: np.ndarray, stack: LabelledStack, config: TrainingConfig) -> Scores:
    """From one table over all voxels with a class; regions where there are two classes."""
    assert isinstance(config.task, Labelled) and stack.classes is not None
    names, known = list(config.task.classes), stack.classes >= 0
    true, chances = stack.classes[known], told[:, known]
    counts = confusion(true, chances.argmax(0), labels=tuple(range(len(names))))
    scores = {
        "miou": counts.mean_iou(counts.labels),
        "f1": counts.mean_dice(counts.labels),
        "kappa": counts.kappa,
        "pixel_error": counts.pixel_error,
        "average_precision": float(
            np.mean([average_precision(true == k, chances[k]) for k in counts.labels])
        ),
        **{f"iou_{name}": counts.iou(k) for k, name in enumerate(names)},
    }
    if config.task.subset:
        scores["miou_subset"] = counts.mean_iou([names.index(n) for n in config.task.subset])
    if len(names) == 2:
        scores |= two_class_scores(counts, told.argmax(0), stack.classes)
    return scores


def two_class_scores(counts: Confusion, told: np.ndarray, true: np.ndarray) -> Scores:
    """Of class 1; the Rand errors of two pixels having one class, and of two being in one cell."""
    error = counts.pixel_error
    cells = [
        segment_agreement(components(t), components(p))
        for t, p in zip(true == 1, told == 1, strict=True)
    ]
    return {
        "iou": counts.iou(1),
        "dice": counts.dice(1),
        "pixel_rand_error": 2 * error * (1 - error),
        "region_rand_error": float(np.mean([each.adapted_rand_error for each in cells])),
    }


def components(mask: np.ndarray) -> np.ndarray:
    numbers = np.zeros(mask.shape, np.int32)
    label(mask, output=numbers)
    return numbers


def refine(told: np.ndarray, stack: LabelledStack) -> np.ndarray:
    """Each slice with labels by the published energy, but one cost for all pairs of classes."""
    assert stack.classes is not None
    refined = told.copy()
    low, high = np.percentile(stack.image, (1, 99.9))
    image = np.clip((stack.image - low) / (high - low), 0, 1).astype(np.float32)
    for z in np.flatnonzero((stack.classes >= 0).any(axis=(1, 2))):
        refined[:, z] = dense_crf(
            torch.from_numpy(told[:, z]),
            torch.from_numpy(image[z]),
            theta_alpha=1.0,
            theta_beta=1.0,
            theta_gamma=1.0,
            compatibility=1.0,
            smoothness=1.0,
        ).numpy()
    return refined


def line_scores(network: nn.Module, entries: Sequence[Entry], config: TrainingConfig) -> Scores:
    """Centrelines of all stacks together, at the threshold that suits the validation stacks best.

    Networks that have not learnt long are far from 0 also on a neurite: more thresholds are tried
    than in training.
    """

    def judged(stacks: list[Stack], thresholds: Sequence[float]) -> list[Score]:
        validation = config.validation.model_copy(update={"thresholds": list(thresholds)})
        return validate([network], stacks, config.model_copy(update={"validation": validation}))

    seen = judged(open_stacks(config.data.validation, (), config), THRESHOLDS)
    chosen = best_score(seen, config.validation.threshold_slack).threshold
    (score,) = judged(open_stacks(entries, (), config), [chosen])
    return {key: float(value) for key, value in score.as_dict().items()}
