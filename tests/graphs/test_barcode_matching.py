"""Betti matching of grey images: by hand, by law, against gudhi and against reference numbers."""

import json
import math
from typing import Literal

import numpy as np
import pytest
from gudhi import CubicalComplex  # pyright: ignore[reportMissingImports]
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import seeds
from tests.shared_files import needs_shared, shared
from topodelin.graphs import betti_matching
from topodelin.graphs.barcode_matching import match_barcodes
from topodelin.graphs.pooling import pooled

Connectivity = Literal["high", "low"]
connectivities = st.sampled_from(["high", "low"])
shapes = st.sampled_from([(7, 8), (4, 4, 4)])


def test_two_blobs_joined_at_a_lower_level() -> None:
    truth = np.array([[0.9, 0.2, 0.8, 0.0, 0.0]])
    predicted = np.array([[0.7, 0.6, 0.8, 0.0, 0.3]])
    found = match_barcodes(truth, predicted)
    # In both images together 0.9 and 0.8 join at 0.6; there 0.8 of the truth ends, and 0.7 of the
    # prediction, so these two are one feature. The highest of both are the other one.
    np.testing.assert_array_equal(found.matched[0], [[0.9, 0, 0.8, 0], [0.8, 0.2, 0.7, 0.6]])
    assert found.unmatched_predicted[0].tolist() == [[0.3, 0.0]]
    assert len(found.unmatched_truth[0]) == 0 and found.error == 1
    assert found.squared_distance == pytest.approx(0.1**2 + 0.1**2 + 0.4**2 + 0.3**2 / 2)
    assert found.as_dict()["matched_components"] == 2


def test_a_loop_that_one_image_closes_late() -> None:
    truth = np.ones((3, 3))
    truth[1, 1] = 0.25
    predicted = truth.copy()
    predicted[0, 1] = 0.5
    for connectivity in ("high", "low"):
        found = match_barcodes(truth, predicted, connectivity=connectivity)
        np.testing.assert_array_equal(found.matched[1], [[1, 0.25, 0.5, 0.25]])
    nothing = match_barcodes(truth, np.zeros((3, 3)))
    assert nothing.error == 2 and not any(len(bars) for bars in nothing.matched)
    assert match_barcodes(truth * 0, truth * 0).error == 0


@settings(max_examples=15)
@given(seed=seeds, connectivity=connectivities, shape=shapes)
def test_bars_are_those_of_gudhi_and_a_swap_swaps(
    seed: int, connectivity: Connectivity, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = np.round(rng.random((2, *shape)), 1 if seed % 2 else 9)
    found = match_barcodes(truth, predicted, connectivity=connectivity)
    kind = "top_dimensional_cells" if connectivity == "high" else "vertices"
    complex_ = CubicalComplex(**{kind: -np.pad(truth, 1)})  # type: ignore[arg-type]
    complex_.compute_persistence(homology_coeff_field=2)
    for dimension in range(truth.ndim):
        bars = complex_.persistence_intervals_in_dimension(dimension)
        expected = [(-birth, 0.0 if math.isinf(death) else -death) for birth, death in bars]
        mine = np.concatenate([found.matched[dimension][:, :2], found.unmatched_truth[dimension]])
        assert sorted(mine.tolist()) == sorted([b, d] for b, d in expected if b > d)
    swapped = match_barcodes(predicted, truth, connectivity=connectivity)
    for here, there in zip(found.matched, swapped.matched, strict=True):
        assert sorted(here.tolist()) == sorted(np.roll(there, 2, axis=1).tolist())
    assert match_barcodes(truth, truth, connectivity=connectivity).squared_distance == 0


@settings(max_examples=15)
@given(seed=seeds, connectivity=connectivities, shape=shapes)
def test_of_masks_no_fewer_match_than_without_an_order(
    seed: int, connectivity: Connectivity, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random((2, *shape)) < rng.uniform(0.2, 0.9)
    found = match_barcodes(truth, predicted, connectivity=connectivity)
    other = betti_matching(truth, predicted, connectivity=connectivity)
    for bars, number in zip(found.matched, other.matched, strict=True):
        assert len(bars) >= number and (bars == (1, 0, 1, 0)).all()
    for lost, bars, number in zip(found.unmatched_truth, found.matched, other.truth, strict=True):
        assert len(lost) + len(bars) == number


def test_several_images_pool_to_the_features_of_all() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.random((3, 2, 5, 5))
    each = [match_barcodes(truth, predicted) for truth, predicted in pairs]
    whole = pooled(each)
    assert whole.error == sum(found.error for found in each)
    assert whole.squared_distance == pytest.approx(sum(found.squared_distance for found in each))


def test_wrong_images_are_answered_in_one_line() -> None:
    good = np.ones((2, 2))
    with pytest.raises(ValueError, match="must have one shape"):
        match_barcodes(good, np.ones((2, 3)))
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="`predicted` must hold finite numbers from 0"):
            match_barcodes(good, good * bad)
    with pytest.raises(ValueError, match=r"`truth` must be \(y, x\) or \(z, y, x\), got 1"):
        match_barcodes(np.ones(2), np.ones(2))


@needs_shared
def test_reference_numbers_of_masks_are_met() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "voxel_metrics.json").read_text())["values"]
    with np.load(folder / "rasters" / "roads2d.npz") as rasters:
        found = match_barcodes(rasters["gt_mask"], rasters["combo_mask"])
    expected = cases["roads2d/combo"]["betti_matching_high_conn"]
    assert [len(bars) for bars in found.matched] == expected["matched"]
    assert found.error == expected["betti_matching_error"]
