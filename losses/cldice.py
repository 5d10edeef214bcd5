r"""Soft clDice: overlap of the skeleton of each with the mask of the other.

The Dice overlap of thin tubes is decided by their walls. Here only middle lines are counted: the
share of the predicted skeleton that lies in the true mask falls with false branches, the share of
the true skeleton that lies in the predicted mask falls with gaps.

A blob wider than `iterations` reach has no soft skeleton, so it costs nothing here, least of all a
prediction that is foreground everywhere: add a voxel-wise loss.

References:
    S. Shit, J. C. Paetzold, A. Sekuboyina, I. Ezhov, A. Unger, A. Zhylka, J. P. W. Pluim,
    U. Bauer, B. H. Menze. clDice: a novel topology-preserving loss function for tubular structure
    segmentation. CVPR 2021. arXiv:2003.07311.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_distance_map, check_pair, full_precision
from topodelin.losses.prepared import check_target, moved_record
from topodelin.losses.probability import RADIUS, SOFTNESS, check_map, foreground_probability
from topodelin.losses.soft_skeleton import check_iterations, soft_skeleton

Maps = Float[Tensor, "batch channel *space"]
Scalar = Float[Tensor, ""]


@dataclass(frozen=True)
class PreparedClDice:
    """What clDice needs of an annotation: its mask (0 and 1) and the soft skeleton of it."""

    mask: Tensor
    skeleton: Tensor

    def to(self, device: torch.device | str) -> "PreparedClDice":
        """The same on a device."""
        return moved_record(self, device)


def soft_cldice(
    probability: Tensor,
    mask: Tensor,
    *,
    skeleton: Tensor | None = None,
    iterations: int = 3,
    smooth: float = 1.0,
) -> Scalar:
    r"""The clDice score of probabilities, between 0 and 1 (best); a loss is `1 - soft_cldice`.

    $$T_{prec} = \frac{\sum S(P)\,V + \epsilon}{\sum S(P) + \epsilon},\quad
      T_{sens} = \frac{\sum S(V)\,P + \epsilon}{\sum S(V) + \epsilon},\quad
      \mathrm{clDice} = \frac{2\,T_{prec} T_{sens}}{T_{prec} + T_{sens}}$$

    with sums over the whole batch.

    Args:
        probability: $P$, of the foreground, `(batch, channel, *space)` in `[0, 1]`; not logits.
        mask: $V$, of the same shape and a float type, 0 and 1 or anything between.
        skeleton: $S(V)$ where it is known, such as an annotated centreline; the
            [`soft_skeleton`][] of the mask when None.
        iterations: of [`soft_skeleton`][].
        smooth: $\epsilon$, in voxels. An empty prediction of an empty mask scores 1.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy; also
            where the mask is so thick that nothing of it is a skeleton.
    """
    check_pair(probability, mask)
    check_smooth(smooth)
    for name, values in (("probability", probability), ("mask", mask)):
        low, high = (float(value) for value in values.detach().aminmax())
        if low < 0 or high > 1:
            raise ValueError(
                f"`{name}` must lie between 0 and 1, got values between {low:g} and {high:g}; "
                "apply torch.sigmoid to logits, foreground_probability to a distance map"
            )
    p, v = full_precision(probability, mask)
    middle = _true_skeleton(v, iterations) if skeleton is None else skeleton.to(v)
    if middle.shape != v.shape:
        raise ValueError(
            f"`skeleton` must have the shape of `mask`, {tuple(v.shape)}, got {tuple(middle.shape)}"
        )
    return _cldice(p, v, middle, iterations, smooth)


def soft_dice(probability: Maps, mask: Maps, *, smooth: float = 1.0) -> Scalar:
    r"""The Dice score: $(2 \sum P V + \epsilon) / (\sum P + \sum V + \epsilon)$, over the batch."""
    overlap = (probability * mask).sum()
    return (2 * overlap + smooth) / (probability.sum() + mask.sum() + smooth)


def cldice_loss(
    prediction: Tensor,
    target: Tensor | PreparedClDice,
    *,
    radius: float = RADIUS,
    softness: float = SOFTNESS,
    iterations: int = 3,
    smooth: float = 1.0,
    dice_weight: float = 0.0,
) -> Scalar:
    r"""Soft clDice of a predicted distance map.

    $$L = (1 - w)\,\bigl(1 - \mathrm{clDice}(P, V)\bigr) + w\,\bigl(1 - \mathrm{Dice}(P, V)\bigr)$$

    with $P$ the [`foreground_probability`][] of the prediction and $V = \{t \le r\}$. The value
    at the truth is small, but not zero: the probability of a true map is not a hard mask.

    Args:
        prediction: raw predicted distance maps `(batch, channel, *space)`, of any float type.
        target: $t$, annotated distance maps of the same shape, 0 on the centreline, clipped
            anywhere above `radius`; or what [`prepare_cldice`][] made of them.
        radius, softness: $r$ and $s$ of [`foreground_probability`][].
        iterations: of [`soft_skeleton`][], at least `radius`.
        smooth: $\epsilon$ of [`soft_cldice`][].
        dice_weight: $w$, between 0 and 1; $1 - \alpha$ of the paper, which uses 0.5 and more.

    Returns a float32 scalar, float64 for a float64 prediction. A batch without annotation costs
    close to 1 where much is predicted, 0 where nothing is.
    """
    check_constants(radius, iterations, smooth, dice_weight)
    if isinstance(target, PreparedClDice):
        check_pair(prediction, target.mask)
        ready = target
    else:
        check_pair(prediction, target)
        check_distance_map(target, math.inf)
        ready = _prepared(target, radius, iterations)
    p = foreground_probability(prediction, radius=radius, softness=softness)
    v, skeleton = ready.mask.to(p.dtype), ready.skeleton.to(p.dtype)
    loss = (1 - dice_weight) * (1 - _cldice(p, v, skeleton, iterations, smooth))
    if dice_weight > 0:
        loss = loss + dice_weight * (1 - soft_dice(p, v, smooth=smooth))
    return loss


def prepare_cldice(
    target: Tensor, *, radius: float = RADIUS, iterations: int = 3
) -> PreparedClDice:
    """The mask of an annotated distance map and its soft skeleton, for a data loader to make."""
    check_target(target)
    return _prepared(target, radius, iterations)


class ClDiceLoss(nn.Module):
    """[`cldice_loss`][] with its constants fixed."""

    def __init__(
        self,
        *,
        radius: float = RADIUS,
        softness: float = SOFTNESS,
        iterations: int = 3,
        smooth: float = 1.0,
        dice_weight: float = 0.0,
    ) -> None:
        super().__init__()
        check_map(radius, softness)
        check_constants(radius, iterations, smooth, dice_weight)
        self.radius = radius
        self.softness = softness
        self.iterations = iterations
        self.smooth = smooth
        self.dice_weight = dice_weight

    def prepare(self, target: Tensor) -> PreparedClDice:
        """Do what depends on the annotation alone; `forward` takes it in the target's place."""
        return prepare_cldice(target, radius=self.radius, iterations=self.iterations)

    def forward(self, prediction: Tensor, target: Tensor | PreparedClDice) -> Scalar:
        return cldice_loss(
            prediction,
            target,
            radius=self.radius,
            softness=self.softness,
            iterations=self.iterations,
            smooth=self.smooth,
            dice_weight=self.dice_weight,
        )


