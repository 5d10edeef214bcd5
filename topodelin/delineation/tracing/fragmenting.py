"""The fragments of all cubes: made where something changed, by one process or several."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from topodelin.delineation.crews.crew import over_cubes
from topodelin.delineation.crews.workers import HERE, Workers
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.tracing.fragment_store import FragmentStore
from topodelin.delineation.tracing.fragments import Fragment, fragment
from topodelin.delineation.tracing.stored_distances import StoredDistances
from topodelin.delineation.tracing.trace_source import TraceSource
from topodelin.volumes import Box, Index

BATCH = 64  # fragments that are stored in one transaction

Progress = Callable[[int, int], None]


def overlap(threshold: float) -> int:
    """Voxels of its neighbours that a cube is thinned with.

    Twice the diameter of a neurite in the mask: with that much, two neighbours agree on the
    skeleton at their border (measured on random curves, isotropic and noisy: all of it).
    """
    return max(8, math.ceil(4 * threshold))


@dataclass(frozen=True, eq=False)
class Fragmenter:
    """Makes the fragment of any cube; picklable, so that a worker process can do it too.

    A fragment depends on the distances in its cube and `overlap` around it. Its stamp is a hash of
    these and of everything else it depends on, so it is made again when, and only when, the
    distance map of the cube or of a neighbour near it has changed.

    Args:
        stored: the distance map.
        lattice: its cubes.
        threshold: distance below which a voxel belongs to a neurite.
        min_voxels: size of the smallest component of the mask that counts.
        known: stamps of fragments that are there.
    """

    stored: StoredDistances
    lattice: Lattice
    threshold: float
    min_voxels: int
    known: Mapping[Index, bytes]

    def __call__(self, cube: Index) -> tuple[bytes, Fragment | None]:
        """The stamp of a cube and, unless it is the one known, its fragment."""
        core = self.lattice.core(cube)
        box = core.grow(overlap(self.threshold)).clip(self.lattice.shape)
        distance = self.stored.read(box)
        rule = (self.threshold, self.min_voxels, box, core, self.lattice.shape)
        digest = hashlib.blake2b(repr(rule).encode(), digest_size=16)
        digest.update(distance.tobytes())
        stamp = digest.digest()
        if stamp == self.known.get(cube):
            return stamp, None
        return stamp, fragment(
            distance,
            box,
            core,
            self.lattice.shape,
            threshold=self.threshold,
            min_voxels=self.min_voxels,
        )


def make_fragments(
    source: TraceSource,
    store: FragmentStore,
    *,
    workers: Workers = HERE,
    progress: Progress | None = None,
) -> int:
    """Bring the store up to date; the number of fragments that had to be made.

    Args:
        source: its cubes; the fragments of others are forgotten.
        store: of an earlier run or an empty one.
        workers: who thins the cubes.
        progress: told of cubes done and their total.
    """
    cubes, lattice = sorted(source.cubes), source.lattice
    store.keep_only(frozenset(cubes))
    stored = StoredDistances(source.distance_map, lattice, frozenset(cubes), source.d_max)
    fragmenter = Fragmenter(stored, lattice, source.threshold, source.min_voxels, store.stamps())
    made: list[tuple[Index, bytes, Fragment, Box]] = []
    count = 0
    with workers.crew(fragmenter, volumes=[source.distance_map]) as crew:
        for done, (cube, (stamp, found)) in enumerate(over_cubes(crew, cubes), 1):
            if found is not None:
                made.append((cube, stamp, found, lattice.core(cube)))
            if len(made) == BATCH or (made and done == len(cubes)):
                store.put(made, lattice.shape)
                count, made = count + len(made), []
            if progress is not None:
                progress(done, len(cubes))
    return count
