"""Scores of masks: skeletons, voxel quality, Betti matching."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.ndimage import label

from tests.graphs.drawings import seeds
from tests.shared_files import needs_shared, shared
from topodelin.graphs import (
    betti_matching,
    confusion,
    mask_betti_numbers,
    skeleton_overlap,
    voxel_quality,
)

LINE = np.zeros((9, 20), dtype=bool)
LINE[4] = True
THICK = np.zeros((9, 20), dtype=bool)
THICK[3:6] = True
GAP = LINE.copy()
GAP[:, 8:13] = False


def test_skeletons_by_hand() -> None:
    found = skeleton_overlap(THICK, GAP, truth_skeleton=LINE, predicted_skeleton=GAP)
    assert (found.truth, found.truth_found, found.predicted_true) == (20, 15, 15)
    assert found.recall == 0.75 and found.precision == 1 and found.cldice == pytest.approx(6 / 7)
    assert skeleton_overlap(THICK, THICK).cldice == 1
    nothing = skeleton_overlap(THICK, np.zeros_like(THICK))
    assert nothing.cldice == nothing.recall == nothing.precision == 0
    assert math.isnan(skeleton_overlap(np.zeros_like(THICK), THICK).cldice)
    with pytest.raises(ValueError, match="`predicted` must have the shape of `truth`"):
        skeleton_overlap(THICK, THICK.T)
    with pytest.raises(ValueError, match=r"must be \(y, x\) or \(z, y, x\)"):
        skeleton_overlap(np.ones(3), np.ones(3))


def test_voxel_quality_by_hand() -> None:
    found = voxel_quality(LINE, GAP, tolerance=2.0)
    assert (found.matched_truth, found.truth) == (19, 20) and found.correctness == 1
    assert found.quality == pytest.approx(0.95)
    shifted = np.roll(LINE, 2, axis=0)
    assert voxel_quality(LINE, shifted, tolerance=2.0).quality == 1
    assert voxel_quality(LINE, shifted, tolerance=1.9).quality == 0
    assert voxel_quality(LINE, shifted, tolerance=1.0, spacing=(9, 0.5, 3)).quality == 1
    nothing = np.zeros_like(LINE)
    assert voxel_quality(LINE, nothing, tolerance=2.0).quality == 0
    assert math.isnan(voxel_quality(nothing, LINE, tolerance=2.0).quality)
    assert voxel_quality(nothing, nothing, tolerance=2.0).as_dict()["voxel_quality"] is None
    with pytest.raises(ValueError, match="must have one shape"):
        voxel_quality(LINE, LINE.T, tolerance=2.0)


@given(seed=seeds)
def test_voxel_quality_is_that_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = rng.random((2, 6, 7, 8)) < 0.02
    size = np.array([2.0, 1.0, 0.5])
    a, b = np.argwhere(one) * size, np.argwhere(two) * size
    near = np.linalg.norm(a[:, None] - b[None], axis=2) <= 2
    found = voxel_quality(one, two, tolerance=2.0, spacing=(2.0, 1.0, 0.5))
    assert (found.matched_truth, found.matched_predicted) == (near.any(1).sum(), near.any(0).sum())


def _ring(at: int) -> np.ndarray:
    image = np.zeros((9, 30), dtype=bool)
    image[2:7, at : at + 5] = True
    image[3:6, at + 1 : at + 4] = False
    return image


def test_a_lost_loop_and_a_false_one_do_not_cancel() -> None:
    found = betti_matching(_ring(2) | _ring(20), _ring(2) | _ring(12))
    assert found.matched == (1, 1) and found.error == 4
    assert found.unmatched_truth == found.unmatched_predicted == (1, 1)
    volume = betti_matching(_ring(2)[None] | _ring(20)[None], _ring(2)[None] | _ring(12)[None])
    assert volume.matched == (1, 1, 0) and volume.error == 4
    assert volume.as_dict()["unmatched_truth_loops"] == 1
    shell = np.ones((5, 5, 12), dtype=bool)
    shell[2, 2, 2] = False
    other = np.ones((5, 5, 12), dtype=bool)
    other[2, 2, 9] = False
    assert betti_matching(shell, shell).matched == (1, 0, 1)
    assert betti_matching(shell, other).matched == (1, 0, 0)
    nothing = np.zeros_like(shell)
    assert betti_matching(shell, nothing).error == 2 and betti_matching(nothing, nothing).error == 0
    with pytest.raises(ValueError, match="must have one shape"):
        betti_matching(shell, shell.T)


@settings(max_examples=20)
@given(seed=seeds)
def test_betti_matching_keeps_its_laws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for shape in ((9, 9), (4, 4, 5)):
        one, two = rng.random((2, *shape)) < rng.uniform(0.2, 0.9)
        found, swapped = betti_matching(one, two), betti_matching(two, one)
        assert betti_matching(one, one).matched == mask_betti_numbers(one)
        assert found.matched == swapped.matched
        assert min(found.matched + found.unmatched_truth + found.unmatched_predicted) >= 0
        inside = betti_matching(one & two, two)  # the union is the larger mask
        assert inside.matched[0] == len(np.unique(_labels(two)[one & two]))
    one, two = rng.random((2, 8, 8)) < 0.6  # one plane of a volume is an image
    flat, thin = betti_matching(one, two), betti_matching(one[None], two[None])
    assert thin.matched == (*flat.matched, 0)


def _labels(mask: np.ndarray) -> np.ndarray:
    found: Any = label(mask, np.ones((3,) * mask.ndim))
    return found[0]


@needs_shared
def test_reference_numbers_are_met() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "voxel_metrics.json").read_text())["values"]
    bases = sorted({case.split("/")[0] for case in cases})
    rasters = {base: dict(np.load(folder / "rasters" / f"{base}.npz")) for base in bases}
    matched = 0
    for case, values in cases.items():
        base, change = case.split("/")
        truth, predicted = (rasters[base][f"{name}_mask"] for name in ("gt", change))
        thin = [rasters[base][f"{name}_skel"] for name in ("gt", change)]
        for tolerance in (1, 2, 3):
            found = voxel_quality(thin[0], thin[1], tolerance=tolerance)
            for name in ("completeness", "correctness", "quality"):
                expected = values[f"ccq_slack{tolerance}"][name]
                assert getattr(found, name) == pytest.approx(expected, abs=1e-6), (case, name)
        table = confusion(truth, predicted, labels=(0, 1))
        assert table.dice(1) == pytest.approx(values["dice"], abs=1e-6), case
        assert table.iou(1) == pytest.approx(values["iou"], abs=1e-6), case
        assert table.pixel_error == pytest.approx(values["pixel_error"], abs=1e-6), case
        given = skeleton_overlap(
            truth, predicted, truth_skeleton=thin[0], predicted_skeleton=thin[1]
        )
        assert given.recall == pytest.approx(values["skeleton_recall"], abs=1e-6), case
        for found, expected in (
            (given, values["cldice_given_skeleton"]["cldice"]),
            (skeleton_overlap(truth, predicted), values["cldice_skimage"]["cldice"]),
        ):
            assert found.cldice == pytest.approx(expected or 0.0, abs=1e-6), case
        expected = values.get("betti_matching_high_conn")
        if truth.ndim == 2 and expected is not None:
            found = betti_matching(truth, predicted)
            assert found.matched == tuple(expected["matched"]), case
            assert found.error == expected["betti_matching_error"], case
            matched += 1
    assert len(cases) == 71 and matched > 30
