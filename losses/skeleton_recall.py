r"""Skeleton recall: how probable the foreground is along the annotated centreline.

The cheapest of the losses that see connectivity: a thin tube around the annotated centreline is
drawn once, and the mean predicted probability in it must be 1. It says nothing of false branches;
add it to a voxel-wise loss that does.

References:
    Y. Kirchhoff, M. R. Rokuss, S. Roy, B. Kovacs, C. Ulrich, T. Wald, M. Zenk, P. Vollmuth,
    J. Kleesiek, F. Isensee, K. Maier-Hein. Skeleton recall loss for connectivity conserving and
    resource efficient segmentation of thin tubular structures. ECCV 2024. arXiv:2404.03010.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from topodelin.losses.checks import check_distance_map, check_pair
from topodelin.losses.prepared import check_prediction, check_target, moved_record
from topodelin.losses.probability import RADIUS, SOFTNESS, check_map, foreground_probability

Scalar = Float[Tensor, ""]

TUBE_RADIUS = 1.0


@dataclass(frozen=True)
class PreparedSkeletonRecall:
    """The voxels of the tube around the annotated centreline.

    Args:
        voxels: indices into the flattened batch, int64.
        shape: of the batch.
    """

    voxels: Int[Tensor, " n"]
    shape: tuple[int, ...]

    def to(self, device: torch.device | str) -> "PreparedSkeletonRecall":
        """The same on a device."""
        return moved_record(self, device)


def skeleton_recall_loss(
    prediction: Tensor,
    target: Tensor | PreparedSkeletonRecall,
    *,
    tube_radius: float = TUBE_RADIUS,
    radius: float = RADIUS,
    softness: float = SOFTNESS,
) -> Scalar:
    r"""One minus the mean probability in the tube around the annotated centreline.

    $$L = 1 - \frac{1}{|T|} \sum_{u \in T} P_u,\quad T = \{u : t_u \le \rho\}$$

    with the sum over the whole batch and $P$ the [`foreground_probability`][] of the prediction.

    Args:
        prediction: raw predicted distance maps `(batch, channel, *space)`, of any float type.
        target: $t$, annotated distance maps of the same shape, 0 on the centreline, clipped
            anywhere above `tube_radius`; or what [`prepare_skeleton_recall`][] made of them.
        tube_radius: $\rho$, in units of the distance map. The published program dilates a
            skeleton twice, 2.0 here, for vessels thicker than the tube; with the foreground of
            `radius` 2 a tube of 1 stays inside it.
        radius, softness: of [`foreground_probability`][].

    Zero, with zero gradient, where nothing is annotated. At the truth, 0.07 or less with the
    defaults, since the probability of a true map is not 1. Float32, float64 for a float64
    prediction.
    """
    check_tube(tube_radius)
    if isinstance(target, PreparedSkeletonRecall):
        check_prediction(prediction, target.shape, target.voxels.device)
        ready = target
    else:
        check_pair(prediction, target)
        check_distance_map(target, math.inf)
        ready = _prepared(target, tube_radius)
    inside = prediction.reshape(-1).index_select(0, ready.voxels)
    recalled = foreground_probability(inside, radius=radius, softness=softness)
    return (1 - recalled).sum() / max(len(ready.voxels), 1)


def prepare_skeleton_recall(
    target: Tensor, *, tube_radius: float = TUBE_RADIUS
) -> PreparedSkeletonRecall:
    """The tube of an annotated distance map, for a data loader to find."""
    check_tube(tube_radius)
    check_target(target)
    return _prepared(target, tube_radius)


class SkeletonRecallLoss(nn.Module):
    """[`skeleton_recall_loss`][] with its constants fixed."""

    def __init__(
        self,
        *,
        tube_radius: float = TUBE_RADIUS,
        radius: float = RADIUS,
        softness: float = SOFTNESS,
    ) -> None:
        super().__init__()
        check_tube(tube_radius)
        check_map(radius, softness)
        self.tube_radius = tube_radius
        self.radius = radius
        self.softness = softness

    def prepare(self, target: Tensor) -> PreparedSkeletonRecall:
        """Do what depends on the annotation alone; `forward` takes it in the target's place."""
        return prepare_skeleton_recall(target, tube_radius=self.tube_radius)

    def forward(self, prediction: Tensor, target: Tensor | PreparedSkeletonRecall) -> Scalar:
        return skeleton_recall_loss(
            prediction,
            target,
            tube_radius=self.tube_radius,
            radius=self.radius,
            softness=self.softness,
        )


def check_tube(tube_radius: float) -> None:
    """Refuse a tube that could hold no voxel."""
    if not 0 <= tube_radius < math.inf:
        raise ValueError(f"`tube_radius` must be 0 or more and finite, got {tube_radius}")


def _prepared(target: Tensor, tube_radius: float) -> PreparedSkeletonRecall:
    voxels = (target.reshape(-1) <= tube_radius).nonzero()[:, 0]
    return PreparedSkeletonRecall(voxels, tuple(target.shape))
