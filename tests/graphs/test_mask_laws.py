"""Laws that every metric of masks and label arrays keeps, each measured as one table of numbers."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.ndimage import label

import topodelin.graphs
from tests.graphs.drawings import EMPTY, random_forest, seeds, tubes
from tests.graphs.events import EVENTS, coarse_mask, labels, lines, mask
from tests.graphs.laws import Law, assert_same
from tests.graphs.laws import numbers as numbers_of
from topodelin.graphs import (
    betti_matching,
    confusion,
    mask_betti_errors,
    match_barcodes,
    patch_betti_errors,
    run_length_of_labels,
    segment_agreement,
    skeleton_overlap,
    voxel_quality,
)

BETTI = ("error_components", "error_loops")
OVERLAP = ("cldice", "skeleton_recall", "skeleton_precision")
QUALITY = ("voxel_completeness", "voxel_correctness", "voxel_quality")
FOREGROUND = ("iou_1", "dice_1", "recall_1", "precision_1")
LAWS = {
    "betti_matching": Law(
        betti_matching,
        drawn=mask,
        zeros=("betti_matching_error",),
        worst={"betti_matching_error": 1},
        swap=(("truth", "predicted"),),
    ),
    "confusion": Law(
        confusion,
        drawn=mask,
        others={"labels": (0, 1)},
        ones=("kappa", *FOREGROUND),
        zeros=("pixel_error",),
        worst={"precision_1": np.nan},  # of what is not there no share is wrong
        undefined=FOREGROUND,
        swap=(("precision", "recall"),),
    ),
    "mask_betti_errors": Law(
        mask_betti_errors,
        drawn=mask,
        zeros=BETTI,
        worst={"error_components": 1, "error_loops": 0},
        swap=(("truth", "predicted"),),
    ),
    "match_barcodes": Law(
        match_barcodes,
        drawn=coarse_mask,
        zeros=("barcode_matching_error", "barcode_squared_distance"),
        worst={"barcode_matching_error": 1, "barcode_squared_distance": 0.5},
        swap=(("truth", "predicted"),),
    ),
    "patch_betti_errors": Law(
        patch_betti_errors,
        drawn=mask,
        others={"patch": 1000},
        zeros=("patch_error_components", "patch_error_loops"),
        worst={"patch_error_components": 1, "patch_error_loops": 0},
        swap=(("truth", "predicted"),),
    ),
    "segment_agreement": Law(
        segment_agreement,
        drawn=labels,
        ones=("rand_split", "rand_merge"),
        zeros=("voi_split", "voi_merge", "adapted_rand_error"),
        # label 0 of the prediction is a segment: of one tree nothing is parted and nothing joined
        worst={"rand_split": 1, "rand_merge": 1, "adapted_rand_error": 0},
        undefined=("rand_split", "rand_merge", "voi_split", "voi_merge", "adapted_rand_error"),
        swap=(("truth", "predicted"), ("split", "merge")),
    ),
    "skeleton_overlap": Law(
        skeleton_overlap,
        drawn=mask,
        ones=OVERLAP,
        undefined=OVERLAP,
        swap=(
            ("found", "true"),
            ("truth", "predicted"),
            ("recall", "precision"),
        ),
    ),
    "voxel_quality": Law(
        voxel_quality,
        drawn=lines,
        lengths={"tolerance": 1.5},
        ones=QUALITY,
        undefined=QUALITY,
        swap=(("truth", "predicted"), ("completeness", "correctness")),
    ),
}


def volume(law: Law, seed: int) -> np.ndarray:
    """Random tubes, or their labels, as the metric wants them."""
    found = tubes(seed, (4, 9, 9) if law.drawn is coarse_mask else (6, 14, 14), 1.5)
    numbered: Any = label(found)
    return numbered[0] if law.drawn is labels else found


def turned(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array mirrored along each axis, turned by a right angle, and with its axes reversed."""
    yield from (np.flip(array, axis) for axis in range(array.ndim))
    yield np.rot90(array, axes=(-2, -1))
    yield array.T


