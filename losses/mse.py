r"""Mean squared error with voxels that count more, less or not at all."""

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_ignored, check_pair, full_precision

Scalar = Float[Tensor, ""]

SMALLEST_SUM = 1e-30  # of the weights; keeps 0 / 0, where no voxel counts, at 0


def mse_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    weights: Tensor | None = None,
    ignored: Tensor | None = None,
    reduction: str = "mean",
) -> Scalar:
    r"""Weigh the squared difference of each voxel.

    $$L(p, t) = \sum_u w_u (p_u - t_u)^2 \,/\, \sum_u w_u$$

    without the division for "sum".

    Args:
        prediction, target: $p, t$, `(batch, channel, *space)`, of any float type.
        weights: $w$, of the same shape, not negative; 1 when None.
        ignored: bool, same shape, True where a voxel is left out ($w_u = 0$).
        reduction: "mean" or "sum".

    Zero when every voxel is left out. A float32 scalar, float64 for a float64 prediction.
    """
    _check_reduction(reduction)
    check_pair(prediction, target)
    check_ignored(ignored, target)
    p, t = full_precision(prediction, target)
    squares = (p - t).square()
    if weights is None and ignored is None:
        return squares.mean() if reduction == "mean" else squares.sum()
    if weights is not None and (weights.shape != target.shape or bool((weights < 0).any())):
        raise ValueError(
            f"`weights` must be 0 or more and have the shape of `target`, {tuple(target.shape)}, "
            f"got {tuple(weights.shape)} with a minimum of {float(weights.min()):g}"
        )
    share = squares.new_ones(()) if weights is None else weights.to(squares)
    if ignored is not None:
        share = share * ~ignored
    total = (share * squares).sum()
    return total / share.sum().clamp(min=SMALLEST_SUM) if reduction == "mean" else total


class MSELoss(nn.Module):
    """[`mse_loss`][] with its reduction fixed."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        _check_reduction(reduction)
        self.reduction = reduction

    def forward(
        self,
        prediction: Tensor,
        target: Tensor,
        *,
        weights: Tensor | None = None,
        ignored: Tensor | None = None,
    ) -> Scalar:
        return mse_loss(
            prediction, target, weights=weights, ignored=ignored, reduction=self.reduction
        )


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum"):
        raise ValueError(f"`reduction` must be 'mean' or 'sum', got {reduction!r}")
