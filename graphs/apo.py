"""Markers as Vaa3D shows them: APO files, a table with one marker a line.

    ##n,orderinfo,name,comment,z,x,y,pixmax,intensity,sdev,volsize,mass,,,,color_r,color_g,color_b

Note the order `z, x, y`, and that commas cannot be quoted. The columns are those that files written
by Vaa3D hold; the program itself was not run on what is written here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np

from topodelin.graphs.spacing import Spacing, check_spacing
from topodelin.graphs.text_files import read_text, write_lines

HEADER = (
    "##n,orderinfo,name,comment,z,x,y,pixmax,intensity,sdev,volsize,mass,,,,color_r,color_g,color_b"
)
COLUMNS = len(HEADER.split(","))
LEAST = 7  # columns: up to the place
VOLUME = 10  # column of volsize
LONGEST = 1000  # characters of a name or comment: Vaa3D reads lines into a buffer of 10,000


@dataclass(frozen=True, slots=True)
class Marker:
    """A place to look at.

    Args:
        position: µm, `(z, y, x)`.
        name: what is there, in a word or two.
        comment: more about it.
        colour: red, green, blue from 0 to 255.
        volume: voxels (`volsize`); Vaa3D draws a ball of about that size.
    """

    position: tuple[float, float, float]
    name: str
    comment: str = ""
    colour: tuple[int, int, int] = (255, 0, 0)
    volume: float = 50.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.position).all():
            raise ValueError(f"`position` must be finite, got {self.position}")
        if not all(0 <= part <= 255 for part in self.colour):
            raise ValueError(f"`colour` must be three numbers from 0 to 255, got {self.colour}")


def write_apo(
    path: str | PathLike[str],
    markers: Iterable[Marker],
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
) -> None:
    """Write markers in their order, numbered from 1; the file appears whole or not at all.

    Args:
        path: the file to write.
        markers: what to show.
        spacing: µm per voxel `(z, y, x)` of the image that they are shown on: a marker is written
            in voxels, where (0, 0, 0) is the centre of the first. With the default it is in µm.

    Places have 3 decimals. A comma in a name or comment becomes a semicolon and a line break a
    space, as the table has no way to quote them; both end after 1000 characters.
    """
    size = check_spacing(spacing)
    lines = [HEADER]
    for number, marker in enumerate(markers, 1):
        z, y, x = (at / step for at, step in zip(marker.position, size, strict=True))
        words = f"{_plain(marker.name)},{_plain(marker.comment)}"
        red, green, blue = marker.colour
        lines.append(
            f"{number},{number},{words},{z:.3f},{x:.3f},{y:.3f},"
            f"0,0,0,{marker.volume:g},0,,,,{red},{green},{blue}"
        )
    write_lines(path, lines)


def read_apo(
    path: str | PathLike[str], *, spacing: Sequence[float] = (1.0, 1.0, 1.0)
) -> list[Marker]:
    """The markers of an APO file, in its order.

    Args:
        path: a file that `write_apo` or Vaa3D wrote. Blank lines and comments are passed over,
            columns after the place may be missing.
        spacing: µm per voxel `(z, y, x)` where the file is in voxels.

    Raises:
        ValueError: the file, the line, and what is wrong with it.
        OSError: it cannot be opened.
    """
    size = check_spacing(spacing)
    markers = []
    for number, line in enumerate(read_text(path, "APO").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            markers.append(_marker([cell.strip() for cell in line.split(",")], size))
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}: is not a marker ({error}); the columns are {HEADER[2:]}"
            ) from None
    return markers


def _marker(cells: list[str], size: Spacing) -> Marker:
    if len(cells) < LEAST:
        raise ValueError(f"{len(cells)} columns, a marker has {COLUMNS}")
    z, x, y = (float(cell) for cell in cells[4:LEAST])
    place = z * size[0], y * size[1], x * size[2]
    volume = float(cells[VOLUME]) if len(cells) > VOLUME and cells[VOLUME] else 50.0
    if len(cells) < COLUMNS:
        return Marker(place, cells[2], cells[3], volume=volume)
    red, green, blue = (int(float(cell)) for cell in cells[COLUMNS - 3 : COLUMNS])
    return Marker(place, cells[2], cells[3], (red, green, blue), volume)


def _plain(text: str) -> str:
    return " ".join(text.replace(",", ";").split())[:LONGEST]
