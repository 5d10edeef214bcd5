"""Write a volume as a TeraFly pyramid, tile by tile, over several runs if need be.

A tile appears whole under its name, so a process killed at any moment leaves tiles that are there
and tiles that are not; asked again for the same pyramid, it goes on with those that are not. The
index `mdata.bin` of a level comes last.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.pyramid import (
    REDUCTIONS,
    default_levels,
    level_factors,
    level_shape,
    reduce_voxels,
)
from topodelin.volumes.terafly import TENTHS, open_terafly
from topodelin.volumes.terafly_index import NAME, TileColumn, write_index
from topodelin.volumes.tiff_writer import check_tiff, imagej_description, write_pages
from topodelin.volumes.volume import Box, Index, Spacing, Volume
from topodelin.volumes.whole_file import whole_file

TILE = (256, 256, 256)
LEAST_TILE = 4
RECORD = ".topodelin.json"
SLAB_VOXELS = 1 << 22  # read at a time, of the level above

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Level:
    """One level of the pyramid that is to be written."""

    folder: Path
    shape: Index
    spacing: Spacing
    tile: Index

    def spans(self, axis: int) -> list[tuple[int, int]]:
        """First voxel and number of voxels of the tiles along an axis.

        A last tile of one voxel gets another from the one before: v3d-py-helper refuses to read
        a region one voxel wide.
        """
        size = self.shape[axis]
        starts = list(range(0, size, self.tile[axis]))
        if len(starts) > 1 and starts[-1] == size - 1:
            starts[-1] -= 1
        return [(a, b - a) for a, b in zip(starts, [*starts[1:], size], strict=True)]

    def boxes(self) -> Iterator[Box]:
        """The boxes of all tiles."""
        for spans in product(*(self.spans(axis) for axis in range(3))):
            (z, nz), (y, ny), (x, nx) = spans
            yield Box((z, y, x), (z + nz, y + ny, x + nx))

    def column(self, y: int, x: int) -> str:
        """The folder of the tiles that begin at those voxels."""
        row = self._place(1, y)
        return f"{row}/{row}_{self._place(2, x)}"

    def file(self, z: int, y: int, x: int) -> str:
        """The name of the tile that begins at those voxels."""
        return f"{self._place(1, y)}_{self._place(2, x)}_{self._place(0, z)}.tif"

    def path(self, box: Box) -> Path:
        z, y, x = box.begin
        return self.folder / self.column(y, x) / self.file(z, y, x)

    def _place(self, axis: int, start: int) -> str:
        return f"{round(start * self.spacing[axis] * TENTHS):06d}"


def write_terafly(
    folder: str | os.PathLike[str],
    volume: Volume,
    *,
    levels: int | None = None,
    tile: Sequence[int] = TILE,
    reduce: str = "mean",
    source: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a volume as a pyramid that TeraFly opens, or go on with one that was begun.

    Args:
        folder: the folder of the levels; created, or holding the same pyramid, begun before.
        volume: uint8 or uint16, axes `(z, y, x)`.
        levels: of the pyramid, the full image included. Without it, as many as make the coarsest
            fit into one tile, and two at least, as TeraFly opens no fewer. Axes are halved so that
            voxels grow towards cubes.
        tile: voxels `(z, y, x)` of a tile, at least 4 each.
        reduce: how voxels merge: "mean" for an image, "max" where thin neurites must stay visible.
        source: what tells this image from another of the same shape and type; plain values that
            JSON can hold. A pyramid that was begun with others is refused.
        progress: called with the number of tiles done and their total.

    Memory: that of some 4 million voxels, whatever the size of the image. A tile reads its own box
    of the volume, so compressed TIFF stacks, whose pages would be decoded again for every tile, are
    better converted to OME-Zarr first.

    Raises:
        VolumeError: the folder holds something else, or the volume has another type or channels.
    """
    root = Path(folder)
    plan = _plan(root, volume, levels, tile, reduce)
    _claim(root, volume, plan, reduce, source or {})
    total = sum(prod(len(level.spans(axis)) for axis in range(3)) for level in plan)
    done, above = 0, volume
    for number, level in enumerate(plan):
        finer = plan[number - 1].spacing if number else level.spacing
        step = [round(a / b) for a, b in zip(level.spacing, finer, strict=True)]
        for box in level.boxes():
            _write_tile(level, box, above, step, reduce)
            done += 1
            if progress is not None:
                progress(done, total)
        _finish(level, volume.dtype.itemsize)
        above = open_terafly(level.folder)


