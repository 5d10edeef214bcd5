"""Where the search goes next: what in a cube counts as neurite, and which neighbours it reaches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from topodelin.delineation.lattice import DIRECTIONS
from topodelin.volumes import Index, Spacing


@dataclass(frozen=True)
class SearchRule:
    r"""What makes the search enter a neighbouring cube.

    The foreground of a cube is the set of voxels with distance below `threshold`, less its
    26-connected components of fewer than `min_voxels` voxels. The neighbour in direction $d$ is
    entered when a foreground voxel lies within `reach_um` of the face, edge or corner shared with
    it. A cube is judged by its own core only, so the set of cubes visited depends on the image
    and the network and on nothing else.

    Args:
        threshold: distance below which a voxel belongs to a neurite, in finest voxel edges.
        min_voxels: size of the smallest component that counts.
        reach_um: a border is reached from this far, µm. A margin of safety: a neurite that clips
            the corner of a cube in too few voxels to count is still followed into the next.
    """

    threshold: float
    min_voxels: int = 30
    reach_um: float = 3.0

    def __post_init__(self) -> None:
        for name in ("threshold", "min_voxels", "reach_um"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")


def foreground(distance: np.ndarray, threshold: float, min_voxels: int) -> np.ndarray:
    """(z, y, x) bool: voxels with distance below `threshold`, without small components."""
    mask = distance < threshold
    if not mask.any():
        return mask
    box = tuple(_extent(np.asarray(mask.any(axis=axes))) for axes in ((1, 2), (0, 2), (0, 1)))
    labels = np.zeros(mask[box].shape, np.int32)
    label(mask[box], np.ones((3, 3, 3)), output=labels)
    large = np.bincount(labels.ravel()) >= min_voxels
    large[0] = False
    mask[box] = large[labels]
    return mask


def _extent(occupied: np.ndarray) -> slice:
    """From the first to the last true entry."""
    places = np.flatnonzero(occupied)
    return slice(int(places[0]), int(places[-1]) + 1)


def directions_reached(mask: np.ndarray, spacing: Spacing, reach_um: float) -> tuple[Index, ...]:
    """The directions whose shared face, edge or corner lies within `reach_um` of a true voxel.

    The distance of a voxel from a face is measured from its outer side, so the voxels of the
    outermost layer lie within any reach.
    """
    if not mask.any():
        return ()
    sides = _sides(mask.shape, spacing, reach_um)
    return tuple(
        direction
        for direction in DIRECTIONS
        if mask[tuple(side[step] for side, step in zip(sides, direction, strict=True))].any()
    )


def border_confidence(
    distance: np.ndarray,
    mask: np.ndarray,
    directions: Sequence[Index],
    spacing: Spacing,
    rule: SearchRule,
) -> dict[Index, float]:
    """How sure it is that a neurite goes on in each direction, from 0 to 1.

    `1 - d / threshold` of the least distance `d` of a foreground voxel within reach of the border.

    Args:
        distance: (z, y, x) of a cube, finest voxel edges.
        mask: its foreground.
        directions: those reached.
        spacing: µm per voxel.
        rule: its threshold and reach.
    """
    if not directions:
        return {}
    sides = _sides(mask.shape, spacing, rule.reach_um)
    seen = np.where(mask, distance, np.float32(rule.threshold))
    least = {
        direction: float(
            seen[tuple(side[step] for side, step in zip(sides, direction, strict=True))].min()
        )
        for direction in directions
    }
    return {direction: 1 - value / rule.threshold for direction, value in least.items()}


def _sides(shape: tuple[int, ...], spacing: Spacing, reach_um: float) -> list[dict[int, slice]]:
    """For each axis the voxels within reach of its near end, all of them, those of its far end."""
    layers = [max(1, int(reach_um / step + 1e-9)) for step in spacing]
    return [
        {-1: slice(0, n), 0: slice(None), 1: slice(max(0, size - n), size)}
        for n, size in zip(layers, shape, strict=True)
    ]
