"""From a mask of neurites to the distance map of their centreline.

The networks of this library learn from centrelines; where only a mask was annotated, its skeleton
stands for them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt, label, maximum_position
from torch import Tensor

D_MAX = 15.0


def mask_to_distance(
    mask: Tensor, *, d_max: float = D_MAX, spacing: Sequence[float] | None = None
) -> Float[Tensor, "batch 1 *space"]:
    """The distance map of the centreline of a mask: skeleton, exact distance, clipped.

    Args:
        mask: `(batch, 1, *space)` or `(batch, *space)` of bool or whole numbers 0 and 1, or such
            numbers as floats; a centreline is its own skeleton.
        d_max: where the map is clipped.
        spacing: length of a voxel edge along each axis in units of the map; 1 when None.

    Computed on the host with scikit-image and scipy, which takes seconds for 192^3: do it where
    batches are made. An empty mask is `d_max` everywhere.
    """
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(
            "`mask` must hold 0 for background and 1 for foreground only, got values between "
            f"{float(mask.min()):g} and {float(mask.max()):g}; choose one class, as in labels == k"
        )
    labels = mask.detach().cpu().bool().numpy()
    if labels.ndim > 3 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (3, 4):
        raise ValueError(
            "`mask` must be (batch, 1, *space) with two or three axes of space, got the shape "
            f"{tuple(mask.shape)}"
        )
    if spacing is not None and len(spacing) != labels.ndim - 1:
        raise ValueError(
            f"`spacing` must hold the length of a voxel edge for {labels.ndim - 1} axes, got "
            f"{tuple(spacing)}"
        )
    maps = [_centreline_distance(one, d_max, spacing) for one in labels]
    return torch.from_numpy(np.stack(maps))[:, None].to(mask.device)


def skeleton(mask: np.ndarray) -> np.ndarray:
    """The skeleton of a mask of two or three axes; every component keeps at least one voxel."""
    from skimage.morphology import skeletonize  # seconds to import, and few need it

    thin = np.asarray(skeletonize(mask)).astype(bool)
    components, count = label(mask, np.ones((3,) * mask.ndim))  # type: ignore[misc]
    kept = np.unique(components[thin])
    lost = np.setdiff1d(np.arange(1, count + 1), kept)
    if len(lost):  # small blocks vanish altogether in three dimensions
        middles = maximum_position(distance_transform_edt(mask), components, lost)
        thin[tuple(np.array(middles).T)] = True
    return thin


def _centreline_distance(
    mask: np.ndarray, d_max: float, spacing: Sequence[float] | None
) -> np.ndarray:
    if not mask.any():
        return np.full(mask.shape, d_max, np.float32)
    distance = np.asarray(distance_transform_edt(~skeleton(mask), sampling=spacing))
    return np.minimum(distance, d_max).astype(np.float32)
