"""Distance maps drawn for tests of tracing, and a tracing of them."""

import csv
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

from topodelin.delineation.lattice import Lattice
from topodelin.delineation.run_folder import RunFolder
from topodelin.delineation.tracing.pipeline import trace
from topodelin.delineation.tracing.trace_source import TraceSource
from topodelin.delineation.tracing.tree_files import TreeFiles
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.volumes import Volume

D_MAX, THRESHOLD = 8.0, 1.5
NOWHERE = np.zeros((0, 3))
PLAIN = TreeRule(radius="fixed", bridge_um=0)

Line = list[tuple[float, float, float]]


def distances(lines: list[Line], shape: tuple[int, int, int]) -> np.ndarray:
    """Distance of each voxel from the nearest of some polylines, voxels, clipped."""
    centre = np.zeros(shape, bool)
    for line in lines:
        for start, end in zip(line[:-1], line[1:], strict=True):
            steps = 2 * int(np.abs(np.subtract(end, start)).max()) + 1
            points = np.rint(np.linspace(start, end, steps)).astype(int)
            centre[tuple(points.T)] = True
    return np.minimum(np.asarray(distance_transform_edt(~centre)), D_MAX).astype(np.float32)


def source(distance: np.ndarray, cube: int = 24, **known: object) -> TraceSource:
    lattice = Lattice(distance.shape, (cube, cube, cube))
    volume = Volume(distance, (1.0, 1.0, 1.0))
    cubes = tuple(c for c in lattice if (volume.read(lattice.core(c)) < THRESHOLD).any())
    given = {"seeds": NOWHERE} | known
    return TraceSource(volume, lattice, cubes, THRESHOLD, 5, D_MAX, **given)  # type: ignore[arg-type]


def traced(
    folder: Path, distance: np.ndarray, rule: TreeRule = PLAIN, *, cube: int = 24, **known: object
) -> TreeFiles:
    folder.mkdir(exist_ok=True)
    return trace(source(distance, cube, **known), rule, RunFolder(folder))


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table by the names of its columns."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
