"""Thinning of a mask to its centrelines, without losing any neurite on the way."""

from itertools import combinations

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import label

EVERYWHERE = np.ones((3, 3, 3), dtype=bool)  # 26 neighbours

WIDENINGS = [axes for count in (1, 2, 3) for axes in combinations(range(3), count)]

Mask = Bool[np.ndarray, "z y x"]


def thin(mask: Mask) -> Mask:
    """The voxels of a mask's centrelines (Lee's thinning, 26-neighbourhood).

    The implementation in scikit-image deletes some components altogether, such as straight tubes
    whose width is even. These are made one voxel wider along one axis, or two, or all three, until
    a line is left; it lies at most a voxel beside their middle. A compact blob may still vanish:
    it has no centreline.
    """
    from skimage.morphology import skeletonize  # slow to import, and scoring needs none of it

    skeleton = np.asarray(skeletonize(mask, method="lee")).astype(bool)
    components = np.asarray(label(mask, EVERYWHERE)[0], dtype=np.int64)  # type: ignore[index]
    kept = np.zeros(components.max(initial=0) + 1, dtype=bool)
    kept[0] = True
    kept[components[skeleton]] = True
    for axes in WIDENINGS:
        if kept.all():
            break
        lost = ~kept[components]
        again = np.asarray(skeletonize(_widened(lost, axes), method="lee")).astype(bool)
        found = again[:-1, :-1, :-1] & lost
        skeleton |= found
        kept[components[found]] = True
    return skeleton


def _widened(mask: Mask, axes: tuple[int, ...]) -> np.ndarray:
    """One voxel more at the far end of some axes, in an array that is larger by one in each."""
    wide = np.pad(mask, ((0, 1),) * 3)
    for axis in axes:
        wide |= np.roll(wide, 1, axis)  # what is rolled in was padded, and is empty
    return wide
