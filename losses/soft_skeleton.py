r"""A differentiable skeleton: what erosion and dilation do not give back, over and over.

The opening of a mask (erosion, then dilation) loses whatever is thinner than the neighbourhood.
Eroding a tube once and again until it is gone and keeping what each opening loses leaves its
middle line; with minima and maxima in place of set operations, the same works for probabilities.

References:
    S. Shit, J. C. Paetzold, A. Sekuboyina, I. Ezhov, A. Unger, A. Zhylka, J. P. W. Pluim,
    U. Bauer, B. H. Menze. clDice: a novel topology-preserving loss function for tubular structure
    segmentation. CVPR 2021. arXiv:2003.07311.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "batch channel *space"]


def soft_skeleton(probability: Maps, *, iterations: int = 3) -> Maps:
    r"""The soft skeleton of probabilities in `[0, 1]`, in any number of axes of space.

    $$e_0 = P,\quad e_{i+1} = \operatorname{erode}(e_i),\quad
      r_i = \max\bigl(e_i - \operatorname{dilate}(e_{i+1}),\, 0\bigr)$$
    $$S_0 = r_0,\quad S_i = S_{i-1} + (1 - S_{i-1})\, r_i$$

    and $S$ after the last iteration. Erosion takes the minimum over a voxel and its face
    neighbours, dilation the maximum over the 3 x 3 (x 3) voxels around it, as in the authors'
    program: so a line survives, and its corners are not taken for ends.

    Args:
        probability: $P$, `(batch, channel, *space)`, each channel a map of its own.
        iterations: erosions after the first. At least the radius of the thickest tube in voxels;
            thicker ones keep only a shell. Each costs one erosion and one dilation.

    Beyond the border nothing is assumed: a tube that leaves the map is not eroded from there.
    Where several voxels tie, the one in the middle receives the gradient, else the first along
    the first axis.
    """
    check_iterations(iterations)
    axes = range(2, probability.ndim)
    eroded = probability
    skeleton = torch.zeros_like(probability)
    for _ in range(iterations + 1):
        smaller = extreme_neighbour(eroded, axes, "lowest")
        opened = smaller
        for axis in axes:  # a cube is a line along one axis of a line along the next
            opened = extreme_neighbour(opened, [axis], "highest")
        lost = (eroded - opened).relu()
        skeleton = skeleton + (1 - skeleton) * lost
        eroded = smaller
    return skeleton


def check_iterations(iterations: int) -> None:
    """Refuse a number of iterations that is no count."""
    if not isinstance(iterations, int) or iterations < 0:
        raise ValueError(
            f"`iterations` must be a whole number, 0 or more, got {iterations!r}; take the radius "
            "of the tubes in voxels"
        )


def extreme_neighbour(values: Tensor, axes: Sequence[int], which: str) -> Tensor:
    """The "lowest" or "highest" among each voxel and its face neighbours along `axes`.

    Differentiable like a pooling, but it remembers one byte for each voxel instead of an index,
    and no copy of its input.
    """
    return _ExtremeNeighbour.apply(values, tuple(axes), which == "highest")  # type: ignore[return-value]


class _ExtremeNeighbour(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, axes: tuple[int, ...], highest: bool) -> Tensor:
        beats, pick = (torch.gt, torch.maximum) if highest else (torch.lt, torch.minimum)
        extreme = values.clone()
        source = torch.zeros(values.shape, dtype=torch.int8, device=values.device)
        for number, axis, here, there in _neighbours(values, axes):
            found, candidate = extreme.narrow(axis, *here), values.narrow(axis, *there)
            source.narrow(axis, *here).masked_fill_(beats(candidate, found), number)
            pick(candidate, found, out=found)
        ctx.save_for_backward(source)
        ctx.axes = axes
        return extreme

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (source,), gradient = ctx.saved_tensors, gradients[0]
        result = gradient * (source == 0)
        for number, axis, here, there in _neighbours(gradient, ctx.axes):
            taken = (source.narrow(axis, *here) == number).to(gradient.dtype)
            result.narrow(axis, *there).addcmul_(gradient.narrow(axis, *here), taken)
        return result, None, None


def _neighbours(
    values: Tensor, axes: tuple[int, ...]
) -> list[tuple[int, int, tuple[int, int], tuple[int, int]]]:
    """Number, axis, and the begin and length of the voxels that have it and of it."""
    found = []
    for axis in axes:
        rest = values.shape[axis] - 1
        found.append((len(found) + 1, axis, (1, rest), (0, rest)))
        found.append((len(found) + 1, axis, (0, rest), (1, rest)))
    return found
