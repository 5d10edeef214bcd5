r"""TeraFly folders: a pyramid of 3-D tiles, named after their places in tenths of µm.

    brain/RES(YxXxZ)/YYYYYY/YYYYYY_XXXXXX/YYYYYY_XXXXXX_ZZZZZZ.tif

One folder `RES` for each level, with its voxels along y, x, z; tiles are multi-page TIFF or v3draw.
The place of a tile in voxels follows from its name and from the sizes of the tiles before it: a
name is rounded, so a tile that comes within rounding of the end of another begins there.

References:
    A. Bria, G. Iannello, L. Onofri, H. Peng. TeraFly: real-time three-dimensional visualization
    and annotation of terabytes of multidimensional volumetric images. Nature Methods, 2016.
    The wiki of TeraStitcher, "Supported volume formats".
"""

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.lazy import CheckedArray, LazyArray, Slices, check_image
from topodelin.volumes.terafly_index import index_spacing
from topodelin.volumes.tiff import tiff_array
from topodelin.volumes.tiff_spacing import tiff_spacing
from topodelin.volumes.vaa3d import v3d_array
from topodelin.volumes.volume import Index, Spacing, Volume

LEVEL = re.compile(r"RES\((\d+)x(\d+)x(\d+)\)", re.IGNORECASE)
TILE = re.compile(r"(\d{6,})_(\d{6,})_(\d{6,})\.(tif|tiff|v3draw|raw)", re.IGNORECASE)
TENTHS = 10  # units of the names in a µm
MAX_OPEN = 64  # tiles whose list of pages is kept

Place = tuple[int, int, int]


def is_terafly(folder: Path) -> bool:
    """Whether a folder is a level of a TeraFly pyramid, or holds some."""
    return bool(LEVEL.fullmatch(folder.name)) or bool(terafly_levels(folder))


def terafly_levels(folder: Path) -> list[Path]:
    """The levels in a folder, the finest first."""
    found = [path for path in folder.iterdir() if path.is_dir() and LEVEL.fullmatch(path.name)]
    return sorted(found, key=lambda path: -np.prod(np.array(level_size(path), np.float64)))


def level_size(level: Path) -> Index:
    """Voxels `(z, y, x)` that the name of a level tells."""
    found = LEVEL.fullmatch(level.name)
    if found is None:
        raise VolumeError(f"{level}: is no level of a TeraFly folder, its name is not RES(YxXxZ)")
    y, x, z = (int(size) for size in found.groups())
    return z, y, x


def open_terafly(folder: Path, spacing: Spacing | None = None) -> Volume:
    """A TeraFly folder as a volume, read lazily.

    Args:
        folder: one level `RES(YxXxZ)`, or the folder of the levels, of which the finest is taken.
        spacing: µm per voxel `(z, y, x)` of that level. Without it, as told by the index
            `mdata.bin`, by the metadata of a tile (ours have them), or by the places of the tiles,
            where each axis has two neighbours.

    Missing tiles hold zeros, as in sparse data nobody stored them.

    Raises:
        VolumeError: no tiles, several channels, tiles that do not fit together, or no spacing.
    """
    level = folder if LEVEL.fullmatch(folder.name) else next(iter(terafly_levels(folder)), None)
    if level is None:
        raise VolumeError(f"{folder}: holds no level RES(YxXxZ) of a TeraFly pyramid")
    files = _tiles(level)
    known = index_spacing(level) or _tile_spacing(next(iter(files.values())))
    axes = [_axis(level, files, axis, known, spacing) for axis in range(3)]
    for axis, size in zip(axes, level_size(level), strict=True):
        if axis.starts[-1] + axis.lengths[-1] > size:
            raise VolumeError(
                f"{level}: its tiles reach beyond the {size} voxels of its name; the folder was "
                "renamed or its tiles are of another level"
            )
    if spacing is None:
        spacing = known or _spacing_of(level, axes)
    array = TiledArray(level, files, axes)
    return Volume(CheckedArray(array, level), spacing)


@dataclass(frozen=True)
class TileAxis:
    """Where the tiles lie along one axis.

    Args:
        places: as in the names, rising.
        starts, lengths: in voxels.
    """

    places: list[int]
    starts: list[int]
    lengths: list[int]

    def touching(self, wanted: slice) -> list[int]:
        """The numbers of the tiles that hold a voxel of `wanted`."""
        ends = (start + length for start, length in zip(self.starts, self.lengths, strict=True))
        pairs = enumerate(zip(self.starts, ends, strict=True))
        return [i for i, (start, end) in pairs if start < wanted.stop and end > wanted.start]


