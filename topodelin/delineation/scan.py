"""The scan of a whole volume for seeds, row of cubes by row of cubes, in a file that survives."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from topodelin.delineation.crews.crew import over_cubes
from topodelin.delineation.crews.workers import Workers
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.seeds import BrightPlace
from topodelin.volumes import Box, Index

SMALL = 1000  # cubes that this process has looked at before others have started


@dataclass(frozen=True, eq=False)
class RowScan:
    """Looks for seeds in a row of cubes along x, one cube after the other.

    Args:
        look: finds the seed of one cube.
        columns: the cubes of a row along x.
    """

    look: BrightPlace
    columns: range

    def __call__(self, row: Index) -> list[list[float]]:
        """The seeds, µm, of the cubes of the row that begins with `(z, y, 0)`."""
        z, y, _ = row
        found = [self.look((z, y, x)) for x in self.columns]
        return [seed.tolist() for seed in found if seed is not None]


def scan_for_seeds(
    look: BrightPlace,
    frontier: Frontier,
    workers: Workers,
    about: dict[str, Any],
    within: Box | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """(S, 3) µm: what `coarse_seeds` finds, with the rows scanned before an interruption kept.

    Args:
        look: finds the seed of one cube.
        frontier: keeps finished rows.
        workers: do the rows, if they are many.
        about: the image, its grid and the part of it; rows of another are forgotten.
        within: voxels of the working grid; only cubes that share one with it are looked at.
        progress: called with the number of cubes looked at and their total.

    Raises:
        ValueError, OSError: the image cannot be read.
    """
    part = within or Box((0, 0, 0), look.lattice.shape)
    ends = zip(part.begin, part.end, look.lattice.cube, strict=True)
    depth, height, width = (range(b // cube, -(-e // cube)) for b, e, cube in ends)
    about = about | {"intensity": asdict(look.intensity), "brightness": look.brightness}
    known = frontier.scanned(json.dumps(about, sort_keys=True))
    rows = [(z, y, 0) for z in depth for y in height if (z, y) not in known]
    done, total = len(known), len(depth) * len(height)
    if rows:
        staff = workers if total * len(width) > SMALL else Workers()
        with staff.crew(RowScan(look, width), volumes=[look.volume]) as crew:
            for (z, y, _), seeds in over_cubes(crew, rows):
                known[z, y] = json.dumps(seeds)
                frontier.store_scan(z, y, known[z, y])
                done += 1
                if progress is not None:
                    progress(done * len(width), total * len(width))
    found = [seed for row in sorted(known) for seed in json.loads(known[row])]
    return np.array(found, dtype=np.float64).reshape(-1, 3)
