r"""Skeleton of one mask inside the other: skeleton recall, and clDice.

$$\text{recall} = \frac{|S_T \cap P|}{|S_T|} \qquad
  \text{precision} = \frac{|S_P \cap T|}{|S_P|} \qquad
  \text{clDice} = \frac{2\,\text{recall}\cdot\text{precision}}{\text{recall} + \text{precision}}$$

of the masks $T$, $P$ and their skeletons. They see length that is missing or superfluous. They do
not see what a mask of the same radius covers: small gaps, small displacements, false contacts.

The numbers depend on how masks are thinned; here that is `skimage.morphology.skeletonize`, unless
skeletons are given.

References:
    S. Shit et al. clDice: a novel topology-preserving loss function for tubular structure
    segmentation. CVPR 2021.
    Y. Kirchhoff et al. Skeleton recall loss for connectivity conserving and resource efficient
    segmentation of thin tubular structures. ECCV 2024.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.betti import as_mask
from topodelin.graphs.checks import json_ready, ratio


@dataclass(frozen=True)
class SkeletonOverlap:
    """Voxels of the skeletons, to be added up over several images.

    Args:
        truth, truth_found: of the skeleton of the truth, and of those in the predicted mask.
        predicted, predicted_true: the same the other way round.
    """

    truth: int
    truth_found: int
    predicted: int
    predicted_true: int

    @property
    def recall(self) -> float:
        """Share of the true skeleton that was found, 0 to 1; NaN without truth."""
        return ratio(self.truth_found, self.truth)

    @property
    def precision(self) -> float:
        """Share of the predicted skeleton that is true; 0 without one, NaN without truth."""
        if not self.truth:
            return float("nan")
        return self.predicted_true / self.predicted if self.predicted else 0.0

    @property
    def cldice(self) -> float:
        """Harmonic mean of the two, 0 to 1; NaN without truth."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "cldice": self.cldice,
                "skeleton_recall": self.recall,
                "skeleton_precision": self.precision,
                "skeleton_truth": self.truth,
                "skeleton_truth_found": self.truth_found,
                "skeleton_predicted": self.predicted,
                "skeleton_predicted_true": self.predicted_true,
            }
        )


def skeleton_overlap(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    truth_skeleton: np.ndarray | None = None,
    predicted_skeleton: np.ndarray | None = None,
) -> SkeletonOverlap:
    """Compare two masks through their skeletons.

    Args:
        truth: (y, x) or (z, y, x), foreground where not 0.
        predicted: the same shape.
        truth_skeleton, predicted_skeleton: the same shape; thinned from the masks by default.
    """
    truth, predicted = as_mask(truth, "truth"), as_mask(predicted, "predicted")
    skeletons = [
        _thin(mask) if skeleton is None else as_mask(skeleton, f"{name}_skeleton")
        for mask, skeleton, name in (
            (truth, truth_skeleton, "truth"),
            (predicted, predicted_skeleton, "predicted"),
        )
    ]
    for name, mask in (
        ("predicted", predicted),
        ("truth_skeleton", skeletons[0]),
        ("predicted_skeleton", skeletons[1]),
    ):
        if mask.shape != truth.shape:
            raise ValueError(
                f"`{name}` must have the shape of `truth`, {truth.shape}, got {mask.shape}"
            )
    return SkeletonOverlap(
        int(skeletons[0].sum()),
        int((skeletons[0] & predicted).sum()),
        int(skeletons[1].sum()),
        int((skeletons[1] & truth).sum()),
    )


def _thin(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        return mask
    from skimage.morphology import skeletonize  # pyright: ignore[reportMissingImports]

    return np.asarray(skeletonize(mask)) != 0
