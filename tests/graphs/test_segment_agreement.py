"""Rand scores and variation of information: by hand, by law, against reference numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import seeds
from tests.shared_files import needs_shared, shared
from topodelin.graphs import segment_agreement

# Two segments of 4 voxels and background.
TRUTH = np.array([[1, 1, 1, 1, 0], [2, 2, 2, 2, 0]])


def test_a_split_and_a_merger_by_hand() -> None:
    split = segment_agreement(TRUTH, np.array([[5, 5, 6, 6, 9], [7, 7, 7, 7, 9]]))
    assert split.rand_split == pytest.approx((4 + 4 + 16) / 32) and split.rand_merge == 1
    assert split.voi_split == pytest.approx(0.5) and split.voi_merge == 0
    merged = segment_agreement(TRUTH, np.ones((2, 5), dtype=int))
    assert merged.rand_merge == pytest.approx(0.5) and merged.rand_split == 1
    assert merged.voi_merge == pytest.approx(1) and merged.voi_split == 0
    assert split.voi == pytest.approx(0.5) and merged.voi == pytest.approx(1)
    # Pairs of different voxels: 12 right ones, 56 joined.
    assert merged.adapted_rand_error == pytest.approx(1 - 2 * 24 / (24 + 56))


def test_without_truth_all_is_undefined() -> None:
    nothing = segment_agreement(np.zeros((3, 3), int), np.ones((3, 3), int))
    assert json.loads(json.dumps(nothing.as_dict(), allow_nan=False))["rand_split"] is None
    assert math.isnan(nothing.voi_merge) and math.isnan(nothing.adapted_rand_error)


@given(seed=seeds)
def test_renaming_changes_nothing_and_swapping_swaps_splits_and_mergers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(1, 5, (2, 6, 7))
    expected = segment_agreement(truth, predicted)
    renamed = segment_agreement(7 * truth + 3, 90 - predicted)
    swapped = segment_agreement(predicted, truth)
    assert renamed.as_dict() == pytest.approx(expected.as_dict())
    assert swapped.rand_split == expected.rand_merge and swapped.rand_merge == expected.rand_split
    assert swapped.voi_split == pytest.approx(expected.voi_merge)
    assert swapped.adapted_rand_error == pytest.approx(expected.adapted_rand_error)
    assert segment_agreement(truth, truth).adapted_rand_error == pytest.approx(0)


def test_wrong_input_is_answered_in_one_line() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        segment_agreement(TRUTH, TRUTH.T)
    with pytest.raises(ValueError, match="must hold integers, got int64 and float64"):
        segment_agreement(TRUTH, TRUTH * 1.0)


@needs_shared
def test_reference_numbers_are_met() -> None:
    folder = shared("goldens", "metrics")
    volumes = np.load(folder / "labels" / "em_labels.npz")
    cases = json.loads((folder / "expected" / "label_metrics.json").read_text())["instance"]
    for case, values in cases.items():
        base, change = case.split("/")
        found = segment_agreement(volumes[f"{base}_gt"], volumes[f"{base}_{change}"])
        for name in ("rand_split", "rand_merge", "voi_split", "voi_merge"):
            expected = values["funlib_gt0_removed"][name]
            assert getattr(found, name) == pytest.approx(expected, abs=1e-6), (case, name)
        expected = values["skimage_are_ignore_gt0"]["error"]
        assert found.adapted_rand_error == pytest.approx(expected, abs=1e-6), case
    assert len(cases) == 21
