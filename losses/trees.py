"""The trees of an annotation: which voxels of a distance map belong to one neurite."""

import numpy as np
from jaxtyping import Float, Int32
from scipy import ndimage
from torch import Tensor

from topodelin.losses.probability import RADIUS


def annotated_trees(
    target: Float[Tensor, "batch channel *space"], radius: float = RADIUS
) -> Int32[np.ndarray, "batch channel *space"]:
    """Number the connected pieces of {target <= radius} from 1 in each image; 0 is background.

    Voxels that touch at a face, an edge or a corner are neighbours. Two neurites nearer to each
    other than twice the radius are one tree; a tree that leaves an image and comes back is two.

    Args:
        target: annotated distance maps, on any device; each channel is an image of its own.
        radius: of the tube around the centreline, in units of the distance map. With 0 only the
            voxels on the centreline count, and a map drawn between the voxels may have none.

    An annotation without a voxel in the tube has no tree: all zeros.
    """
    inside = (target.detach() <= radius).cpu().numpy()
    touching = np.ones((3,) * (target.ndim - 2))
    trees = np.zeros(inside.shape, np.int32)
    for image in np.ndindex(*inside.shape[:2]):
        ndimage.label(inside[image], touching, output=trees[image])
    return trees


def check_radius(radius: float) -> None:
    """Refuse a tube that would hold nothing or everything."""
    if not 0 <= radius < float("inf"):
        raise ValueError(f"`radius` must be 0 or more and finite, got {radius}")
