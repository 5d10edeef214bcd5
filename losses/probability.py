r"""From a distance map to the probability of the foreground, and back.

Losses on masks ask how probable it is that a voxel belongs to a neurite; a network of this
library says how far the voxel is from its centreline. One documented, strictly decreasing map
joins the two, so that either kind of loss can judge either kind of network.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from topodelin.losses.checks import full_precision

RADIUS = 2.0
SOFTNESS = 0.5
SMALLEST_PROBABILITY = 1e-6  # of either class, before its logarithm


def foreground_probability(
    distance: Float[Tensor, "*shape"], *, radius: float = RADIUS, softness: float = SOFTNESS
) -> Float[Tensor, "*shape"]:
    r"""The probability that a voxel lies within `radius` of a centreline.

    $$P(d) = \sigma\Bigl(\frac{r - d}{s}\Bigr) = \frac{1}{1 + e^{(d - r)/s}}$$

    Args:
        distance: $d$, a distance map of any shape, raw: it may be negative or above `d_max`.
        radius: $r$, where the probability is 1/2: the radius of the tube taken for foreground,
            in units of the distance map.
        softness: $s$, in the same units; the probability falls from 0.88 to 0.12 between
            $r - 2s$ and $r + 2s$. With the defaults it is 0.98 on the centreline.

    Saturates, to a gradient of zero, far from `radius` in units of `softness`. In float32, or in
    float64 where the map is.
    """
    check_map(radius, softness)
    return torch.sigmoid((radius - _full(distance)) / softness)


def distance_from_logit(
    logit: Float[Tensor, "*shape"], *, radius: float = RADIUS, softness: float = SOFTNESS
) -> Float[Tensor, "*shape"]:
    r"""The distance at which [`foreground_probability`][] has this logit: $d = r - s\,x$.

    A straight line, so no gradient is lost on the way.
    """
    check_map(radius, softness)
    return radius - softness * _full(logit)


def distance_from_probability(
    probability: Float[Tensor, "*shape"], *, radius: float = RADIUS, softness: float = SOFTNESS
) -> Float[Tensor, "*shape"]:
    r"""The inverse of [`foreground_probability`][]: $d = r - s \log\frac{P}{1 - P}$.

    Probabilities are first limited to 1e-6 from 0 and from 1, where the logarithm would be
    infinite; beyond, there is no gradient. So the distances lie within 13.8 $s$ of $r$.
    """
    limited = _full(probability).clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return distance_from_logit(torch.logit(limited), radius=radius, softness=softness)


def check_map(radius: float, softness: float) -> None:
    """Refuse a map that would not decrease, or would have no foreground."""
    if not 0 < radius < float("inf"):
        raise ValueError(f"`radius` must be positive and finite, got {radius}")
    if not 0 < softness < float("inf"):
        raise ValueError(
            f"`softness` must be positive and finite, got {softness}; for a hard mask compare "
            "the distance map with the radius"
        )


def _full(values: Tensor) -> Tensor:
    return full_precision(values, values)[0]
