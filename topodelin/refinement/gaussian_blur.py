r"""Sums of neighbours with Gaussian weights, exact at the borders, at any width.

$$(G x)_i = \sum_j \exp\Bigl(-\tfrac12 \sum_a \bigl((i_a - j_a) / \sigma_a\bigr)^2\Bigr)\, x_j$$

The sum runs over the voxels of the array and nothing else; the weights do not add up to 1. It is
separable, and along each axis the cheapest of three matrix products is taken:

    narrow and short axis     the matrix of weights itself; those below the tolerance are left out
    narrow and long axis      its band, block after block
    wide                      U (U^T x), where the matrix is U U^T and U has few columns

A wide Gaussian lets only low frequencies through, so about `n / sigma` columns are enough, a grid
coarser by that much. All axes are narrowed before the first one is widened again. What is left out
is a positive semidefinite matrix, no entry of which is larger than the largest of its diagonal:
that is how the columns are chosen, so every weight is right to the tolerance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

WEIGHT_TOLERANCE = 1e-7
LEAST_BLOCK = 64  # voxels that a block of the band makes at once


@dataclass(frozen=True)
class _Band:
    """Blocks of `len(weights)` voxels from as many and `radius` more at either end."""

    weights: Tensor
    radius: int

    def narrow(self, x: Tensor, axis: int) -> Tensor:
        block, size = len(self.weights), x.shape[axis]
        blocks = []
        for first in range(0, size, block):
            begin, end = max(0, first - self.radius), min(size, first + block + self.radius)
            before = first - self.radius
            weights = self.weights[: size - first, begin - before : end - before]
            blocks.append(_product(weights, x.narrow(axis, begin, end - begin), axis))
        return torch.cat(blocks, axis)

    def widen(self, x: Tensor, axis: int) -> Tensor:
        return x


@dataclass(frozen=True)
class _Dense:
    """One square matrix."""

    weights: Tensor

    def narrow(self, x: Tensor, axis: int) -> Tensor:
        return _product(self.weights, x, axis)

    def widen(self, x: Tensor, axis: int) -> Tensor:
        return x


@dataclass(frozen=True)
class _Factored:
    """A matrix `factor @ factor.T` with fewer columns than rows."""

    factor: Tensor

    def narrow(self, x: Tensor, axis: int) -> Tensor:
        return _product(self.factor.T, x, axis)

    def widen(self, x: Tensor, axis: int) -> Tensor:
        return _product(self.factor, x, axis)


class GaussianBlur:
    """The sum $G x$ of every channel of an array.

    Args:
        shape: of the space.
        sigmas: of the Gaussian along each axis, in voxels, above 0.
        tolerance: how far the weight between two voxels may be from $G$, per axis.
        dtype, device: of the arrays.
    """

    def __init__(
        self,
        shape: Sequence[int],
        sigmas: Sequence[float],
        *,
        tolerance: float = WEIGHT_TOLERANCE,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.axes = [
            _axis(size, sigma, tolerance, dtype, torch.device(device))
            for size, sigma in zip(shape, sigmas, strict=True)
        ]

    def __call__(self, x: Float[Tensor, " channel *space"]) -> Float[Tensor, " channel *space"]:
        for axis, weights in enumerate(self.axes, 1):
            x = weights.narrow(x, axis)
        for axis, weights in reversed(list(enumerate(self.axes, 1))):
            x = weights.widen(x, axis)
        return x


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept must serve a later gradient as well
def _axis(
    size: int, sigma: float, tolerance: float, dtype: torch.dtype, device: torch.device
) -> _Band | _Dense | _Factored:
    """The cheapest product for an axis, by the multiplications that a voxel costs."""
    reach = math.sqrt(2 * math.log(1 / tolerance))  # in sigmas, in space and in frequency
    radius = math.ceil(reach * sigma)
    block = max(LEAST_BLOCK, 2 * radius)
    columns = size * reach / (math.pi * sigma)
    if 2 * columns < min(size, block + 2 * radius):
        at = torch.arange(size, dtype=torch.float64)
        return _Factored(gaussian_factor(at / sigma, tolerance).to(device, dtype))
    if size <= block + 2 * radius:
        return _Dense(_weights(size, size, sigma, 0, tolerance).to(device, dtype))
    band = _weights(block, block + 2 * radius, sigma, radius, tolerance)
    return _Band(band.to(device, dtype), radius)


def _weights(rows: int, columns: int, sigma: float, shift: int, tolerance: float) -> Tensor:
    """The Gaussian between voxels `row + shift` and `column`, 0 below the tolerance.

    (Besides, numbers too small for their format make products many times slower.)
    """
    at = torch.arange(rows, dtype=torch.float64)[:, None] + shift
    weights = torch.exp(-((at - torch.arange(columns)) / sigma).square() / 2)
    return torch.where(weights < tolerance, 0, weights)


def gaussian_factor(at: Float[Tensor, " points"], tolerance: float) -> Tensor:
    """Few columns U with U U^T = exp(-(at_i - at_j)^2 / 2), every entry right to `tolerance`.

    Args:
        at: places on a line, in units of sigma, double precision.
        tolerance: above the rounding of the eigenvalues, about 1e-13.

    Returns:
        Float[Tensor, "points columns"]: eigenvectors times the root of their eigenvalues.
    """
    weights = torch.exp(-(at[:, None] - at).square() / 2)
    values, vectors = torch.linalg.eigh(weights)
    columns = (vectors * values.clamp(min=0).sqrt()).flip(1)
    left = (1 - columns.square().cumsum(1)).amax(0)
    enough = int((left > tolerance).sum()) + 1
    return columns[:, :enough]


def _product(matrix: Tensor, x: Tensor, axis: int) -> Tensor:
    """The matrix times every line of `x` along an axis."""
    if axis == x.ndim - 1:
        return x @ matrix.T
    lines = x.reshape(x.shape[:axis].numel(), x.shape[axis], -1)
    product = torch.bmm(matrix.expand(len(lines), -1, -1), lines)
    return product.view(*x.shape[:axis], len(matrix), *x.shape[axis + 1 :])
