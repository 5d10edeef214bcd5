"""Confusion tables and thresholds: by hand, by brute force, against reference numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import seeds
from tests.shared_files import needs_shared, shared
from topodelin.graphs import average_precision, confusion
from topodelin.graphs.confusion import roc_auc


def test_a_confusion_table_by_hand() -> None:
    truth, predicted = np.array([0, 0, 0, 1, 1, 7]), np.array([0, 0, 1, 1, 0, 7])
    found = confusion(truth, predicted, labels=(0, 1, 7))
    assert found.table.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert found.iou(1) == pytest.approx(1 / 3) and found.dice(1) == found.recall(1) == 0.5
    assert found.precision(0) == pytest.approx(2 / 3)
    assert found.mean_iou([1, 7]) == pytest.approx(2 / 3)
    chance = (9 + 4 + 1) / 36
    assert found.kappa == pytest.approx((4 / 6 - chance) / (1 - chance))
    turned = confusion(truth, predicted, labels=(7, 1, 0))
    assert turned.table.tolist() == found.table[::-1, ::-1].tolist()
    assert (found + found).iou(1) == found.iou(1) and (found + found).voxels == 12


def test_labels_are_named_and_never_guessed() -> None:
    with pytest.raises(ValueError, match=r"every label of `predicted`, got \(0, 1\) without 2"):
        confusion(np.array([0, 1]), np.array([2, 1]), labels=(0, 1))
    with pytest.raises(ValueError, match="name each label once"):
        confusion(np.array([0]), np.array([0]), labels=(0, 0))
    with pytest.raises(ValueError, match="must hold integers, got float64"):
        confusion(np.array([0.5]), np.array([0]), labels=(0,))
    with pytest.raises(ValueError, match="must have one shape"):
        confusion(np.array([0]), np.array([0, 1]), labels=(0, 1))
    found = confusion(np.array([0]), np.array([0]), labels=(0, 1))
    with pytest.raises(ValueError, match=r"one of \(0, 1\), got 3"):
        found.iou(3)
    assert math.isnan(found.iou(1)) and found.as_dict()["iou_1"] is None
    with pytest.raises(ValueError, match="of the same labels"):
        _ = found + confusion(np.array([0]), np.array([0]), labels=(0,))


def test_the_rand_error_counts_the_pairs_that_one_parts_and_the_other_joins() -> None:
    # Pairs of the four voxels: the truth joins ab and cd, the prediction ab, ac and bc.
    found = confusion(np.array([0, 0, 1, 1]), np.array([1, 1, 1, 0]), labels=(0, 1))
    assert found.pixel_rand_error == pytest.approx((1 + 2) / 6)
    swapped = confusion(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]), labels=(0, 1))
    assert swapped.pixel_rand_error == 0 and swapped.pixel_error == 1  # names are left aside
    assert math.isnan(confusion(np.array([0]), np.array([0]), labels=(0,)).pixel_rand_error)


@given(seed=seeds)
def test_the_rand_error_is_that_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 5))
    truth, predicted = rng.integers(0, count, (2, rng.integers(2, 40)))
    found = confusion(truth, predicted, labels=range(count))
    one, two = (each[:, None] == each for each in (truth, predicted))
    pairs = len(truth) * (len(truth) - 1)
    assert found.pixel_rand_error == pytest.approx((one != two).sum() / pairs)
    if count == 2:
        wrong, n = found.pixel_error, len(truth)
        assert found.pixel_rand_error == pytest.approx(2 * wrong * (1 - wrong) * n / (n - 1))


def test_average_precision_by_hand() -> None:
    assert average_precision(np.array([1, 0, 1]), np.array([3.0, 2.0, 1.0])) == pytest.approx(5 / 6)
    assert average_precision(np.array([1, 0]), np.array([1.0, 1.0])) == 0.5  # one threshold
    assert math.isnan(average_precision(np.zeros(2), np.ones(2)))
    with pytest.raises(ValueError, match="one finite number for each of 2"):
        average_precision(np.ones(2), np.array([1.0, np.nan]))


def test_voxels_that_nobody_annotated_do_not_count() -> None:
    truth, predicted = np.array([[0, 1, 255], [1, 255, 0]]), np.array([[0, 1, 1], [0, 9, 0]])
    found = confusion(truth, predicted, labels=(0, 1), ignore=255)
    assert found.table.tolist() == [[2, 0], [1, 1]]
    with pytest.raises(ValueError, match=r"`ignore` must not be one of `labels` \(0, 1\), got 1"):
        confusion(truth, predicted, labels=(0, 1), ignore=1)
    with pytest.raises(ValueError, match="every label of `truth`, .* without 255"):
        confusion(truth, predicted, labels=(0, 1, 9))


def test_a_class_that_is_never_predicted_has_precision_0_in_the_mean_and_one_nowhere_none() -> None:
    found = confusion(np.array([0, 0, 1]), np.array([0, 0, 0]), labels=(0, 1, 2))
    assert math.isnan(found.precision(1)) and math.isnan(found.precision(2))
    assert found.mean_precision((0, 1, 2)) == pytest.approx(1 / 3)
    assert found.mean_recall((0, 1, 2)) == 0.5
    assert confusion(np.zeros(0, int), np.zeros(0, int), labels=(0,)).as_dict()["kappa"] is None


def test_the_area_under_the_curve_by_hand() -> None:
    assert roc_auc(np.array([1, 0, 1]), np.array([3.0, 2.0, 1.0])) == 0.5
    assert roc_auc(np.array([1, 0]), np.array([1.0, 1.0])) == 0.5  # a tie counts half
    for kind in (np.uint8, bool):  # numbers that have no negative
        assert roc_auc(np.array([0, 1, 1]), np.array([0, 1, 1], dtype=kind)) == 1
        assert average_precision(np.array([0, 1, 1]), np.array([0, 1, 1], dtype=kind)) == 1
    for truth in (np.zeros(2), np.ones(2), np.zeros(0)):
        assert math.isnan(roc_auc(truth, truth))
    with pytest.raises(ValueError, match="one finite number for each of 6"):
        roc_auc(np.ones((2, 3)), np.ones((3, 2)))


@given(seed=seeds)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(rng.integers(2, 60)) < rng.uniform(0, 1)
    score = rng.integers(0, rng.integers(1, 9), len(truth)) / 7
    above = score[truth][:, None] - score[~truth]
    if truth.all() or not truth.any():
        assert math.isnan(roc_auc(truth, score))
        return
    expected = ((above > 0) + 0.5 * (above == 0)).mean()
    assert roc_auc(truth, score) == pytest.approx(expected, abs=1e-12)
    assert roc_auc(truth, -score) == pytest.approx(1 - expected, abs=1e-12)
    assert roc_auc(truth, np.exp(score)) == pytest.approx(expected, abs=1e-12)


@needs_shared
def test_reference_numbers_of_labels_are_met() -> None:
    folder = shared("goldens", "metrics")
    volumes = np.load(folder / "labels" / "em_labels.npz")
    cases = json.loads((folder / "expected" / "label_metrics.json").read_text())["semantic"]
    for case, expected in cases.items():
        truth, predicted = (volumes[f"sem_{case}_{name}"] for name in ("gt", "pred"))
        score = volumes[f"sem_{case}_prob1"]
        found = confusion(truth, predicted, labels=range(7))
        binary = confusion(truth == 1, score >= 0.5, labels=(0, 1))
        assert found.table.tolist() == expected["confusion"]
        numbers = {
            "kappa": found.kappa,
            "miou_all": found.mean_iou(range(7)),
            "miou_org": found.mean_iou(range(2, 7)),
            "f1_macro": found.mean_dice(range(7)),
            "pixel_accuracy": found.accuracy,
        }
        for name, value in numbers.items():
            assert value == pytest.approx(expected[name], abs=1e-6), (case, name)
        assert found.accuracy == pytest.approx(expected["f1_micro"], abs=1e-6), case
        each = [found.iou(number) for number in range(7)]
        assert each == pytest.approx(expected["iou_per_class"], abs=1e-6), case
        numbers = {
            "iou": binary.iou(1),
            "dice": binary.dice(1),
            "precision": binary.precision(1),
            "recall": binary.recall(1),
            "pixel_error": binary.pixel_error,
            "kappa": binary.kappa,
            "average_precision": average_precision(truth == 1, score),
            "roc_auc": roc_auc(truth == 1, score),
        }
        for name, value in numbers.items():
            assert value == pytest.approx(expected["binary"][name], abs=1e-6), (case, name)
    assert len(cases) == 3
