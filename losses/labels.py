"""What losses of classes are given of an annotation: the class of every voxel, and its weight."""

from dataclasses import dataclass

import torch
from torch import Tensor

from topodelin.losses.prepared import moved_record

IGNORE = -1  # the class of a voxel that nobody judged


@dataclass(frozen=True)
class LabelTarget:
    """The classes of a batch.

    Args:
        classes: int64 `(batch, *space)`, from 0; `IGNORE` where a voxel counts for nothing.
        weights: float `(batch, *space)` of the same shape, not negative; None = 1 everywhere.
    """

    classes: Tensor
    weights: Tensor | None = None

    def to(self, device: torch.device | str) -> "LabelTarget":
        """The same on another device."""
        return moved_record(self, device)


def as_label_target(prediction: Tensor, target: Tensor | LabelTarget) -> LabelTarget:
    """The target of a prediction, checked against it.

    Args:
        prediction: `(batch, channels, *space)` logits; one channel is the logit of class 1.
        target: a `LabelTarget`, or its classes alone.

    Raises:
        TypeError: for numbers of the wrong kind.
        ValueError: for shapes that differ, a class that the prediction has no channel for, or a
            prediction that is not finite.
    """
    ready = target if isinstance(target, LabelTarget) else LabelTarget(target)
    classes, count = ready.classes, max(2, prediction.shape[1] if prediction.ndim > 1 else 0)
    if not prediction.is_floating_point():
        raise TypeError(f"`prediction` must be floating point logits, got {prediction.dtype}")
    if classes.is_floating_point() or classes.dtype == torch.bool:
        raise TypeError(
            f"`target` must hold whole numbers, the class of every voxel, got {classes.dtype}; "
            "use `.long()`"
        )
    expected = (prediction.shape[0], *prediction.shape[2:])
    if prediction.ndim < 3 or tuple(classes.shape) != expected:
        raise ValueError(
            f"`target` must have the shape (batch, *space) of the prediction, {expected}, "
            f"got {tuple(classes.shape)}"
        )
    if ready.weights is not None and ready.weights.shape != classes.shape:
        raise ValueError(
            f"`weights` must have the shape of the classes, {tuple(classes.shape)}, "
            f"got {tuple(ready.weights.shape)}"
        )
    if classes.numel():
        low, high = (int(value) for value in classes.aminmax())
        if low < IGNORE or high >= count:
            wrong = low if low < IGNORE else high
            raise ValueError(
                f"`target` must hold classes from 0 to {count - 1}, or {IGNORE} to ignore, for a "
                f"prediction of {prediction.shape[1]} channel(s), got {wrong}"
            )
    if not bool(prediction.isfinite().all()):
        raise ValueError(
            "`prediction` must be finite, got NaN or infinity; lower the learning rate"
        )
    return ready
