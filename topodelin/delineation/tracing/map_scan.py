"""Which cubes of a distance map hold neurites, and whether it is a distance map at all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from topodelin.delineation.lattice import Lattice
from topodelin.volumes import Index, Volume

STEEPEST = 2.0  # finest voxel edges from one voxel to the next along x, per edge; truth has 1
STEEP_SHARE = 0.02  # of the steps that change anything
MOST = 0.5  # share of neurite in a volume that no image has
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MapScan:
    """What was found in a distance map.

    Args:
        cubes: those with foreground, in (z, y, x) order.
        d_max: the largest value, where the map is clipped.
    """

    cubes: tuple[Index, ...]
    d_max: float


def scan_map(
    volume: Volume, lattice: Lattice, threshold: float, name: str, progress: Progress | None = None
) -> MapScan:
    """Look at every chunk of a distance map once.

    Args:
        volume: the map, one channel.
        lattice: its cubes.
        threshold: distance below which a voxel belongs to a neurite, finest voxel edges.
        name: what errors call it.
        progress: told of cubes done and their total.

    Raises:
        ValueError: it cannot be a distance map: negative or not a number, the same everywhere,
            steeper than a distance can be, or below the threshold in more than half of the volume,
            as masks and probabilities are.
    """
    cubes, held, below, largest, least = [], 0, 0, -np.inf, np.inf
    steps, steep = 0, 0
    edge = STEEPEST * volume.spacing[2] / min(volume.spacing)
    for done, cube in enumerate(lattice, 1):
        core = lattice.core(cube)
        values = volume.read(core)
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise ValueError(f"{name} holds NaN or infinity near voxel {core.begin}")
        if low < 0:
            raise ValueError(
                f"{name} is no distance map, it holds {low:g} near voxel {core.begin}: distances "
                "are 0 on a centreline and positive elsewhere; give the map that a network of "
                "distances made (distance_map.ome.zarr of a run)"
            )
        count = int(np.count_nonzero(values < threshold))
        if count:
            cubes.append(cube)
            slopes = np.abs(np.diff(values.astype(np.float32), axis=-1))
            changing = slopes > 0
            steps += int(np.count_nonzero(changing))
            steep += int(np.count_nonzero(slopes > edge))
        held, below = held + values.size, below + count
        least, largest = min(least, low), max(largest, high)
        if progress is not None:
            progress(done, lattice.total)
    if least == largest:
        raise ValueError(f"{name} is no distance map, it is {least:g} everywhere")
    if steep > STEEP_SHARE * steps:
        raise ValueError(
            f"{name} is no distance map, it changes by more than {edge:g} from one voxel to the "
            f"next in {100 * steep / steps:.0f} % of them, and a distance by 1; give the map that "
            "a network of distances made, not the image (distance_map.ome.zarr of a run)"
        )
    if below > MOST * held:
        share = 100 * below / held
        raise ValueError(
            f"{name} is no distance map, {share:.0f} % of it lie below the threshold of "
            f"{threshold:g} voxels; a mask or a probability has to be made one first, and a "
            "distance map in another unit needs its own --threshold"
        )
    return MapScan(tuple(cubes), largest)
