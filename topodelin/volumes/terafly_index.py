"""The index `mdata.bin` that lies in each level of a TeraFly folder.

    float32    2.0, the version
    3 int32    axes of the three sizes that follow: 1 = vertical, 2 = horizontal, 3 = depth
    3 float32  voxel along those axes, µm
    3 float32  voxel along y, x, z, µm
    3 float32  origin along y, x, z, mm
    3 uint32   voxels along y, x, z
    2 uint16   rows and columns of tiles

then, row by row, of each column of tiles

    5 uint32   voxels along y, x, z; number of tiles; channels
    2 int32    first voxel along y, x
    string     its folder
    for each tile: string file, uint32 slices, int32 first slice
    uint32     bytes per voxel

where a string is a uint16 length that counts the final zero byte, and the bytes. All little-endian.
No description of the layout was found: the order and the types of the fields are those that
v3d-py-helper (MIT) unpacks, and that reader needs the file. What Vaa3D does without it was not
tested.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from topodelin.volumes.volume import Index, Spacing, check_spacing
from topodelin.volumes.whole_file import whole_file

NAME = "mdata.bin"
VERSION = 2.0
AXES = (1, 2, 3)
HEADER = struct.Struct("<f3i9f3I2H")
COLUMN = struct.Struct("<5I2i")
TILE = struct.Struct("<Ii")


@dataclass(frozen=True)
class TileColumn:
    """The tiles that share their y and x.

    Args:
        folder: its path within the level.
        begin, size: voxels along `(y, x)`.
        tiles: name of the file, first slice and number of slices of each tile.
    """

    folder: str
    begin: tuple[int, int]
    size: tuple[int, int]
    tiles: tuple[tuple[str, int, int], ...]


def write_index(
    level: Path,
    shape: Index,
    spacing: Spacing,
    bytes_per_voxel: int,
    rows: list[list[TileColumn]],
) -> None:
    """Write the index of one level.

    Args:
        shape: voxels `(z, y, x)`.
        spacing: µm per voxel of this level, `(z, y, x)`.
        rows: the columns of tiles, by their y and then by their x.
    """
    z, y, x = shape
    dz, dy, dx = spacing
    sizes = (dy, dx, dz)
    parts = [HEADER.pack(VERSION, *AXES, *sizes, *sizes, 0, 0, 0, y, x, z, len(rows), len(rows[0]))]
    for column in (column for row in rows for column in row):
        parts.append(COLUMN.pack(*column.size, z, len(column.tiles), 1, *column.begin))
        parts.append(_string(column.folder))
        for file, first, slices in column.tiles:
            parts += [_string(file), TILE.pack(slices, first)]
        parts.append(struct.pack("<I", bytes_per_voxel))
    with whole_file(level / NAME) as part:
        part.write_bytes(b"".join(parts))


def index_spacing(level: Path) -> Spacing | None:
    """µm per voxel `(z, y, x)` that the index of a level tells; None without a usable index.

    Nothing else is taken from it: which tiles there are, the folder itself tells.
    """
    path = level / NAME
    if not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(HEADER.size)
    if len(start) < HEADER.size:
        return None
    version, *values = HEADER.unpack(start)
    y, x, z = (float(f"{value:.6g}") for value in values[6:9])  # float32 has seven digits
    try:
        return check_spacing((z, y, x)) if version == VERSION else None
    except ValueError:
        return None


def _string(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data
