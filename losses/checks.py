"""What every loss here asks of its inputs, checked once, each refusal with its remedy."""

import torch
from torch import Tensor

CLIP_SLACK = 0.01  # relative: half precision rounds `d_max`


def check_pair(prediction: Tensor, target: Tensor, *, dims: int | None = None) -> None:
    """Refuse what is not two finite float tensors `(batch, channel, *space)` of one shape.

    Args:
        dims: how many axes of space; None for any number.

    Raises:
        TypeError: not a tensor, or not of a float type.
        ValueError: shape, device, NaN or infinity, or a target that asks for a gradient.
    """
    for name, tensor in (("prediction", prediction), ("target", target)):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"`{name}` must be a torch.Tensor, got {type(tensor).__name__}; "
                "convert an array with torch.from_numpy"
            )
        if not tensor.is_floating_point():
            raise TypeError(
                f"`{name}` must be a float tensor, got {tensor.dtype}; a mask is not a distance "
                "map: make one with topodelin.annotation.distance_map"
            )
    if prediction.shape != target.shape:
        raise ValueError(
            "`prediction` and `target` must have the same shape, got "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}; give both a channel axis"
        )
    if prediction.device != target.device:
        raise ValueError(
            "`prediction` and `target` must be on one device, got "
            f"{prediction.device} and {target.device}; move one with .to(device)"
        )
    _check_axes(tuple(prediction.shape), dims)
    if target.requires_grad:
        raise ValueError(
            "`target` must not ask for a gradient; the order is loss(prediction, target): "
            "exchange them, or detach the target"
        )
    for name, tensor in (("prediction", prediction), ("target", target)):
        low, high = (float(value) for value in tensor.detach().aminmax())
        if not (low > -float("inf") and high < float("inf")):
            raise ValueError(
                f"`{name}` must be finite, got values between {low} and {high}; lower the "
                "learning rate if it is the network's, mend the file if it is the annotation's"
            )


def check_distance_map(target: Tensor, d_max: float) -> None:
    """Refuse a target that is not a distance map: 0 on the centreline, clipped at `d_max`."""
    low, high = (float(value) for value in target.aminmax())
    if low < 0:
        raise ValueError(
            f"`target` must be a distance map, 0 on the centreline and positive elsewhere, got "
            f"{low:g}; are `prediction` and `target` exchanged?"
        )
    if high > d_max * (1 + CLIP_SLACK):
        raise ValueError(
            f"`target` must be clipped at d_max={d_max:g}, got {high:g}; use "
            f"target.clamp(max={d_max:g}) or give the loss the `d_max` of your maps"
        )
    if d_max > 2 and high == 1 and bool(((target == 0) | (target == 1)).all()):
        raise ValueError(
            "`target` must be a distance map, got only the values 0 and 1, a mask; make a "
            "distance map of it with topodelin.annotation.distance_map"
        )


def check_ignored(ignored: Tensor | None, target: Tensor) -> None:
    """Refuse a map of ignored voxels that is not boolean or has another shape or device."""
    if ignored is None:
        return
    if ignored.dtype != torch.bool:
        raise TypeError(
            f"`ignored` must be a bool tensor, True where a voxel is left out, got {ignored.dtype}"
        )
    if ignored.shape != target.shape or ignored.device != target.device:
        raise ValueError(
            f"`ignored` must have the shape and device of `target`, {tuple(target.shape)} on "
            f"{target.device}, got {tuple(ignored.shape)} on {ignored.device}"
        )


def full_precision(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32, or in float64 where the prediction is: a loss is never summed in half."""
    dtype = torch.float64 if prediction.dtype == torch.float64 else torch.float32
    return prediction.to(dtype), target.to(dtype)


def _check_axes(shape: tuple[int, ...], dims: int | None) -> None:
    if 0 in shape:
        raise ValueError(f"`prediction` must not be empty, got the shape {shape}")
    if dims is None:
        if len(shape) < 3:
            raise ValueError(
                f"`prediction` must be (batch, channel, *space), got the shape {shape}; add the "
                "missing axes with prediction[None, None]"
            )
        return
    if len(shape) == dims + 2:
        return
    remedy = {
        dims: "add the batch and channel axes with prediction[None, None]",
        dims + 1: "add the channel axis with prediction.unsqueeze(1)",
    }.get(len(shape), f"give it maps with {dims} axes of space")
    if dims == 2 and len(shape) == 5:
        remedy = "a volume is judged through its projections: use ConnLoss"
    if dims == 3 and len(shape) == 4:
        remedy = "an image needs no projection: use TopoLoss, or add the channel axis to a volume"
    wanted = "(batch, channel, height, width)" if dims == 2 else "(batch, channel, z, y, x)"
    raise ValueError(f"`prediction` must be {wanted}, got the shape {shape}; {remedy}")