class TiledArray(LazyArray):
    """The tiles of one level as one array; 0 where there is none."""

    def __init__(self, level: Path, files: dict[Place, Path], axes: list[TileAxis]) -> None:
        self.files, self.axes = files, axes
        self.shape = level_size(level)
        self._opened: dict[Path, LazyArray] = {}
        self.dtype = np.dtype(self._open(next(iter(files.values()))).dtype).newbyteorder("=")
        check_image(level, self.shape, self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def read_slices(self, slices: Slices) -> np.ndarray:
        result = np.zeros([s.stop - s.start for s in slices], self.dtype)
        touched = [axis.touching(s) for axis, s in zip(self.axes, slices, strict=True)]
        for numbers in product(*touched):
            z, y, x = (axis.places[n] for axis, n in zip(self.axes, numbers, strict=True))
            path = self.files.get((z, y, x))
            if path is not None:
                self._paste(result, slices, path, numbers)
        return result

    def _paste(
        self, result: np.ndarray, slices: Slices, path: Path, numbers: tuple[int, ...]
    ) -> None:
        tile = self._open(path)
        starts = [axis.starts[n] for axis, n in zip(self.axes, numbers, strict=True)]
        shape = tuple(axis.lengths[n] for axis, n in zip(self.axes, numbers, strict=True))
        if tile.shape != shape or tile.dtype.newbyteorder("=") != self.dtype:
            raise VolumeError(
                f"{path}: is {tile.shape} voxels of {tile.dtype}, and its neighbours say {shape} "
                f"of {self.dtype}; copy the tile again from its origin"
            )
        source, target = [], []
        for wanted, start, length in zip(slices, starts, shape, strict=True):
            low, high = max(wanted.start, start), min(wanted.stop, start + length)
            source.append(slice(low - start, high - start))
            target.append(slice(low - wanted.start, high - wanted.start))
        result[tuple(target)] = tile.read_slices(tuple(source))

    def _open(self, path: Path) -> LazyArray:
        if path not in self._opened:
            if len(self._opened) >= MAX_OPEN:
                self._opened.clear()
            self._opened[path] = open_tile(path)
        return self._opened[path]


def open_tile(path: Path) -> LazyArray:
    """One tile, `(z, y, x)`."""
    is_tiff = path.suffix.lower() in (".tif", ".tiff")
    array = tiff_array(path) if is_tiff else v3d_array(path)
    if len(array.shape) == 2:
        array = _OnePage(array)
    if len(array.shape) != 3:
        raise VolumeError(
            f"{path}: has shape {array.shape}, a tile has axes (z, y, x) and one channel; "
            "convert the folder with one channel"
        )
    return array


class _OnePage(LazyArray):
    """A tile of a single slice."""

    def __init__(self, page: LazyArray) -> None:
        self.page, self.shape, self.dtype = page, (1, *page.shape), page.dtype

    def read_slices(self, slices: Slices) -> np.ndarray:
        return self.page.read_slices(slices[1:])[None]


def _tiles(level: Path) -> dict[Place, Path]:
    """The files of a level by their places `(z, y, x)` in tenths of µm."""
    found: dict[Place, Path] = {}
    for path in sorted(level.glob("*/*/*")):
        name = TILE.fullmatch(path.name)
        if name is None or path.name.startswith("."):
            continue
        y, x, z = (int(number) for number in name.groups()[:3])
        if (z, y, x) in found:
            raise VolumeError(f"{path}: lies at the place of {found[z, y, x]}; remove one of them")
        found[z, y, x] = path
    if not found:
        raise VolumeError(
            f"{level}: holds no tiles; they must lie at YYYYYY/YYYYYY_XXXXXX/"
            "YYYYYY_XXXXXX_ZZZZZZ.tif (or .v3draw) below it"
        )
    return found


def _tile_spacing(tile: Path) -> Spacing | None:
    if tile.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        return tiff_spacing(tile)
    except VolumeError:
        return None


def _axis(
    level: Path,
    files: dict[Place, Path],
    axis: int,
    known: Spacing | None,
    given: Spacing | None,
) -> TileAxis:
    """The places of the tiles along one axis, in voxels.

    Where neither index nor tiles tell the size of a voxel, it is that of the two tiles which lie
    closest, as these touch.
    """
    examples = {place[axis]: path for place, path in files.items()}
    places = sorted(examples)
    lengths = [int(open_tile(examples[place]).shape[axis]) for place in places]
    gaps = np.diff(places)
    if known is not None:
        unit = known[axis] * TENTHS
    elif len(gaps):
        unit = float((gaps / lengths[:-1]).min())
    elif given is not None:
        unit = given[axis] * TENTHS
    elif places[0] == 0:
        unit = 1.0
    else:
        raise spacing_needed(level, "its only tile does not begin at 0")
    starts = [round(places[0] / unit)]
    for gap, length in zip(gaps, lengths[:-1], strict=True):
        voxels = float(gap) / unit
        touches = abs(voxels - length) <= 0.5 + 2 / unit
        starts.append(starts[-1] + (length if touches else round(voxels)))
        if starts[-1] < starts[-2] + length:
            raise VolumeError(
                f"{level}: its tiles overlap along {'zyx'[axis]}; TeraFly shows stitched images "
                "only, merge the tiles with TeraStitcher first"
            )
    return TileAxis(places, starts, lengths)


def _spacing_of(level: Path, axes: list[TileAxis]) -> Spacing:
    """The spacing from the first and the last place along each axis."""
    if any(len(axis.places) < 2 for axis in axes):
        raise spacing_needed(level, "has a single tile along an axis, which tells no spacing")
    z, y, x = (
        round((axis.places[-1] - axis.places[0]) / (axis.starts[-1] - axis.starts[0]) / TENTHS, 6)
        for axis in axes
    )
    return z, y, x
