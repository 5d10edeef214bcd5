"""How much of a volume a search looked at, cube by cube."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Coverage:
    """The lattice of cubes that a volume was searched in, and which of them were computed.

    Args:
        visited: (z, y, x) bool, one entry per cube of the lattice.
        cube_um: size of a cube `(z, y, x)`, µm; the lattice starts at the volume's corner.
    """

    visited: np.ndarray
    cube_um: tuple[float, float, float]

    def __post_init__(self) -> None:
        visited = np.array(self.visited, dtype=bool)
        if visited.ndim != 3 or not visited.size:
            raise ValueError(
                f"`visited` must have one entry per cube (z, y, x), got shape {visited.shape}"
            )
        visited.flags.writeable = False
        object.__setattr__(self, "visited", visited)

    @property
    def cubes(self) -> int:
        """Cubes in the lattice."""
        return int(self.visited.size)

    @property
    def computed(self) -> int:
        """Cubes that were computed."""
        return int(self.visited.sum())

    @property
    def never_computed(self) -> float:
        """Share of the cubes that was never computed, in [0, 1]."""
        return 1 - self.computed / self.cubes
