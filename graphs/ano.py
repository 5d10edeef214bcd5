"""ANO files of Vaa3D and TeraFly: `KEY=file`, one line for each file of a picture.

`RAWIMG` names the image, `SWCFILE` a tracing (SWC or ESWC), `APOFILE` markers. The files stand in
the folder of the ANO file, which is where TeraFly looks for them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from topodelin.graphs.text_files import read_text, write_lines

IMAGE, SWC, APO = "RAWIMG", "SWCFILE", "APOFILE"
IMAGES = (IMAGE, "GRAYIMG")
Name = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class LinkedFiles:
    """What an ANO file ties together.

    Args:
        swc: tracings.
        apo: markers.
        images: images.
    """

    swc: tuple[Path, ...] = ()
    apo: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()


def write_ano(
    path: Name,
    *,
    swc: Name | Iterable[Name] = (),
    apo: Name | Iterable[Name] = (),
    image: Name | Iterable[Name] = (),
) -> None:
    """Tie files of one folder together; the ANO file appears whole or not at all.

    Args:
        path: the file to write, in the folder of the others.
        swc, apo, image: one file or several, by name or by a path into that folder.

    Images come first, as TeraFly needs them before what is drawn on them.
    """
    path = Path(path)
    lines = [
        f"{key}={_own_name(path, file)}"
        for key, files in ((IMAGE, image), (APO, apo), (SWC, swc))
        for file in ([files] if isinstance(files, str | PathLike) else files)
    ]
    if not lines:
        raise ValueError(f"{path}: an ANO file must name a file; give `swc`, `apo` or `image`")
    write_lines(path, lines)


def read_ano(path: Name) -> LinkedFiles:
    """The files that an ANO file names, as paths beside it. They need not exist.

    Blank lines, comments and keys that are none of the three are passed over.

    Raises:
        ValueError: a line is not KEY=file, or names a file outside the folder of the ANO file.
        OSError: it cannot be opened.
    """
    path = Path(path)
    found: dict[str, list[Path]] = {SWC: [], APO: [], IMAGE: []}
    for number, line in enumerate(read_text(path, "ANO").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, name = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise ValueError(f"{path}, line {number}: must be KEY=file, got {line[:60]!r}")
        key = IMAGE if key.upper() in IMAGES else key.upper()
        if key not in found:
            continue
        if not _is_plain(name):
            raise ValueError(
                f"{path}, line {number}: names {name!r}, which is not in the folder of the ANO "
                "file; put the file there and name it alone"
            )
        found[key].append(path.parent / name)
    return LinkedFiles(tuple(found[SWC]), tuple(found[APO]), tuple(found[IMAGE]))


def _own_name(ano: Path, file: Name) -> str:
    where = Path(file)
    name = where.name
    inside = where.parent == Path() or where.parent.resolve() == ano.parent.resolve()
    if not inside or not _is_plain(name) or name != name.strip():
        raise ValueError(
            f"{ano}: an ANO file names files in its own folder, got {str(file)!r}; "
            "write or copy it there, under a name without line breaks"
        )
    return name


def _is_plain(name: str) -> bool:
    """Whether a name stays in its folder on every system: no separators, no drive, no `..`."""
    return name not in ("", ".", "..") and not re.search(r"[/\\\r\n\0]|^[A-Za-z]:", name)
