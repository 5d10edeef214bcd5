r"""Overlap of regions: the Dice loss, and its sum with the cross-entropy.

References:
    F. Milletari, N. Navab, S.-A. Ahmadi. V-Net: fully convolutional neural networks for volumetric
    medical image segmentation. 3DV 2016. arXiv:1606.04797.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.cross_entropy import cross_entropy_loss
from topodelin.losses.labels import IGNORE, LabelTarget, as_label_target

Scalar = Float[Tensor, ""]

EPSILON = 1e-6


def dice_loss(
    prediction: Tensor, target: Tensor | LabelTarget, *, epsilon: float = EPSILON
) -> Scalar:
    r"""How little the told and the true regions overlap.

    $$L = 1 - \frac1C \sum_c \frac{2 \sum_u w_u p_{uc} t_{uc}}
      {\sum_u w_u p_{uc}^2 + \sum_u w_u t_{uc}^2 + \epsilon}$$

    over the whole batch, with $p$ the softmax and $t$ the true classes as 0 and 1. A prediction of
    one channel has one class, the foreground, and $p$ is its sigmoid. Classes that no judged voxel
    has are left out.

    Args:
        prediction: logits, `(batch, classes, *space)`; one channel is the logit of class 1.
        target: the classes, or a [`LabelTarget`][] with weights.
        epsilon: keeps empty regions from dividing by 0.

    Zero, with a gradient of zero, where no class is left.
    """
    if not epsilon > 0:
        raise ValueError(f"`epsilon` must be positive, got {epsilon}")
    ready = as_label_target(prediction, target)
    x = prediction.to(torch.promote_types(prediction.dtype, torch.float32))
    told = x.sigmoid() if x.shape[1] == 1 else x.softmax(1)
    numbers = [1] if x.shape[1] == 1 else list(range(x.shape[1]))
    share = (ready.classes != IGNORE).to(x.dtype)
    if ready.weights is not None:
        share = share * ready.weights.to(x)
    true = torch.stack([ready.classes == k for k in numbers], dim=1).to(x.dtype)
    share = share[:, None]
    axes = [0, *range(2, x.ndim)]
    both = (share * told * true).sum(axes)
    sizes = (share * told.square()).sum(axes) + (share * true).sum(axes)
    known = (share * true).sum(axes) > 0
    each = torch.where(known, 1 - 2 * both / (sizes + epsilon), 0.0)
    return each.sum() / known.sum().clamp(min=1)


class DiceLoss(nn.Module):
    """[`dice_loss`][] with its constant fixed."""

    takes: ClassVar[str] = "labels"

    def __init__(self, *, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, prediction: Tensor, target: Tensor | LabelTarget) -> Scalar:
        return dice_loss(prediction, target, epsilon=self.epsilon)


class DiceBCELoss(nn.Module):
    """The cross-entropy and the Dice loss added: the first sees every voxel, the other regions."""

    takes: ClassVar[str] = "labels"

    def __init__(self, *, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, prediction: Tensor, target: Tensor | LabelTarget) -> Scalar:
        return cross_entropy_loss(prediction, target) + dice_loss(
            prediction, target, epsilon=self.epsilon
        )
