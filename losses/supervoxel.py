r"""The supervoxel loss: mistakes that change what is connected weigh more than others.

A voxel-wise loss on the predicted foreground, in which the voxels of *critical components* count
extra: the connected mistakes that split a neurite, miss one, join two or make one up (see
`topodelin.losses.critical_components`).

Reference:
    A. Grim, J. Chandrashekar, U. Sümbül. Efficient connectivity-preserving instance segmentation
    with supervoxel-based loss function. AAAI 2025. arXiv:2501.01022.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from topodelin.losses.checks import check_distance_map, check_pair, full_precision
from topodelin.losses.critical_components import critical_voxels
from topodelin.losses.prepared import check_target, moved_record
from topodelin.losses.probability import RADIUS, SOFTNESS, check_map, foreground_probability
from topodelin.losses.trees import annotated_trees

Scalar = Float[Tensor, ""]

ALPHA = 0.5
BETA = 0.5
AIMS = ("truth", "extremes")


@dataclass(frozen=True)
class PreparedSupervoxel:
    """An annotation with its trees, made by [`SupervoxelLoss.prepare`][]."""

    target: Float[Tensor, "batch channel *space"]
    trees: Int32[Tensor, "batch channel *space"]
    """Tree of each voxel, from 1; 0 on the background. Stays on the host, where it is used."""

    def to(self, device: torch.device | str) -> "PreparedSupervoxel":
        """The same, ready for predictions on a device."""
        return moved_record(self, device)


def supervoxel_loss(
    prediction: Tensor,
    target: Tensor | PreparedSupervoxel,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    radius: float = RADIUS,
    softness: float = SOFTNESS,
    aim: str = "truth",
) -> Scalar:
    r"""The cross-entropy of the foreground, with critical components counted extra.

    $$L = \frac{1}{n} \Bigl( (1 - \alpha) \sum_u \ell_u
        + \alpha \beta \sum_{C\,missing} \sum_{u \in C} \ell_u
        + \alpha (1 - \beta) \sum_{C\,added} \sum_{u \in C} \ell_u \Bigr) \qquad
      \ell_u = H(q_u, P_u) - H(q_u, q_u)$$

    over all $n$ voxels of the batch, where $P$ is the [`foreground_probability`][] of the
    prediction, $q$ that of the annotation, and $H$ the cross-entropy of two Bernoulli variables.
    The components are constants for differentiation. Zero, with zero gradient, where the
    prediction is the truth.

    Args:
        prediction: predicted distance maps `(batch, channel, *space)`, of any float type, raw;
            each channel is an image of its own.
        target: annotated distance maps of the same shape, 0 on the centreline, clipped anywhere
            above `radius`; or what [`SupervoxelLoss.prepare`][] made of them.
        alpha: $\alpha$ in [0, 1], the share of the critical components; 1 leaves only these.
        beta: $\beta$ in [0, 1], the share of the missing ones among them.
        radius: the foreground is {distance <= radius}, for the components of both maps; trees are
            its connected pieces in the annotation, see [`annotated_trees`][].
        softness: of [`foreground_probability`][].
        aim: "truth" as above; "extremes" takes 1 inside the radius and 0 outside for $q$, as
            published, which is not zero at the truth: a voxel at the radius costs log 2.

    Computed from the logits, so the gradient does not vanish where the probability saturates.
    A float32 scalar, float64 for a float64 prediction.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    check_constants(alpha, beta, radius, softness, aim)
    truth = target.target if isinstance(target, PreparedSupervoxel) else target
    check_pair(prediction, truth)
    check_distance_map(truth, float("inf"))
    ready = target if isinstance(target, PreparedSupervoxel) else _prepared(truth, radius)
    weights = critical_weights(prediction, ready, alpha, beta, radius)
    p, t = full_precision(prediction, truth)
    logits, truth_logits = (radius - p) / softness, (radius - t) / softness
    if aim == "truth":
        q = foreground_probability(t, radius=radius, softness=softness)
        floor = binary_cross_entropy_with_logits(truth_logits, q, reduction="none")
        losses = binary_cross_entropy_with_logits(logits, q, reduction="none") - floor
    else:
        inside = (t <= radius).to(p)
        losses = binary_cross_entropy_with_logits(logits, inside, reduction="none")
    return (weights.to(p) * losses).mean()


class SupervoxelLoss(nn.Module):
    """[`supervoxel_loss`][] with its constants fixed."""

    def __init__(
        self,
        *,
        alpha: float = ALPHA,
        beta: float = BETA,
        radius: float = RADIUS,
        softness: float = SOFTNESS,
        aim: str = "truth",
    ) -> None:
        super().__init__()
        check_constants(alpha, beta, radius, softness, aim)
        self.alpha = alpha
        self.beta = beta
        self.radius = radius
        self.softness = softness
        self.aim = aim

    def prepare(self, target: Tensor) -> PreparedSupervoxel:
        """The trees of an annotation, once; give the result to `forward` in its place."""
        check_target(target)
        return _prepared(target, self.radius)

    def forward(self, prediction: Tensor, target: Tensor | PreparedSupervoxel) -> Scalar:
        return supervoxel_loss(
            prediction,
            target,
            alpha=self.alpha,
            beta=self.beta,
            radius=self.radius,
            softness=self.softness,
            aim=self.aim,
        )


def critical_weights(
    prediction: Tensor, ready: PreparedSupervoxel, alpha: float, beta: float, radius: float
) -> Float[Tensor, "batch channel *space"]:
    """How much each voxel counts, on the device of the prediction; no gradient flows through."""
    predicted = (prediction.detach() <= radius).cpu().numpy()
    trees = ready.trees.numpy()
    weights = np.full(predicted.shape, 1 - alpha, np.float32)
    for image in np.ndindex(*predicted.shape[:2]):
        critical = critical_voxels(predicted[image], trees[image])
        weights[image][critical.missing] += alpha * beta
        weights[image][critical.added] += alpha * (1 - beta)
    return torch.from_numpy(weights).to(prediction.device, non_blocking=True)


def check_constants(alpha: float, beta: float, radius: float, softness: float, aim: str) -> None:
    """Refuse constants outside their range."""
    check_map(radius, softness)
    for name, share in (("alpha", alpha), ("beta", beta)):
        if not 0 <= share <= 1:
            raise ValueError(f"`{name}` must be a share between 0 and 1, got {share}")
    if aim not in AIMS:
        raise ValueError(f"`aim` must be one of {', '.join(map(repr, AIMS))}, got {aim!r}")


def _prepared(target: Tensor, radius: float) -> PreparedSupervoxel:
    return PreparedSupervoxel(target, torch.from_numpy(annotated_trees(target, radius)))
