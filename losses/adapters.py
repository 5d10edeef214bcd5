r"""Losses on distance maps for networks that predict a foreground: logits or probabilities in.

A trainer built for masks (nnU-Net, MONAI, many notebooks) calls `loss(logits, mask)`. The adapters
read the logits as distances, by the inverse of `foreground_probability`, and the mask as the
distance map of its centreline, and call any loss of this library with the two.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.mask_distance import D_MAX, mask_to_distance
from topodelin.losses.probability import (
    RADIUS,
    SMALLEST_PROBABILITY,
    SOFTNESS,
    check_map,
    distance_from_logit,
    distance_from_probability,
)

Scalar = Float[Tensor, ""]
OneChannel = Float[Tensor, "batch 1 *space"]

SUM_SLACK = 1e-2  # of the two probabilities of a voxel; half precision rounds them

ONE_AGAINST_THE_REST = {
    "logits": "as in x[:, k:k+1] - others.logsumexp(1, keepdim=True)",
    "probabilities": "as in p[:, k:k+1]",
}


def logits_to_distance(
    logits: Tensor, *, radius: float = RADIUS, softness: float = SOFTNESS
) -> OneChannel:
    r"""The distance map whose [`foreground_probability`][] has these logits: $d = r - s\,x$.

    Args:
        logits: `(batch, 1, *space)`, $x$, the logit of the foreground; or `(batch, 2, *space)`,
            background and foreground before a softmax, whose difference is $x$.
        radius, softness: $r$ and $s$. To be d on the annotated map, a logit has to become
            $(r - d) / s$: 4 on the centreline, 0 at a distance of 2 and -26 at 15 with the
            defaults. A larger softness asks for smaller logits.

    Strictly decreasing and straight, so every gradient arrives. In float32 under autocast.
    """
    check_channels("logits", logits)
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if x.shape[1] == 2:
        x = x[:, 1:] - x[:, :1]
    return distance_from_logit(x, radius=radius, softness=softness)


def probabilities_to_distance(
    probabilities: Tensor, *, radius: float = RADIUS, softness: float = SOFTNESS
) -> OneChannel:
    """[`logits_to_distance`][] of probabilities, limited to 1e-6 from 0 and from 1.

    Args:
        probabilities: `(batch, 1, *space)`, of the foreground, or `(batch, 2, *space)`, of
            background and foreground, which add up to 1.
    """
    check_channels("probabilities", probabilities)
    low, high = (float(value) for value in probabilities.detach().aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"`probabilities` must lie between 0 and 1, got values between {low:g} and {high:g}; "
            "logits go to FromLogits, a distance map to the loss itself"
        )
    p = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32))
    if p.shape[1] == 1:
        return distance_from_probability(p, radius=radius, softness=softness)
    if float((p.detach().sum(1) - 1).abs().max()) > SUM_SLACK:
        raise ValueError(
            "`probabilities` of two channels must add up to 1 in every voxel; if they are "
            "independent, give the channel of the foreground alone, as in probabilities[:, 1:]"
        )
    x = p.clamp(min=SMALLEST_PROBABILITY).log()  # keeps the digits of both ends
    return logits_to_distance(x, radius=radius, softness=softness)


class _FromForeground(nn.Module):
    """What the two adapters share: all but how a network's output becomes a distance map."""

    def __init__(
        self,
        loss: nn.Module,
        *,
        radius: float = RADIUS,
        softness: float = SOFTNESS,
        d_max: float = D_MAX,
        spacing: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        check_map(radius, softness)
        self.loss = loss
        self.radius = radius
        self.softness = softness
        self.d_max = d_max
        self.spacing = spacing

    @property
    def takes(self) -> Any:
        """What the loss inside takes."""
        return getattr(self.loss, "takes", "distance_map")

    def prepare(self, target: Any) -> Any:
        """The target as the loss takes it, and prepared by the loss where it prepares."""
        ready = target_for(target, self.d_max, self.spacing)
        return self.loss.prepare(ready) if hasattr(self.loss, "prepare") else ready  # type: ignore[operator]

    def distance(self, output: Tensor) -> Tensor:
        """The distance map that the output of the network stands for."""
        raise NotImplementedError

    def forward(self, output: Tensor, target: Any) -> Scalar:
        return self.loss(self.distance(output), target_for(target, self.d_max, self.spacing))


class FromLogits(_FromForeground):
    """Any loss of this library, called with logits and a mask or an annotated distance map.

        loss = FromLogits(ConnLoss())
        loss(network(image), mask)

    Args:
        loss: of distance maps; a `WeightedSum` as well.
        radius, softness: of [`logits_to_distance`][].
        d_max, spacing: of [`mask_to_distance`][]; give the `d_max` of the loss.

    A target of bool or whole numbers, or of floats 0 and 1 alone, is a mask: its centreline is
    found here, each time, on the host. Call `prepare` where batches are made to spare the training
    that. Any other float target is taken for a distance map; what else a loss takes (graphs,
    projections, what was prepared) is passed on.
    """

    def distance(self, output: Tensor) -> Tensor:
        return logits_to_distance(output, radius=self.radius, softness=self.softness)


class FromProbabilities(_FromForeground):
    """[`FromLogits`][] of a network that ends in a sigmoid or a softmax.

    The gradient through a probability dies out where the network is certain; take the logits if
    the network can be asked for them.
    """

    def distance(self, output: Tensor) -> Tensor:
        return probabilities_to_distance(output, radius=self.radius, softness=self.softness)


def target_for(target: Any, d_max: float, spacing: Sequence[float] | None) -> Any:
    """The target with its masks turned into distance maps; anything else as it came."""
    if isinstance(target, Mapping):
        return {name: target_for(part, d_max, spacing) for name, part in target.items()}
    if isinstance(target, Tensor) and is_mask(target):
        return mask_to_distance(target, d_max=d_max, spacing=spacing)
    return target


def is_mask(target: Tensor) -> bool:
    """Whether a target holds classes, and not distances."""
    return not target.is_floating_point() or bool(((target == 0) | (target == 1)).all())


def check_channels(name: str, values: Tensor) -> None:
    """Refuse what does not say of one kind of line how probable it is."""
    if not isinstance(values, Tensor) or not values.is_floating_point():
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(
            f"`{name}` must be a float tensor, got {kind}; the order is loss({name}, target)"
        )
    if values.ndim < 3:
        raise ValueError(
            f"`{name}` must be (batch, channel, *space), got the shape {tuple(values.shape)}"
        )
    if values.shape[1] > 2:
        raise ValueError(
            f"`{name}` must have one channel, or two for background and foreground, got "
            f"{values.shape[1]}: a distance map is that of one kind of line; give the adapter one "
            f"class against the rest, {ONE_AGAINST_THE_REST[name]}"
        )