def test_every_metric_of_arrays_is_under_the_law() -> None:
    public = [getattr(topodelin.graphs, name) for name in topodelin.graphs.__all__]
    metrics = {
        metric.__name__
        for metric in public
        if inspect.isfunction(metric)
        and list(inspect.signature(metric).parameters)[:2] == ["truth", "predicted"]
        and inspect.signature(metric).parameters["truth"].annotation is np.ndarray
    }
    assert metrics == set(LAWS)


@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=5)
@given(seed=seeds)
def test_a_prediction_like_the_truth_gets_the_best(name: str, seed: int) -> None:
    law = LAWS[name]
    for array in (volume(law, seed), law.drawn(EVENTS["ring"].truth)):
        numbers = law(array, array)
        assert all(numbers[key] == pytest.approx(1) for key in law.ones)
        assert all(numbers[key] == pytest.approx(0) for key in law.zeros)


@pytest.mark.parametrize("name", sorted(set(LAWS) - {"skeleton_overlap"}))
@settings(max_examples=2)
@given(seed=seeds)
def test_mirrors_and_quarter_turns_change_nothing(name: str, seed: int) -> None:
    law = LAWS[name]
    truth, predicted = volume(law, seed), volume(law, seed + 1)
    numbers = law(truth, predicted)
    for one, two in zip(turned(truth), turned(predicted), strict=True):
        assert_same(law(one, two), numbers)


@settings(max_examples=4)
@given(seed=seeds)
def test_mirrors_and_quarter_turns_change_only_how_masks_are_thinned(seed: int) -> None:
    law = LAWS["skeleton_overlap"]
    truth, predicted, *skeletons = (tubes(seed + k, (6, 14, 14), 1.5 - k // 2) for k in range(4))
    numbers = law(truth, predicted, truth_skeleton=skeletons[0], predicted_skeleton=skeletons[1])
    for one, two, *thin in zip(*map(turned, (truth, predicted, *skeletons)), strict=True):
        assert_same(law(one, two, truth_skeleton=thin[0], predicted_skeleton=thin[1]), numbers)


@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=4)
@given(seed=seeds)
def test_swapping_the_arrays_swaps_what_belongs_to_either(name: str, seed: int) -> None:
    law = LAWS[name]
    truth, predicted = volume(law, seed), volume(law, seed + 1)
    if name == "segment_agreement":  # the background of the truth alone is left out
        truth, predicted = truth + 1, predicted + 1
    assert_same(law(predicted, truth), law.swapped(law(truth, predicted)))


@pytest.mark.parametrize("name", LAWS)
def test_nothing_on_either_side_never_raises(name: str) -> None:
    law, there = LAWS[name], LAWS[name].drawn(EVENTS["nothing"].truth)
    nothing = np.zeros_like(there)
    numbers = law(nothing, nothing)
    assert all(np.isnan(numbers[key]) for key in law.undefined), numbers
    numbers, worst = law(there, nothing), dict.fromkeys(law.ones, 0.0) | law.worst
    assert_same({key: numbers[key] for key in worst}, worst)
    law(nothing, there)


@settings(max_examples=5)
@given(seed=seeds)
def test_renumbering_labels_changes_nothing(seed: int) -> None:
    rng, law = np.random.default_rng(seed), LAWS["segment_agreement"]
    truth, predicted = volume(law, seed), volume(law, seed + 1)
    names = np.append(0, rng.permutation(np.arange(1, 90)))
    assert_same(law(names[truth], names[predicted] + 3), law(truth, predicted))
    graph = random_forest(seed, 30)
    found = rng.integers(0, 4, 30)
    again = run_length_of_labels(graph, names[found])
    assert_same(numbers_of(again), numbers_of(run_length_of_labels(graph, found)))


def test_the_run_length_of_labels_is_best_for_the_trees_and_worst_without_labels() -> None:
    graph = random_forest(0, 30)
    assert run_length_of_labels(graph, graph.components + 1).normalised == pytest.approx(1)
    assert run_length_of_labels(graph, np.zeros(30, dtype=int)).normalised == 0
    assert np.isnan(run_length_of_labels(EMPTY, np.zeros(0, dtype=int)).normalised)
