"""Distance maps read across the cubes that hold something, for tracing."""

import math
from collections import OrderedDict

import numpy as np

from topodelin.delineation.lattice import Lattice
from topodelin.volumes import Box, Index, Volume

CACHE_BYTES = 64 * 2**20


class StoredDistances:
    """Distance maps read across cubes; a few cubes are kept, since neighbours are read together.

    Args:
        volume: the stored map.
        lattice: its cubes.
        cubes: those to read; all others are `d_max` everywhere.
        d_max: distance where nothing is stored.
        cache_bytes: of cubes kept.
    """

    def __init__(
        self,
        volume: Volume,
        lattice: Lattice,
        cubes: frozenset[Index],
        d_max: float,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._volume, self._lattice, self._cubes, self._d_max = volume, lattice, cubes, d_max
        self._room = max(1, cache_bytes // (4 * math.prod(lattice.cube)))
        self._kept: OrderedDict[Index, np.ndarray] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": OrderedDict()}

    def read(self, box: Box) -> np.ndarray:
        """(z, y, x) float32 of a box inside the volume."""
        result = np.full(box.shape, self._d_max, np.float32)
        for cube in self._lattice.overlapping(box):
            if cube in self._cubes:
                core = self._lattice.core(cube)
                shared = core & box
                part = self._cube(cube)[shared.relative_to(core.begin).slices]
                result[shared.relative_to(box.begin).slices] = part
        return result

    def _cube(self, cube: Index) -> np.ndarray:
        if cube in self._kept:
            self._kept.move_to_end(cube)
        else:
            array = self._volume.read(self._lattice.core(cube))
            self._kept[cube] = array[0] if array.ndim == 4 else array
            if len(self._kept) > self._room:
                self._kept.popitem(last=False)
        return self._kept[cube]