def check_constants(radius: float, iterations: int, smooth: float, dice_weight: float) -> None:
    """Refuse constants out of their range, before any work."""
    check_iterations(iterations)
    if iterations < radius:
        raise ValueError(
            f"`iterations` must be at least radius={radius:g}, got {iterations}; with fewer, the "
            "middle of the annotated tube is never reached and the loss is 0"
        )
    check_smooth(smooth)
    if not 0 <= dice_weight <= 1:
        raise ValueError(f"`dice_weight` must lie between 0 and 1, got {dice_weight}")


def check_smooth(smooth: float) -> None:
    """Refuse a smoothing that would leave 0 / 0 or a negative score."""
    if not 0 < smooth < math.inf:
        raise ValueError(f"`smooth` must be positive and finite, got {smooth}; it keeps 0 / 0 away")


def _cldice(p: Tensor, v: Tensor, skeleton: Tensor, iterations: int, smooth: float) -> Tensor:
    predicted = soft_skeleton(p, iterations=iterations)
    precision = ((predicted * v).sum() + smooth) / (predicted.sum() + smooth)
    sensitivity = ((skeleton * p).sum() + smooth) / (skeleton.sum() + smooth)
    return 2 * precision * sensitivity / (precision + sensitivity)


def _true_skeleton(v: Tensor, iterations: int) -> Tensor:
    skeleton = soft_skeleton(v, iterations=iterations)
    if bool(v.any()) and not bool(v.all()) and not bool(skeleton.any()):
        raise ValueError(
            f"`iterations` must reach the middle of the mask, got {iterations} and an empty "
            "skeleton; take the radius of the thickest tube in voxels, or give the `skeleton`"
        )
    return skeleton


def _prepared(target: Tensor, radius: float, iterations: int) -> PreparedClDice:
    mask = (target <= radius).float()
    return PreparedClDice(mask, soft_skeleton(mask, iterations=iterations))
