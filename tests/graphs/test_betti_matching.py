"""Betti matching: against linear algebra on whole complexes, and against reference numbers."""

import json
from typing import Literal

import numpy as np
import pytest
from gudhi import CubicalComplex  # pyright: ignore[reportMissingImports]
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import seeds, tubes
from tests.shared_files import needs_shared, shared
from topodelin.graphs import betti_matching, mask_betti_numbers
from topodelin.graphs.persisting_loops import grown, persisting_loops

Connectivity = Literal["high", "low"]
connectivities = st.sampled_from(["high", "low"])


def slow_rank(values: np.ndarray, connectivity: Connectivity, dimension: int) -> int:
    """Features of the places at 0 that are features of those at 0 and 1."""
    kind = "top_dimensional_cells" if connectivity == "high" else "vertices"
    complex_ = CubicalComplex(**{kind: values})  # type: ignore[arg-type]
    complex_.compute_persistence(homology_coeff_field=2)
    bars = complex_.persistence_intervals_in_dimension(dimension)
    return sum(1 for birth, death in bars if birth == 0 and death >= 2)


def slow_matched(one: np.ndarray, two: np.ndarray, connectivity: Connectivity) -> tuple[int, ...]:
    """The definition: rank of both maps less that of their sum, from the two lying apart."""
    one, two = np.pad(one, 1), np.pad(two, 1)
    both = one | two
    layers = np.stack(
        [np.where(mask, level, 2.0) for mask, level in ((one, 0), (both, 1), (two, 0))]
    )
    flat = [np.where(mask, 0.0, np.where(both, 1.0, 2.0)) for mask in (one, two)]
    return tuple(
        sum(slow_rank(values, connectivity, dimension) for values in flat)
        - slow_rank(layers, connectivity, dimension)
        for dimension in range(one.ndim)
    )


@settings(max_examples=15)
@given(seed=seeds, connectivity=connectivities)
def test_matched_features_are_those_of_both_images(seed: int, connectivity: Connectivity) -> None:
    rng = np.random.default_rng(seed)
    for shape in ((7, 7), (4, 4, 5)):
        one = rng.random(shape) < rng.uniform(0.1, 0.95)
        for two in (rng.random(shape) < rng.uniform(0.1, 0.95), one ^ (rng.random(shape) < 0.15)):
            found = betti_matching(one, two, connectivity=connectivity)
            assert found.matched == slow_matched(one, two, connectivity)
            assert found.truth == mask_betti_numbers(one, connectivity=connectivity)


@settings(max_examples=2)
@given(seed=seeds, connectivity=connectivities)
def test_matched_features_of_tubes(seed: int, connectivity: Connectivity) -> None:
    one = tubes(seed, (6, 11, 11), 1.5)
    two = np.roll(tubes(seed, (6, 11, 11), 1.0), 1, axis=1)
    found = betti_matching(one, two, connectivity=connectivity)
    assert found.matched == slow_matched(one, two, connectivity)


@settings(max_examples=30)
@given(seed=seeds, connectivity=connectivities)
def test_a_part_grows_without_change_of_its_topology(seed: int, connectivity: Connectivity) -> None:
    rng = np.random.default_rng(seed)
    whole = np.pad(rng.random((5, 6, 7)) < rng.uniform(0.3, 1), 1)
    part = whole & (rng.random(whole.shape) < rng.uniform(0.2, 0.9))
    larger = grown(part, whole, connectivity)
    assert (part <= larger).all() and (larger <= whole).all()
    numbers = mask_betti_numbers(part, connectivity=connectivity)
    assert mask_betti_numbers(larger, connectivity=connectivity) == numbers
    loops = slow_rank(np.where(part, 0.0, np.where(whole, 1.0, 2.0)), connectivity, 1)
    assert persisting_loops(part, whole, connectivity) == loops
    assert persisting_loops(larger, whole, connectivity) == loops


def test_a_part_takes_in_a_ball_but_closes_no_ring() -> None:
    ball = np.pad(np.ones((5, 5, 5), dtype=bool), 1)
    seed = np.zeros_like(ball)
    seed[3, 3, 3] = True
    for connectivity in ("high", "low"):
        assert (grown(seed, ball, connectivity) == ball).all()
    ring = np.zeros((3, 7, 7), dtype=bool)
    ring[1, 1:6, 1:6] = True
    ring[1, 2:5, 2:5] = False
    part = ring.copy()
    part[1, 1, 2:5] = False
    assert grown(part, ring, "high").sum() == ring.sum() - 1
    assert persisting_loops(part, ring, "high") == 0


def test_diagonal_pixels_hold_together_in_one_connectivity_only() -> None:
    frame = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    assert betti_matching(frame, frame).matched == (1, 1)
    assert betti_matching(frame, frame, connectivity="low").matched == (4, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_any_number_that_is_not_zero_is_foreground(dtype: type) -> None:
    mask = np.array([[0, 3, 0], [0, 3, 0]], dtype=dtype)
    assert betti_matching(mask, mask != 0).matched == (1, 0)


def test_wrong_masks_are_answered_in_one_line() -> None:
    good = np.ones((3, 3))
    with pytest.raises(ValueError, match=r"must have one shape, got \(3, 3\) and \(3, 4\)"):
        betti_matching(good, np.ones((3, 4)))
    with pytest.raises(ValueError, match="`predicted` must be without NaN, got 9 of them"):
        betti_matching(good, np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match=r"`truth` must be \(y, x\) or \(z, y, x\), got 1"):
        betti_matching(np.ones(3), np.ones(3))


@needs_shared
def test_reference_numbers_are_met() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "voxel_metrics.json").read_text())["values"]
    hard = ("combo", "gaps3", "false_bridge", "empty_pred")  # of the volumes
    compared = 0
    for base in ("roads2d", "tree2d", "forest2d", "loops3d", "forest3d"):
        with np.load(folder / "rasters" / f"{base}.npz") as file:
            rasters = dict(file)
        changes = [case.split("/")[1] for case in cases if case.startswith(f"{base}/")]
        for change in changes if base.endswith("2d") else hard:
            case = f"{base}/{change}"
            if case not in cases:
                continue
            truth, predicted = rasters["gt_mask"], rasters[f"{change}_mask"]
            for connectivity in ("high", "low"):
                expected = cases[case].get(f"betti_matching_{connectivity}_conn")
                if expected is None:
                    continue
                found = betti_matching(truth, predicted, connectivity=connectivity)
                matched, lost = list(found.matched), list(found.unmatched_truth)
                if connectivity == "low":  # there the first component of all is not counted
                    (matched if predicted.any() else lost)[0] -= 1
                assert matched == expected["matched"], (case, connectivity)
                assert lost == expected["unmatched_gt"], (case, connectivity)
                compared += 1
    assert compared == 90
