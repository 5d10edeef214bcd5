"""What a conditional random field refuses, in one line each."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

NORMALIZATIONS = ("symmetric", "none")
SUM_TOLERANCE = 1e-3  # of probabilities in single precision; half precision is given ten times that


def check_images(probabilities: Tensor, image: Tensor) -> None:
    """Probabilities `(classes, *space)` that add up to 1 and an image in [0, 1] of their space."""
    shape = tuple(probabilities.shape)
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"`probabilities` must have axes (classes, *space), none empty, got shape {shape}"
        )
    if tuple(image.shape) != shape[1:]:
        raise ValueError(
            f"`image` must have the space of `probabilities`, {shape[1:]}, got shape "
            f"{tuple(image.shape)}"
        )
    for name, values in (("probabilities", probabilities), ("image", image)):
        if not values.is_floating_point():
            raise ValueError(f"`{name}` must be of floating point, got {values.dtype}")
        least, most = (float(value) for value in values.detach().aminmax())
        if not (least >= 0 and most <= 1):
            remedy = "softmax the logits" if name == "probabilities" else "scale the intensities"
            raise ValueError(
                f"`{name}` must lie in [0, 1] and hold no NaN, got {least:g} to {most:g}; {remedy}"
            )
    sums = probabilities.detach().float().sum(0)
    worst = float(sums.flatten()[(sums - 1).abs().argmax()])
    half = torch.finfo(probabilities.dtype).bits < 32
    if abs(worst - 1) > SUM_TOLERANCE * (10 if half else 1):
        raise ValueError(
            f"`probabilities` must add up to 1 over the classes, got a voxel with {worst:g}; "
            "softmax the logits, or crop to where the network looked"
        )


def check_numbers(
    *,
    theta_alpha: Any,
    theta_beta: Any,
    theta_gamma: Any,
    steps: Any,
    normalization: Any,
    tolerance: float = 1e-7,
) -> None:
    """Widths above 0, steps of 0 or more, a known normalisation."""
    above_zero = {
        "theta_alpha": theta_alpha,
        "theta_beta": theta_beta,
        "theta_gamma": theta_gamma,
    }
    for name, value in above_zero.items():
        if not (_is_number(value) and value > 0):
            raise ValueError(f"`{name}` must be a number above 0, got {value!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ValueError(f"`steps` must be a whole number of 0 or more, got {steps!r}")
    if normalization not in NORMALIZATIONS:
        raise ValueError(f'`normalization` must be "symmetric" or "none", got {normalization!r}')
    if not 1e-12 <= tolerance < 1:
        raise ValueError(f"`tolerance` must lie in [1e-12, 1), got {tolerance!r}")


def check_spacing(spacing: Sequence[float] | None, dims: int) -> None:
    """A number above 0 for every axis of space, or none at all."""
    if spacing is not None and not (
        len(spacing) == dims and all(_is_number(step) and step > 0 for step in spacing)
    ):
        raise ValueError(
            f"`spacing` must be {dims} numbers above 0, one for each axis of the image, got "
            f"{tuple(spacing)}"
        )


def class_matrix(costs: Any, classes: int, name: str) -> Tensor:
    """The symmetric matrix of costs; one number is the cost of any two different classes."""
    try:
        matrix = torch.as_tensor(costs, dtype=torch.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a number or a square matrix of numbers, got {costs!r}"
        ) from None
    if matrix.ndim == 0:
        matrix = matrix * (1 - torch.eye(classes, dtype=torch.float64))
    if matrix.shape != (classes, classes):
        raise ValueError(
            f"`{name}` must be a number or a square matrix, one row and column for each of the "
            f"{classes} classes, got shape {tuple(matrix.shape)}"
        )
    if not matrix.isfinite().all():
        raise ValueError(f"`{name}` must be finite, got NaN or infinity")
    if not torch.equal(matrix, matrix.T):
        raise ValueError(
            f"`{name}` must be symmetric, since a pair of voxels has no order; take the mean of it "
            "and its transpose"
        )
    return matrix


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
