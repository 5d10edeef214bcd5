"""What a run has found so far."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.delineation.tracing.tree_files import TreeFiles
from topodelin.volumes import Index, Volume


@dataclass(frozen=True, eq=False)
class Delineation:
    """What a run has found so far.

    Args:
        run_dir: the folder that holds it.
        cubes: (z, y, x) bool, one entry per cube of the lattice: whether it was predicted.
        waiting: cubes found and not visited, because the budget was used up.
        failed: `(cube, what went wrong)` of cubes that could not be predicted.
        trees: the neurites, longest first, µm.
        seeds: (S, 3) µm, where the search started.
        distance_map: finest voxel edges of its own grid; `d_max` where nothing was computed.
        skipped: cubes that were not predicted since they lie outside the part that was asked for,
            or since their image is blank.
    """

    run_dir: Path
    cubes: np.ndarray
    waiting: int
    failed: tuple[tuple[Index, str], ...]
    trees: TreeFiles
    seeds: np.ndarray
    distance_map: Volume
    skipped: int = 0

    @property
    def visited(self) -> int:
        """Cubes predicted."""
        return int(np.count_nonzero(self.cubes))

    @property
    def total(self) -> int:
        """Cubes in the volume."""
        return int(self.cubes.size)

    @property
    def length_um(self) -> float:
        """Of all neurites together, µm."""
        return self.trees.length_um

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        return {
            "run_dir": str(self.run_dir),
            "cubes_visited": self.visited,
            "cubes_total": self.total,
            "cubes_waiting": self.waiting,
            "cubes_skipped": self.skipped,
            "cubes_failed": [{"cube": list(cube), "error": why} for cube, why in self.failed],
            "trees": len(self.trees),
            "length_um": round(self.length_um, 3),
        }

    def __str__(self) -> str:
        share = 100 * self.visited / self.total
        lines = [
            f"{len(self.trees)} neurites, {self.length_um:.1f} µm, in {self.run_dir / 'trees'}",
            f"{self.visited} of {self.total} cubes visited ({share:.0f} %); their distance map is "
            f"{self.run_dir / 'distance_map.ome.zarr'}",
        ]
        if self.waiting:
            lines.append(
                f"{self.waiting} cubes wait, as the budget is used up; the same command with a "
                "larger budget, or none, goes on"
            )
        if self.failed:
            lines.append(
                f"{len(self.failed)} cubes failed; the same command with --retry-failed tries them "
                "again:"
            )
            lines += [f"  cube {cube}: {why}" for cube, why in self.failed]
        return "\n".join(lines)
