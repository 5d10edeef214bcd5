"""The lattice of cubes that a volume is searched in."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from topodelin.volumes import Box, Index

DIRECTIONS: tuple[Index, ...] = tuple(
    (dz, dy, dx) for dz, dy, dx in product((-1, 0, 1), repeat=3) if (dz, dy, dx) != (0, 0, 0)
)


@dataclass(frozen=True)
class Lattice:
    """Equal cubes that tile a volume from voxel (0, 0, 0); the last along an axis may be cut.

    Args:
        shape: voxels of the volume `(z, y, x)`.
        cube: voxels of one cube `(z, y, x)`; also the chunk of the stored distance map, so that
            a cube is always written as whole chunks.
    """

    shape: Index
    cube: Index

    def __post_init__(self) -> None:
        for name in ("shape", "cube"):
            values = tuple(int(value) for value in getattr(self, name))
            if len(values) != 3 or min(values) < 1:
                raise ValueError(f"`{name}` must be three positive voxel counts, got {values}")
            object.__setattr__(self, name, values)

    @property
    def counts(self) -> Index:
        """Cubes along `(z, y, x)`."""
        z, y, x = (-(-n // c) for n, c in zip(self.shape, self.cube, strict=True))
        return z, y, x

    @property
    def total(self) -> int:
        """Cubes in the lattice."""
        z, y, x = self.counts
        return z * y * x

    def __iter__(self) -> Iterator[Index]:
        z, y, x = map(range, self.counts)
        yield from product(z, y, x)

    def __contains__(self, cube: Index) -> bool:
        return all(0 <= i < n for i, n in zip(cube, self.counts, strict=True))

    def core(self, cube: Index) -> Box:
        """The voxels that belong to a cube and to no other, inside the volume."""
        return self.full(cube).clip(self.shape)

    def full(self, cube: Index) -> Box:
        """The cube at its whole size, also where it reaches beyond the volume's end."""
        begin = np.multiply(cube, self.cube)
        return Box(_index(begin), _index(begin + self.cube))

    def holding(self, voxel: Index) -> Index:
        """The cube to which a voxel belongs."""
        return _index(np.floor_divide(voxel, self.cube))

    def neighbours(self, cube: Index) -> Iterator[tuple[Index, Index]]:
        """`(direction, cube)` of each of the up to 26 cubes that touch this one."""
        for direction in DIRECTIONS:
            neighbour = _index(np.add(cube, direction))
            if neighbour in self:
                yield direction, neighbour

    def overlapping(self, box: Box) -> Iterator[Index]:
        """Every cube that shares a voxel with a box inside the volume, in (z, y, x) order."""
        if box.size:
            first = np.floor_divide(box.begin, self.cube)
            last = np.floor_divide(np.subtract(box.end, 1), self.cube)
            z, y, x = (range(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
            yield from product(z, y, x)


def _index(values: np.ndarray) -> Index:
    z, y, x = (int(value) for value in values)
    return z, y, x
