r"""Losses on the minimum projections of a three-dimensional distance map.

A distance map is 0 on a centreline and grows away from it, so the *minimum* along an axis keeps
every neurite visible in the resulting image. A gap in space stays a gap in at least two of the
three projections unless another neurite hides it, which lets a loss that only understands images
act on volumes. For a whole volume, the minimum projection of the distance map is the distance map
of the projected annotation.

References:
    D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
    using their 2D projections. MICCAI 2022. arXiv:2207.06832.
"""

from collections.abc import Callable, Sequence
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor, nn

from topodelin.losses.checks import check_pair
from topodelin.losses.kernels.host_threads import over_ranges

Volumes = Float[Tensor, "batch channel depth height width"]
Images = Float[Tensor, "batch images rows columns"]
Scalar = Float[Tensor, ""]
ImageLoss = Callable[[Tensor, Tensor], Tensor]

AXES = (2, 3, 4)  # depth, height, width


def over_min_projections(
    loss: ImageLoss,
    prediction: Tensor,
    target: Tensor,
    axes: Sequence[int] = AXES,
    slab: int | None = None,
) -> Scalar:
    r"""Apply an image loss to the minimum projections along each axis and add the results.

    $$L(D, Y) = \sum_{a \in A} \ell\bigl(\min\nolimits_a D,\; \min\nolimits_a Y\bigr)$$

    Args:
        loss: $\ell$, taking two tensors of images `(batch, images, rows, columns)`, returning a
            scalar.
        prediction: $D$, the predicted distance maps `(batch, channel, depth, height, width)`.
        target: $Y$, the annotated distance maps, of the same shape.
        axes: $A$, the axes to project along, of 2 (depth), 3 (height) and 4 (width).
        slab: project slabs of so many voxels instead of the whole axis, for dense volumes whose
            neurites hide each other; every slab is one more image.

    The gradient reaches one voxel of each ray, the first that attains the minimum.
    """
    check_projection(axes, slab)
    check_pair(prediction, target, dims=3)
    pairs = zip(
        min_projections(prediction, axes, slab), min_projections(target, axes, slab), strict=True
    )
    return torch.stack([loss(*pair) for pair in pairs]).sum()


class MinProjectionLoss(nn.Module):
    """[`over_min_projections`][] with its image loss, axes and slab fixed."""

    def __init__(
        self, loss: ImageLoss, *, axes: Sequence[int] = AXES, slab: int | None = None
    ) -> None:
        super().__init__()
        check_projection(axes, slab)
        self.loss = loss
        self.axes = tuple(axes)
        self.slab = slab

    def forward(self, prediction: Tensor, target: Tensor) -> Scalar:
        return over_min_projections(self.loss, prediction, target, self.axes, self.slab)


def check_projection(axes: Sequence[int], slab: int | None) -> None:
    """Refuse axes that are not axes of space, repeated ones, and empty slabs."""
    if not axes or not set(axes) <= set(AXES) or len(set(axes)) < len(axes):
        raise ValueError(
            f"`axes` must be drawn from {AXES} (depth, height, width), each once, got {axes}"
        )
    if slab is not None and slab < 1:
        raise ValueError(f"`slab` must be at least 1 voxel, or None for the whole axis, got {slab}")


def min_projections(
    volumes: Volumes, axes: Sequence[int] = AXES, slab: int | None = None
) -> list[Images]:
    """Minimum projections along each of `axes`, in their order, with the gradient of each.

    With slabs, the projections of one volume follow each other on the second axis of the result,
    `channel * slabs` long; the last slab may be thinner. Where several voxels of a ray attain the
    minimum, the first receives the gradient, so that a result never depends on the machine.
    """
    if volumes.device.type != "cpu":
        return [project_by_torch(volumes, axis, slab) for axis in axes]
    thickness = [(slab or volumes.shape[axis]) if axis in axes else 0 for axis in AXES]
    # One pass over the volume finds all projections; one gather makes them differentiable.
    volume = np.ascontiguousarray(volumes.detach().float().flatten(0, 1).numpy())
    count, *space = volume.shape
    nearest = [
        np.empty((count, -(-length // step) if step else 0, *space[:a], *space[a + 1 :]), np.int64)
        for a, (length, step) in enumerate(zip(space, thickness, strict=True))
    ]
    over_ranges(lambda begin, end: first_minima(volume, begin, end, *thickness, *nearest), count)
    used = [nearest[axis - AXES[0]] for axis in axes]
    index = torch.from_numpy(np.concatenate([found.ravel() for found in used]))
    values = volumes.reshape(-1).index_select(0, index)
    parts = values.split([found.size for found in used])
    return [
        part.reshape(len(volumes), -1, *found.shape[2:])
        for part, found in zip(parts, used, strict=True)
    ]


def project_by_torch(volumes: Tensor, axis: int, slab: int | None) -> Tensor:
    slabs = volumes.split(slab or volumes.shape[axis], axis)
    return torch.stack([part.min(axis).values for part in slabs], 2).flatten(1, 2)


@njit(cache=True, nogil=True)
@no_type_check
def first_minima(
    volume: np.ndarray,
    begin: int,
    end: int,
    depth_step: int,
    height_step: int,
    width_step: int,
    along_z: np.ndarray,
    along_y: np.ndarray,
    along_x: np.ndarray,
) -> None:
    """Flat indices of the first minimum on every ray along each axis, all in one pass.

    Args:
        volume: (n, depth, height, width) float32, no NaN; `begin`..`end` of the n are treated.
        depth_step, height_step, width_step: thickness of the slabs; 0 skips the axis.
        along_z, along_y, along_x: int64 (n, slabs, height, width), (n, slabs, depth, width) and
            (n, slabs, depth, height), written; no slabs where skipped.
    """
    _, depth, height, width = volume.shape
    slabs_z, slabs_y, slabs_x = along_z.shape[1], along_y.shape[1], along_x.shape[1]
    lowest_z = np.empty((slabs_z, height, width), np.float32)
    lowest_y = np.empty((slabs_y, width), np.float32)
    for n in range(begin, end):
        for z in range(depth):
            for y in range(height):
                start = ((n * depth + z) * height + y) * width
                row = volume[n, z, y]
                if slabs_z > 0:
                    lowest, found = lowest_z[z // depth_step, y], along_z[n, z // depth_step, y]
                    first = z % depth_step == 0
                    for x in range(width):
                        if first or row[x] < lowest[x]:
                            lowest[x] = row[x]
                            found[x] = start + x
                if slabs_y > 0:
                    lowest, found = lowest_y[y // height_step], along_y[n, y // height_step, z]
                    first = y % height_step == 0
                    for x in range(width):
                        if first or row[x] < lowest[x]:
                            lowest[x] = row[x]
                            found[x] = start + x
                for s in range(slabs_x):
                    best = s * width_step
                    for x in range(best + 1, min(best + width_step, width)):
                        if row[x] < row[best]:
                            best = x
                    along_x[n, s, z, y] = start + best
