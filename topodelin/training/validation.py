"""Judging a network by what it is for: the centrelines traced from whole stacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from topodelin.graphs import NeuriteGraph, centreline_quality, graph_from_mask
from topodelin.models import predict_tiled
from topodelin.training.config import TrainingConfig
from topodelin.training.stacks import Stack

MOST_FILLED = 0.25  # share of a stack; a mask that fills more holds no centrelines to thin


@dataclass(frozen=True)
class Score:
    """Matched and total lengths at one threshold, summed over stacks, µm.

    Args:
        threshold: distance below which a voxel was taken for neurite, finest voxel edges.
        matched_truth, truth_length: of the annotation.
        matched_predicted, predicted_length: of the tracing.
    """

    threshold: float
    matched_truth: float = 0.0
    truth_length: float = 0.0
    matched_predicted: float = 0.0
    predicted_length: float = 0.0

    @property
    def completeness(self) -> float:
        """Share of the truth that was found; NaN without truth."""
        return self.matched_truth / self.truth_length if self.truth_length else float("nan")

    @property
    def correctness(self) -> float:
        """Share of the tracing that is true; 0 where nothing was traced."""
        return self.matched_predicted / self.predicted_length if self.predicted_length else 0.0

    @property
    def quality(self) -> float:
        r"""$ck / (c + k - ck)$ of completeness $c$ and correctness $k$; 0 where either is."""
        c, k = self.completeness, self.correctness
        return c * k / (c + k - c * k) if c or k else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "quality": self.quality,
            "completeness": self.completeness,
            "correctness": self.correctness,
            "threshold": self.threshold,
        }


def validate(
    networks: Sequence[nn.Module], stacks: Sequence[Stack], config: TrainingConfig
) -> list[Score]:
    """The score of each threshold of the configuration on all stacks together.

    The maps of several networks are averaged. Each stack is predicted tile by tile; the voxels
    nearer than a threshold are thinned to a graph and compared with the truth. Lengths are summed
    before they are divided, so that a large stack counts for more than a small one. A threshold
    that selects more than a quarter of a stack traces nothing in it.
    """
    lengths = {threshold: np.zeros(4) for threshold in config.validation.thresholds}
    tile = config.validation.cube or config.sampling.crop
    for stack in stacks:
        image = stack.read(stack.image.box)
        each = [
            predict_tiled(
                network,
                image,
                d_max=config.target.d_max,
                tile=tile,
                margin=config.validation.margin,
            )
            for network in networks
        ]
        distances = np.mean(each, axis=0)
        for threshold in config.validation.thresholds:
            predicted = trace(
                distances < threshold,
                stack.image.spacing,
                min_branch_um=config.validation.min_branch_um,
            )
            found = centreline_quality(
                stack.truth, predicted, tolerance=config.validation.tolerance_um
            )
            lengths[threshold] += (
                found.matched_truth,
                found.truth_length,
                found.matched_predicted,
                found.predicted_length,
            )
    return [Score(threshold, *sums.tolist()) for threshold, sums in lengths.items()]


def best_score(scores: Sequence[Score], slack: float = 0.0) -> Score:
    """The score of the smallest threshold whose quality is within `slack` of the best.

    Wide masks fuse what lies close together, and a stack that is harder than those judged shows it
    first; so where several thresholds are about as good, the smallest is the safest.
    """
    best = max(score.quality for score in scores)
    good = [score for score in scores if score.quality >= best - slack]
    return min(good, key=lambda score: score.threshold)


def trace(
    mask: np.ndarray, spacing: tuple[float, float, float], *, min_branch_um: float
) -> NeuriteGraph:
    """The centrelines of a mask; none where it fills too much of the stack to be neurites."""
    if np.count_nonzero(mask) > MOST_FILLED * mask.size:
        return NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    return graph_from_mask(mask, spacing, min_branch_um=min_branch_um)
