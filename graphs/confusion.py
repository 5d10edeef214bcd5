r"""Scores of a segmentation from its confusion table, over labels that are named, never guessed.

With the table $n_{ij}$ of the voxels of label $i$ that were given label $j$, and for one label its
true positives $t$, false positives $f$ and false negatives $m$:

$$\text{IoU} = \frac{t}{t+f+m} \qquad \text{Dice} = \frac{2t}{2t+f+m} \qquad
  \text{precision} = \frac{t}{t+f} \qquad \text{recall} = \frac{t}{t+m}$$

They weigh volume and are blind to topology.

References:
    J. Cohen. A coefficient of agreement for nominal scales. Educational and Psychological
    Measurement 20, 1960.
    W. M. Rand. Objective criteria for the evaluation of clustering methods. Journal of the American
    Statistical Association 66, 1971.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topodelin.graphs.checks import json_ready, ratio


@dataclass(frozen=True, eq=False)
class Confusion:
    """A confusion table; the tables of several images may be added.

    Args:
        labels: what the rows and columns stand for.
        table: (L, L) voxels of the row's label that were given the column's.
    """

    labels: tuple[int, ...]
    table: np.ndarray

    def __add__(self, other: "Confusion") -> "Confusion":
        if self.labels != other.labels:
            raise ValueError(
                f"tables must be of the same labels, got {self.labels}, {other.labels}"
            )
        return Confusion(self.labels, self.table + other.table)

    @property
    def voxels(self) -> int:
        """All that were counted."""
        return int(self.table.sum())

    @property
    def accuracy(self) -> float:
        """Share of voxels with the right label; NaN without voxels. Also the micro F1."""
        return ratio(float(np.trace(self.table)), self.voxels)

    @property
    def pixel_error(self) -> float:
        """Share of voxels with a wrong label, 0 at best; NaN without voxels."""
        return 1 - self.accuracy

    @property
    def pixel_rand_error(self) -> float:
        """One minus the Rand index of the labels as a clustering; NaN below two voxels.

        Of all pairs of voxels the share that one of the two has in one label and the other has
        not, with label names left aside: 0 at best. For two labels and a pixel error $e$ of many
        voxels, $2 e (1 - e)$.
        """
        rows, columns = (self.table.sum(axis=axis).astype(float) for axis in (1, 0))
        both = float((self.table.astype(float) ** 2).sum())
        apart = float(rows @ rows) + float(columns @ columns) - 2 * both
        return ratio(apart, float(self.voxels) * (self.voxels - 1))

    @property
    def kappa(self) -> float:
        """Cohen's: accuracy beyond that of chance, 1 at best; NaN where chance is perfect."""
        rows, columns = (self.table.sum(axis=axis).astype(float) for axis in (1, 0))
        chance = ratio(float(rows @ columns), float(self.voxels) ** 2)
        return ratio(self.accuracy - chance, 1 - chance)

    def iou(self, label: int) -> float:
        """Intersection over union of one label; NaN where neither has it."""
        true, false, missed = self._of(label)
        return ratio(true, true + false + missed)

    def dice(self, label: int) -> float:
        """Dice, or F1, of one label; NaN where neither has it."""
        true, false, missed = self._of(label)
        return ratio(2 * true, 2 * true + false + missed)

    def precision(self, label: int) -> float:
        """Share of the predicted voxels of a label that are right; NaN without any."""
        true, false, _ = self._of(label)
        return ratio(true, true + false)

    def recall(self, label: int) -> float:
        """Share of the true voxels of a label that were found; NaN without any."""
        true, _, missed = self._of(label)
        return ratio(true, true + missed)

    def mean_iou(self, labels: Sequence[int]) -> float:
        """Mean IoU over a list of labels; those that neither has are left out."""
        return _mean([self.iou(label) for label in labels])

    def mean_dice(self, labels: Sequence[int]) -> float:
        """Mean Dice (macro F1) over a list of labels; those that neither has are left out."""
        return _mean([self.dice(label) for label in labels])

    def mean_precision(self, labels: Sequence[int]) -> float:
        """Mean precision over a list of labels, 0 for one never predicted; as `mean_dice`."""
        return _mean([self._or_worst(label, self.precision(label)) for label in labels])

    def mean_recall(self, labels: Sequence[int]) -> float:
        """Mean recall over a list of labels, 0 for one that is false throughout; as `mean_dice`."""
        return _mean([self._or_worst(label, self.recall(label)) for label in labels])

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        numbers = {
            "accuracy": self.accuracy,
            "pixel_error": self.pixel_error,
            "pixel_rand_error": self.pixel_rand_error,
            "kappa": self.kappa,
            "mean_iou": self.mean_iou(self.labels),
            "mean_dice": self.mean_dice(self.labels),
            "mean_precision": self.mean_precision(self.labels),
            "mean_recall": self.mean_recall(self.labels),
            "voxels": self.voxels,
        }
        for label in self.labels:
            for name in ("iou", "dice", "precision", "recall"):
                numbers[f"{name}_{label}"] = getattr(self, name)(label)
        return json_ready(numbers)

    def _or_worst(self, label: int, share: float) -> float:
        """0 instead of NaN where at least one of the two has the label."""
        return 0.0 if np.isnan(share) and any(self._of(label)) else share

    def _of(self, label: int) -> tuple[int, int, int]:
        """True positives, false positives, false negatives."""
        if label not in self.labels:
            raise ValueError(f"`label` must be one of {self.labels}, got {label}")
        row = self.labels.index(label)
        true = int(self.table[row, row])
        return true, int(self.table[:, row].sum()) - true, int(self.table[row].sum()) - true


