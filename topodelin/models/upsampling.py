"""Bring a coarse map back to the size of the image, every value at its place."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LINEAR = {2: "bilinear", 3: "trilinear"}


def upsample(
    features: Float[Tensor, "batch channel *space_in"], stride: int, size: Sequence[int]
) -> Float[Tensor, "batch channel *space_out"]:
    """Linear interpolation between values that lie `stride` voxels apart.

    Value `i` comes to lie at voxel `i * stride`, where a convolution of odd kernel that steps
    `stride` voxels has its middle; so an image moved by `stride` moves the result by as much,
    whatever its size. Beyond the last value the map is constant.

    Args:
        size: of the result; at most `stride` times that of the features.

    Interpolation to 513 voxels from 33 with corners aligned, as in DeepLab, is the case in which no
    voxel lies beyond the last value.
    """
    axes = features.ndim - 2
    beyond = functional.pad(features, (0, 1) * axes, mode="replicate")
    whole = [stride * length + 1 for length in features.shape[2:]]
    drawn = functional.interpolate(beyond, size=whole, mode=LINEAR[axes], align_corners=True)
    return drawn[(..., *(slice(length) for length in size))]
