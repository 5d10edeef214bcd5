r"""The gradient of a noisy map at any position: Gaussian-derivative filters, linearly interpolated.

A snake feels the slope of a predicted distance map at its nodes. The map is filtered along each
axis with a sampled Gaussian, along one of them with its derivative, and the filtered image is
interpolated linearly between the centres of voxels. Both are products of one-dimensional weights,
so the image of the gradient is never formed: what a node feels is a weighted sum of the few voxels
around it, at the same value.

References:
    D. Oner, L. Citraro, M. Kozinski, P. Fua. Adjusting the ground truth annotations for
    connectivity-based learning to delineate. TMI 2022. arXiv:2112.02781.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

GAINS = ("unit", "published")
TAPS_PER_SIGMA = 2


@dataclass(frozen=True)
class AxisFilter:
    """One-dimensional weights at the offsets `-reach..reach`, to be applied as a correlation."""

    smoothing: np.ndarray
    derivative: np.ndarray

    @property
    def reach(self) -> int:
        return len(self.smoothing) // 2


def axis_filter(sigma: float, gain: str = "unit") -> AxisFilter:
    r"""A sampled Gaussian $g_n = e^{-n^2 / 2 \sigma^2}$ of sum 1, and its derivative $n g_n$.

    Args:
        sigma: standard deviation in voxels, above 0. The weights reach over
            `round(2 * sigma)` voxels (half to even), at least one.
        gain: "unit" scales the derivative to answer a ramp with its slope,
            $\sum_n n\, d_n = 1$; "published" to $\sum_n |d_n| = 1$, whose answer grows with sigma:
            1 at 0.5, 1.31 at 1, 2.33 at 2.

    For a small sigma, "unit" ends in central differences without smoothing; "published" has no
    weights left at 0.25 and is refused there.

    Raises:
        ValueError: another gain, or a sigma that is not positive or, for "published", too small.
    """
    if gain not in GAINS:
        raise ValueError(f"`gain` must be 'unit' or 'published', got {gain!r}")
    reach = round(TAPS_PER_SIGMA * sigma) if 0 < sigma < math.inf else 0
    if gain == "unit" and 0 < sigma < math.inf:
        reach = max(reach, 1)
    if reach < 1:
        raise ValueError(
            f"`sigma` must be above 0, and above 0.25 voxels for gain='published', got {sigma:g} "
            "voxels; take gain='unit' for narrow filters"
        )
    offsets = np.arange(-reach, reach + 1)
    smoothing = np.exp(-(offsets**2) / (2 * sigma**2))
    # Relative to the weight at 1, which a small sigma would lose to underflow.
    derivative = offsets * np.exp((1 - offsets**2) / (2 * sigma**2) * (offsets != 0))
    scale = (offsets * derivative).sum() if gain == "unit" else np.abs(derivative).sum()
    return AxisFilter(smoothing / smoothing.sum(), derivative / scale)


def filtered_gradient(
    image: Float[Tensor, "*space"],
    positions: Float[Tensor, "nodes dims"],
    filters: Sequence[AxisFilter],
) -> Float[Tensor, "nodes dims"]:
    """The gradient of an image at positions in voxel indices, differentiable in both.

    Args:
        image: the map; beyond its border the outermost voxels are repeated.
        positions: in voxel indices. The interpolated gradient fades to zero over one voxel outside
            the grid of voxel centres, and is zero beyond.
        filters: one for each axis.

    Returns the change per voxel along each axis.
    """
    index, weights = neighbourhoods(positions, tuple(image.shape), filters)
    return weighted_gradient(image.reshape(-1)[index], weights)


def neighbourhoods(
    positions: Float[Tensor, "nodes dims"], shape: tuple[int, ...], filters: Sequence[AxisFilter]
) -> tuple[Int64[Tensor, "nodes ..."], list[Float[Tensor, "kinds nodes _"]]]:
    """Flat indices of the voxels that each position feels, and their weights along each axis.

    The weights come in two kinds, smoothing and derivative, and are linear in the position.
    """
    count, dims = positions.shape
    index = positions.new_zeros((count, *(1,) * dims), dtype=torch.int64)
    weights = []
    for axis, (size, taps) in enumerate(zip(shape, filters, strict=True)):
        at = positions[:, axis]
        before = at.detach().floor()
        fraction = at - before
        on_grid = (before >= 0) & (before < size)
        next_on_grid = (before >= -1) & (before < size - 1)
        kernels = np.stack([taps.smoothing, taps.derivative])
        here = positions.new_tensor(np.pad(kernels, ((0, 0), (0, 1))))[:, None]
        there = positions.new_tensor(np.pad(kernels, ((0, 0), (1, 0))))[:, None]
        weights.append(
            ((1 - fraction) * on_grid)[:, None] * here + (fraction * next_on_grid)[:, None] * there
        )
        steps = torch.arange(-taps.reach, taps.reach + 2, device=positions.device)
        voxels = (before.long()[:, None] + steps).clamp(0, size - 1)
        along = [len(steps) if a == axis else 1 for a in range(dims)]
        index = index * size + voxels.reshape(count, *along)
    return index, weights


def weighted_gradient(
    patches: Float[Tensor, "nodes ..."], weights: Sequence[Float[Tensor, "kinds nodes _"]]
) -> Float[Tensor, "nodes dims"]:
    """Sum the voxels around each node, with the derivative's weights along one axis at a time."""
    slopes = []
    for derived in range(len(weights)):
        rest = patches
        for axis in reversed(range(len(weights))):
            kind = weights[axis][1 if axis == derived else 0]
            nodes, taps = kind.shape
            rest = (rest * kind.reshape(nodes, *(1,) * axis, taps)).sum(-1)
        slopes.append(rest)
    return torch.stack(slopes, -1)