def confusion(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    labels: Sequence[int],
    ignore: int | None = None,
) -> Confusion:
    """Count which label became which.

    Args:
        truth: integers or booleans of any shape.
        predicted: the same shape.
        labels: every label that occurs, background too where it is to count. Masks have (0, 1).
        ignore: a label of `truth`, not among `labels`, whose voxels nobody annotated: they are
            not counted, whatever was predicted there.

    Raises:
        ValueError: a label that is not named occurs, or the arrays are not integers of one shape.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape:
        raise ValueError(
            f"`truth` and `predicted` must have one shape, got {truth.shape} and {predicted.shape}"
        )
    known = np.unique(np.asarray(labels, dtype=np.int64))
    if len(known) != len(labels) or not len(known):
        raise ValueError(f"`labels` must name each label once, got {tuple(labels)}")
    if ignore is not None:
        if ignore in known:
            raise ValueError(f"`ignore` must not be one of `labels` {tuple(labels)}, got {ignore}")
        truth, predicted = truth[truth != ignore], predicted[truth != ignore]
    order = np.argsort(np.argsort(np.asarray(labels)))
    numbers = []
    for name, array in (("truth", truth), ("predicted", predicted)):
        if array.dtype.kind not in "iub":
            raise ValueError(f"`{name}` must hold integers, got {array.dtype}")
        at = np.minimum(np.searchsorted(known, array), len(known) - 1)
        wrong = known[at] != array
        if wrong.any():
            raise ValueError(
                f"`labels` must name every label of `{name}`, got {tuple(labels)} without "
                f"{array[wrong].flat[0]}"
            )
        numbers.append(at.ravel())
    counts = np.bincount(numbers[0] * len(known) + numbers[1], minlength=len(known) ** 2)
    table = counts.reshape(len(known), len(known))[np.ix_(order, order)]
    return Confusion(tuple(int(label) for label in labels), table)


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Mean precision over all thresholds of a score, weighted by the recall each one adds.

    Args:
        truth: the mask, foreground where not 0.
        score: the same shape, larger where foreground is more likely; finite.

    Equal scores are one threshold. NaN without foreground.
    """
    true, false = _above_thresholds(truth, score)
    if not len(true) or not true[-1]:
        return float("nan")
    return float((np.diff(true, prepend=0) * true / (true + false)).sum() / true[-1])


def roc_auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the curve of recall against false positive rate over all thresholds of a score.

    Args:
        truth: the mask, foreground where not 0.
        score: the same shape, larger where foreground is more likely; finite.

    It is the share of the pairs of a foreground and a background voxel in which the foreground has
    the larger score, equal scores counted half: 1 at best, 0.5 by chance. NaN without foreground or
    without background. Exact, from the order of the scores.
    """
    true, false = _above_thresholds(truth, score)
    if not len(true) or not true[-1] or not false[-1]:
        return float("nan")
    twice = np.diff(false, prepend=0) * (2 * true - np.diff(true, prepend=0))
    return float(twice.sum() / 2 / true[-1] / false[-1])


def _above_thresholds(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Foreground and background voxels at or above each score that occurs, the largest first."""
    truth, score = np.asarray(truth) != 0, np.asarray(score)
    if truth.shape != score.shape or not np.isfinite(score).all():
        raise ValueError(
            f"`score` must hold one finite number for each of {truth.size} voxels of `truth`"
        )
    truth, score = truth.ravel(), score.ravel()
    order = np.argsort(score, kind="stable")[::-1]
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)[: len(order)])
    true = np.cumsum(truth[order], dtype=np.int64)[last]
    return true, last + 1 - true


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return ratio(sum(defined), len(defined))
