"""In which order cubes are visited. The cubes of a finished run do not depend on it."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from topodelin.delineation.frontier import Rank, by_arrival
from topodelin.delineation.lattice import Lattice
from topodelin.volumes import Index, Spacing

PRIORITIES = ("distance", "confidence", "arrival")


def check_priority(priority: str) -> None:
    """Refuse a name that is none of `PRIORITIES`."""
    if priority not in PRIORITIES:
        raise ValueError(f"`priority` must be one of {', '.join(PRIORITIES)}, got {priority!r}")


def ranking(priority: str, seeds: np.ndarray, lattice: Lattice, spacing: Spacing) -> Rank:
    """The rank of cubes, the least first, by the name of a priority.

    Args:
        priority: "distance" = of the middle of the cube from the nearest seed, µm; "confidence" =
            how far the least distance on the border that led there lies below the threshold, the
            surest first; "arrival" = first found, first visited.
        seeds: (S, 3) µm.
        lattice: the cubes.
        spacing: of their voxels, µm.
    """
    check_priority(priority)
    if priority == "arrival":
        return by_arrival
    if priority == "confidence":
        return _by_confidence
    return DistanceFromSeeds(seeds, lattice, spacing)


class DistanceFromSeeds:
    """The distance of the middle of a cube from the nearest seed, µm."""

    def __init__(self, seeds: np.ndarray, lattice: Lattice, spacing: Spacing) -> None:
        self._tree = KDTree(seeds)
        self._edges = np.multiply(lattice.cube, spacing)
        self._shift = np.array(spacing) / 2  # voxel 0 has its centre, not its edge, at 0 µm

    def __call__(self, cubes: Sequence[Index], confidences: Sequence[float]) -> Sequence[float]:
        if not cubes:
            return []
        middles = (np.asarray(cubes) + 0.5) * self._edges - self._shift
        return self._tree.query(middles)[0].tolist()


def _by_confidence(cubes: Sequence[Index], confidences: Sequence[float]) -> Sequence[float]:
    return [-value for value in confidences]
