"""Where the search starts: points from a file, or bright places found by a scan of the volume."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from topodelin.delineation.lattice import Lattice
from topodelin.volumes import Index, IntensityRange, Spacing, Volume, check_spacing

AXES = ("z", "y", "x")
UNITS = ("um", "voxel")


def read_seeds(
    path: str | Path, unit: str = "um", spacing: Sequence[float] | None = None
) -> np.ndarray:
    """(S, 3) float64 positions `(z, y, x)` in µm, from a comma-separated text file.

    The first line may name the columns; `z`, `y` and `x` may then stand in any order among others.
    Without names there must be three columns, in the order z, y, x. Empty lines and lines that
    start with `#` are skipped.

    Args:
        path: the file.
        unit: of the numbers, "um" or "voxel" (voxel (0, 0, 0) has its centre at 0 µm).
        spacing: µm per voxel `(z, y, x)` of the volume, needed for "voxel".

    Raises:
        ValueError: names the line that is not a position.
    """
    if unit not in UNITS:
        raise ValueError(f"`unit` must be one of {UNITS}, got {unit!r}")
    if unit == "voxel" and spacing is None:
        raise ValueError("`spacing` must be given with seeds in voxels: µm per voxel (z, y, x)")
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file; give seeds as lines z,y,x") from None
    rows = [
        (number, [cell.strip() for cell in next(csv.reader([line]))])
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if rows and not _is_number(rows[0][1][0]):
        columns = _columns(path, *rows.pop(0))
    else:
        columns = [0, 1, 2]
        for number, cells in rows:
            if len(cells) != 3:
                raise ValueError(
                    f"{path}, line {number}: must hold three numbers z,y,x, got {len(cells)}; "
                    "name the columns in the first line if there are others"
                )
    if not rows:
        raise ValueError(f"{path} holds no seeds; write one line z,y,x for each")
    seeds = np.array([_position(path, number, cells, columns) for number, cells in rows])
    return seeds * check_spacing(spacing) if unit == "voxel" and spacing is not None else seeds


def _columns(path: Path, number: int, names: list[str]) -> list[int]:
    lower = [name.lower() for name in names]
    if sorted(lower.count(axis) for axis in AXES) != [1, 1, 1]:
        raise ValueError(
            f"{path}, line {number}: must name the columns z, y and x once each, got {names}"
        )
    return [lower.index(axis) for axis in AXES]


def _position(path: Path, number: int, cells: list[str], columns: list[int]) -> list[float]:
    try:
        values = [float(cells[column]) for column in columns]
    except (ValueError, IndexError):
        values = []
    if not values or not np.isfinite(values).all():
        raise ValueError(f"{path}, line {number}: must hold numbers for z,y,x, got {cells}")
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def as_seeds(seeds: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """(S, 3) float64, µm `(z, y, x)`; anything else, and no seed at all, is refused."""
    array = np.asarray(seeds, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array) or not np.isfinite(array).all():
        raise ValueError(
            "`seeds` must hold at least one position (z, y, x) in µm, one a row, all finite, got "
            f"shape {array.shape}"
        )
    return array


def cubes_at(
    seeds: np.ndarray, volume: Volume, lattice: Lattice, spacing: Spacing, reach_um: float
) -> list[Index]:
    """The cubes that hold a seed or lie within `reach_um` of one along every axis, ascending.

    Args:
        seeds: (S, 3) µm.
        volume: the image that the seeds were set in.
        lattice: cubes of the working grid.
        spacing: of the working grid, µm.
        reach_um: how far the search looks across the border of a cube.

    Raises:
        ValueError: a seed lies outside the volume.
    """
    step, size = np.array(volume.spacing), np.array(volume.shape)
    outside = ((seeds < -step / 2) | (seeds > (size - 0.5) * step)).any(axis=1)
    if outside.any():
        where = ", ".join(f"{value:g}" for value in seeds[outside.argmax()])
        extent = ", ".join(f"{value:g}" for value in (size - 1) * step)
        raise ValueError(
            f"`seeds` must lie inside the volume, from (0, 0, 0) to ({extent}) µm (z, y, x), got "
            f"{int(outside.sum())} outside, the first at ({where}) µm; are they in voxels "
            "(--seed-unit voxel), or in the order x,y,z?"
        )
    found: set[Index] = set()
    for seed in seeds:
        low, high = (
            lattice.holding(_nearest_voxel(seed + side, spacing, lattice.shape))
            for side in (-reach_um, reach_um)
        )
        found.update(
            (z, y, x)
            for z in range(low[0], high[0] + 1)
            for y in range(low[1], high[1] + 1)
            for x in range(low[2], high[2] + 1)
        )
    return sorted(found)


def _nearest_voxel(position: np.ndarray, spacing: Spacing, shape: Index) -> Index:
    """The voxel of a grid nearest to a position (µm), which may lie outside."""
    voxel = np.clip(np.rint(position / spacing), 0, np.subtract(shape, 1))
    z, y, x = (int(value) for value in voxel)
    return z, y, x


def coarse_seeds(
    volume: Volume,
    lattice: Lattice,
    intensity: IntensityRange,
    *,
    cubes: Sequence[Index] | None = None,
    brightness: float = 0.5,
    smoothing: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """(S, 3) µm: the brightest place of each cube that has one bright enough.

    Every cube is read once, smoothed by a Gaussian and searched for its maximum, which becomes a
    seed when it reaches `brightness`. So the cost is that of reading the whole volume once, and
    the memory that of a few cubes whatever the volume's size. Noise alone does not reach the
    threshold: the smoothing takes it down by a factor of six.

    Args:
        volume: the image on the working grid.
        lattice: the cubes of that grid.
        intensity: what the image is normalised with.
        cubes: the part of the lattice to look at; all of it by default.
        brightness: on the scale of `intensity`: 0 is background, 1 the brightest per mille.
        smoothing: standard deviation of the Gaussian, finest voxel edges.
        progress: called with the number of cubes looked at and their total.
    """
    look = BrightPlace(volume, lattice, intensity, brightness, smoothing)
    chosen = lattice if cubes is None else cubes
    total = lattice.total if cubes is None else len(cubes)
    seeds = []
    for done, cube in enumerate(chosen, 1):
        seed = look(cube)
        if seed is not None:
            seeds.append(seed)
        if progress is not None:
            progress(done, total)
    return np.array(seeds, dtype=np.float64).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class BrightPlace:
    """Finds the brightest place of a cube; the arguments are those of [`coarse_seeds`][]."""

    volume: Volume
    lattice: Lattice
    intensity: IntensityRange
    brightness: float = 0.5
    smoothing: float = 1.0

    def __call__(self, cube: Index) -> np.ndarray | None:
        """(3,) µm; None where nothing is bright enough."""
        core = self.lattice.core(cube)
        image = self.volume.read(core)
        image = self.intensity.normalize(image[0] if image.ndim == 4 else image)
        if image.max() < self.brightness:  # a mean of voxels cannot exceed them all
            return None
        spacing = np.array(self.volume.spacing)
        image = gaussian_filter(image, self.smoothing * spacing.min() / spacing)
        brightest = np.unravel_index(int(np.argmax(image)), image.shape)
        if image[brightest] < self.brightness:
            return None
        return np.add(core.begin, brightest) * spacing
