"""Completeness, correctness and quality of a skeleton made of voxels.

As `centreline_quality`, with voxels for pieces: a voxel is matched when a voxel of the other
skeleton lies within `tolerance`, Euclidean. Masks must be one voxel thin; of thick ones the
numbers weigh thick parts more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, json_ready, ratio
from topodelin.graphs.spacing import check_spacing


@dataclass(frozen=True)
class VoxelQuality:
    """Numbers of voxels, to be added up over several images.

    Args:
        truth, matched_truth: of the true skeleton, and of those near the predicted one.
        predicted, matched_predicted: the same the other way round.
        tolerance: the parameter, µm or voxels.
    """

    truth: int
    matched_truth: int
    predicted: int
    matched_predicted: int
    tolerance: float

    @property
    def completeness(self) -> float:
        """Share of the truth that was found, 0 to 1; NaN without truth."""
        return ratio(self.matched_truth, self.truth)

    @property
    def correctness(self) -> float:
        """Share of the prediction that is true; 0 without one, NaN without truth."""
        if not self.truth:
            return float("nan")
        return self.matched_predicted / self.predicted if self.predicted else 0.0

    @property
    def quality(self) -> float:
        """ck / (c + k - ck) of the two, 0 to 1; NaN without truth."""
        c, k = self.completeness, self.correctness
        return 0.0 if c * k == 0 else c * k / (c + k - c * k)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "voxel_completeness": self.completeness,
                "voxel_correctness": self.correctness,
                "voxel_quality": self.quality,
                "truth_voxels": self.truth,
                "matched_truth_voxels": self.matched_truth,
                "predicted_voxels": self.predicted,
                "matched_predicted_voxels": self.matched_predicted,
                "tolerance": self.tolerance,
            }
        )


def voxel_quality(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    tolerance: float,
    spacing: Sequence[float] | None = None,
) -> VoxelQuality:
    """Compare two skeletons of one shape.

    Args:
        truth: (y, x) or (z, y, x), the skeleton where not 0.
        predicted: the same shape.
        tolerance: how far apart matched voxels may lie: µm with a spacing, voxels without.
        spacing: µm per voxel, (z, y, x); of an image the last two are taken.
    """
    check_not_negative(tolerance=tolerance)
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim not in (2, 3):
        raise ValueError(
            "`truth` and `predicted` must have one shape, (y, x) or (z, y, x), got "
            f"{truth.shape} and {predicted.shape}"
        )
    size = np.ones(3) if spacing is None else np.array(check_spacing(spacing))
    one, two = (_voxels(mask) * size[-truth.ndim :] for mask in (truth, predicted))
    limit = tolerance + SLACK
    return VoxelQuality(
        len(one), _near(one, two, limit), len(two), _near(two, one, limit), float(tolerance)
    )


def _voxels(mask: np.ndarray) -> np.ndarray:
    places = np.flatnonzero(np.ascontiguousarray(mask if mask.dtype == bool else mask != 0))
    return np.stack(np.unravel_index(places, mask.shape), axis=1)


def _near(voxels: np.ndarray, others: np.ndarray, limit: float) -> int:
    """How many have one of the others within the limit."""
    if not len(voxels) or not len(others):
        return 0
    bound = float(np.nextafter(limit, np.inf))
    distances, _ = KDTree(others, balanced_tree=False).query(voxels, distance_upper_bound=bound)
    return int((distances <= limit).sum())
