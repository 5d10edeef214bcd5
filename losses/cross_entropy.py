r"""Cross-entropy of classes, and its focal form, with voxels that count more, less or not at all.

References:
    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar. Focal loss for dense object detection. ICCV
    2017. arXiv:1708.02002.
"""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from topodelin.losses.labels import IGNORE, LabelTarget, as_label_target

Scalar = Float[Tensor, ""]


def cross_entropy_loss(
    prediction: Tensor,
    target: Tensor | LabelTarget,
    *,
    gamma: float = 0.0,
    reduction: str = "mean",
) -> Scalar:
    r"""Weigh how improbable the true class of each voxel was said to be.

    $$L = \frac1N \sum_u w_u\, (1 - p_u)^\gamma\, (-\ln p_u)$$

    with $p_u$ the softmax (a sigmoid for one channel) of the true class of voxel $u$ and $N$ the
    number of voxels that are not ignored; without the division for "sum". The weights are not
    normalised: a map of twos doubles the loss.

    Args:
        prediction: logits, `(batch, classes, *space)`; one channel is the logit of class 1.
        target: the classes, or a [`LabelTarget`][] with weights.
        gamma: 0 is the cross-entropy; larger values let voxels that are told well fade out.
        reduction: "mean" or "sum".

    Zero, with a gradient of zero, where all is ignored. A float32 scalar, float64 for a float64
    prediction.
    """
    if not (math.isfinite(gamma) and gamma >= 0):
        raise ValueError(f"`gamma` must be 0 or more, got {gamma}")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"`reduction` must be 'mean' or 'sum', got {reduction!r}")
    ready = as_label_target(prediction, target)
    judged = ready.classes != IGNORE
    log_p = _log_probability(prediction, ready.classes)
    each = -log_p if gamma == 0 else -log_p * (-log_p.expm1()).clamp(min=0) ** gamma
    if ready.weights is not None:
        each = each * ready.weights.to(each)
    total = torch.where(judged, each, 0.0).sum()
    return total / judged.sum().clamp(min=1) if reduction == "mean" else total


def _log_probability(prediction: Tensor, classes: Tensor) -> Tensor:
    """Of the true class of every voxel, `(batch, *space)`; of class 0 where ignored."""
    x = prediction.to(torch.promote_types(prediction.dtype, torch.float32))
    true = classes.clamp(min=0)
    if x.shape[1] == 1:
        return logsigmoid(torch.where(true == 1, x[:, 0], -x[:, 0]))
    return x.log_softmax(1).gather(1, true[:, None])[:, 0]


class CrossEntropyLoss(nn.Module):
    """[`cross_entropy_loss`][] with its reduction fixed."""

    takes: ClassVar[str] = "labels"

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor | LabelTarget) -> Scalar:
        return cross_entropy_loss(prediction, target, reduction=self.reduction)


class FocalLoss(nn.Module):
    """[`cross_entropy_loss`][] with `gamma` above 0: what is told well already counts for less."""

    takes: ClassVar[str] = "labels"

    def __init__(self, *, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__()
        self.gamma, self.reduction = gamma, reduction

    def forward(self, prediction: Tensor, target: Tensor | LabelTarget) -> Scalar:
        return cross_entropy_loss(prediction, target, gamma=self.gamma, reduction=self.reduction)
