"""What is traced: a distance map and what is known beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topodelin.delineation.lattice import Lattice
from topodelin.volumes import Index, Volume


@dataclass(frozen=True, eq=False)
class TraceSource:
    """A distance map and what is known beside it.

    Args:
        distance_map: of the whole working grid, finest voxel edges.
        lattice: cubes of the working grid.
        cubes: those that hold foreground; all others count as empty.
        threshold: distance below which a voxel belongs to a neurite.
        min_voxels: size of the smallest component of the mask that counts.
        d_max: distance where nothing is stored.
        seeds: (S, 3) µm, where trees are rooted.
        seeds_given: whether a person set the seeds; those of a scan are many on each tree.
        image: on a grid of its own, for radii and bright ends.
        failed: `(cube, what went wrong)` of cubes that could not be predicted.
    """

    distance_map: Volume
    lattice: Lattice
    cubes: Sequence[Index]
    threshold: float
    min_voxels: int
    d_max: float
    seeds: np.ndarray
    seeds_given: bool = True
    image: Volume | None = None
    failed: tuple[tuple[Index, str], ...] = ()

    @property
    def radius_um(self) -> float:
        """Of neurites in the mask, µm."""
        return self.threshold * min(self.distance_map.spacing)