def _plan(
    root: Path, volume: Volume, levels: int | None, tile: Sequence[int], reduce: str
) -> list[Level]:
    if reduce not in REDUCTIONS:
        raise ValueError(f"`reduce` must be one of {REDUCTIONS}, got {reduce!r}")
    if levels is not None and levels < 1:
        raise ValueError(f"`levels` must be at least 1, got {levels}")
    size = tuple(int(edge) for edge in tile)
    if len(size) != 3 or min(size) < LEAST_TILE:
        raise ValueError(
            f"`tile` must be three sizes (z, y, x) of {LEAST_TILE} or more, got {tuple(tile)}"
        )
    if len(volume.data.shape) != 3:
        raise VolumeError(
            f"{root}: a TeraFly folder is written with one channel, got shape "
            f"{tuple(volume.data.shape)}; choose one"
        )
    for edge, step in zip(size, volume.spacing, strict=True):
        if edge * step * TENTHS < 1:
            raise VolumeError(
                f"{root}: a tile of {edge} voxels of {step} µm is shorter than 0.1 µm, the unit "
                "in which TeraFly names places; check the spacing"
            )
    check_tiff(root, volume.dtype, size, rgb=False, bigtiff=False)
    if levels is None:
        levels = max(2, default_levels(volume.shape, volume.spacing, size))
    plan = []
    for factors in level_factors(volume.shape, volume.spacing, levels):
        z, y, x = level_shape(volume.shape, factors)
        dz, dy, dx = (s * f for s, f in zip(volume.spacing, factors, strict=True))
        plan.append(Level(root / f"RES({y}x{x}x{z})", (z, y, x), (dz, dy, dx), size))
    distinct = list(dict.fromkeys(level.folder for level in plan))
    return plan[: len(distinct)]  # an image of one voxel has no coarser level


def _claim(
    root: Path, volume: Volume, plan: list[Level], reduce: str, source: Mapping[str, Any]
) -> None:
    """Take the folder for this pyramid, or refuse one that holds another."""
    record = {
        "shape": list(volume.shape),
        "dtype": str(volume.dtype),
        "spacing": list(volume.spacing),
        "tile": list(plan[0].tile),
        "levels": len(plan),
        "reduce": reduce,
        **json.loads(json.dumps(source)),  # as it will be read back
    }
    root.mkdir(parents=True, exist_ok=True)
    path = root / RECORD
    if not path.exists() and any(entry.name != f".{RECORD}.part" for entry in root.iterdir()):
        raise VolumeError(
            f"{root}: is not empty and holds no pyramid that was begun here; give another folder"
        )
    if path.exists():
        try:
            former = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            former = {}
        names = sorted(former.keys() | record.keys())
        differing = [key for key in names if former.get(key) != record.get(key)]
        if differing:
            key = differing[0]
            raise VolumeError(
                f"{root}: holds a pyramid with {key} = {former.get(key)}, now it is "
                f"{record.get(key)}; remove that folder, or give another"
            )
    else:
        with whole_file(path) as part:
            part.write_text(json.dumps(record, indent=1), encoding="utf-8")


def _write_tile(level: Level, box: Box, above: Volume, step: list[int], reduce: str) -> None:
    path = level.path(box)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    slices = box.shape[0]
    text = imagej_description(slices, 1, level.spacing)
    write_pages(path, _slices(box, above, step, reduce), slices, level.spacing, text)


def _slices(box: Box, above: Volume, step: list[int], reduce: str) -> Iterator[np.ndarray]:
    """The slices of a tile, computed slab by slab from the level above."""
    plane = prod(box.shape[1:]) * prod(step)
    thick = max(1, SLAB_VOXELS // plane)
    for first in range(box.begin[0], box.end[0], thick):
        last = min(first + thick, box.end[0])
        pairs = zip((first, *box.begin[1:]), (last, *box.end[1:]), step, strict=True)
        z, y, x = (slice(begin * s, end * s) for begin, end, s in pairs)
        source = Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop)).clip(above.shape)
        yield from reduce_voxels(above.read(source), step, reduce)


def _finish(level: Level, bytes_per_voxel: int) -> None:
    if (level.folder / NAME).exists():
        return
    rows = [
        [
            TileColumn(
                level.column(y, x),
                (y, x),
                (ny, nx),
                tuple((level.file(z, y, x), z, nz) for z, nz in level.spans(0)),
            )
            for x, nx in level.spans(2)
        ]
        for y, ny in level.spans(1)
    ]
    write_index(level.folder, level.shape, level.spacing, bytes_per_voxel, rows)
