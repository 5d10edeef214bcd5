"""The tracings that `topodelin swc` reads and writes: which files, and in which unit."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topodelin.graphs import (
    NeuriteGraph,
    joined,
    read_graph_json,
    read_swc,
    write_eswc,
    write_graph_json,
    write_swc,
)
from topodelin.graphs.roots import written_roots
from topodelin.graphs.spacing import Spacing
from topodelin.graphs.swc.rows import read_comments
from topodelin.graphs.swc.units import NM, UNITS, unit_in_comments, without_layout

ROWS = (".swc", ".eswc")
TRACINGS = (*ROWS, ".json")
FLAVOURS = {".um": "um", ".vox": "voxel", ".nm": "nm"}  # end of the stem -> unit


@dataclass(frozen=True, slots=True)
class Unit:
    """Of the numbers in a file.

    Args:
        name: one of `UNITS`.
        spacing: µm per voxel `(z, y, x)`; None for the other units.
    """

    name: str
    spacing: Spacing | None = None

    def __str__(self) -> str:
        return self.name if self.spacing is None else f"voxels of {self.spacing} um"


@dataclass(frozen=True, eq=False)
class Tracing:
    """What a file holds.

    Args:
        path: the file.
        graph: µm.
        roots: one node of each tree of an SWC or ESWC file.
        comments: without `#`, those that tell neither unit nor columns.
        unit: of the file.
    """

    path: Path
    graph: NeuriteGraph
    roots: np.ndarray
    comments: tuple[str, ...]
    unit: Unit


def tracing_files(given: Sequence[Path], suffixes: tuple[str, ...] = TRACINGS) -> list[Path]:
    """The files, and those with the suffixes in the folders and below, in order; none is hidden."""
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            if not path.exists():
                raise FileNotFoundError(f"{path}: no such file or folder; check the path")
            found.append(path)
            continue
        inside = [file for file in _walk(path) if file.suffix.lower() in suffixes]
        if not inside:
            raise ValueError(f"{path}: holds no {', '.join(suffixes)} files; check the path")
        found += inside
    return found


def read_tracing(path: Path, unit: str | None = None, spacing: Spacing | None = None) -> Tracing:
    """Read an SWC, ESWC or JSON file in the unit that `unit_of` finds."""
    if path.suffix.lower() == ".json":
        graph = read_graph_json(path)
        return Tracing(path, graph, np.zeros(0, dtype=np.int64), (), Unit("um"))
    comments = [] if path.is_dir() else read_comments(path)
    found = unit_of(path, comments, unit, spacing)
    graph = read_swc(path, unit=found.name, spacing=found.spacing)
    return Tracing(path, graph, written_roots(graph), tuple(without_layout(comments)), found)


def unit_of(path: Path, comments: Sequence[str], unit: str | None, spacing: Spacing | None) -> Unit:
    """The unit of a file: what the user says, else its comments, else its name, else µm."""
    told = unit_in_comments(comments)
    name = unit or (told[0] if told else _flavour(path))
    check_unit("unit", name)
    if name != "voxel":
        return Unit(name)
    size = spacing or (told[1] if told else None)
    if size is None:
        raise ValueError(
            f"{path}: is in voxels, whose size is not known; give --spacing z,y,x in um per voxel"
        )
    return Unit(name, size)


def unit_to_write(path: Path, unit: str | None, spacing: Spacing | None) -> Unit:
    """The unit to write a file in: what the user says, else what its name says, else µm."""
    name = unit or _flavour(path)
    check_unit("to", name)
    if path.stem.lower().endswith(tuple(FLAVOURS)) and name != _flavour(path):
        raise ValueError(
            f"{path}: its name says {_flavour(path)}, --to {name}; choose another name"
        )
    if name == "voxel" and spacing is None:
        raise ValueError(f"{path}: is to be in voxels; give --spacing z,y,x in um per voxel")
    return Unit(name, spacing if name == "voxel" else None)


def check_unit(option: str, unit: str) -> None:
    """Refuse a unit that is not known."""
    if unit not in UNITS:
        raise ValueError(f"`--{option}` must be one of {', '.join(UNITS)}, got {unit!r}")


def write_tracing(
    path: Path,
    graph: NeuriteGraph,
    unit: Unit,
    *,
    roots: Sequence[int] | np.ndarray = (),
    comments: Sequence[str] = (),
) -> None:
    """Write the format that the name ends with; a radius that is not known stays so."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        if unit.name != "um":
            raise ValueError(f"{path}: a JSON graph is in um, got --to {unit.name}; leave it out")
        write_graph_json(path, graph)
        return
    if suffix not in ROWS:
        raise ValueError(f"{path}: must end with {', '.join(TRACINGS)}; choose one of these")
    refuse_cycles(path, graph)
    write = write_swc if suffix == ".swc" else write_eswc
    size = NM if unit.name == "nm" else unit.spacing
    write(path, graph, header=comments, radius=0.0, roots=roots, spacing=size)


def refuse_cycles(path: Path, graph: NeuriteGraph) -> None:
    """Refuse a graph that is no forest, with what cuts its cycles."""
    surplus = len(graph.edges) - len(graph) + graph.component_count
    if surplus:
        raise ValueError(
            f"{path}: {surplus} edges close a cycle, and trees have none; cut them with "
            "topodelin swc convert A B --cut-cycles"
        )


def merged(tracings: Sequence[Tracing]) -> tuple[NeuriteGraph, np.ndarray, list[str]]:
    """All trees of several files as one graph, their roots, and their comments each once."""
    first = np.cumsum([0, *(len(tracing.graph) for tracing in tracings)])
    roots = [t.roots + n for t, n in zip(tracings, first.tolist(), strict=False)]
    comments = dict.fromkeys(text for tracing in tracings for text in tracing.comments)
    graph = tracings[0].graph if len(tracings) == 1 else joined([t.graph for t in tracings])
    return graph, np.concatenate([np.zeros(0, dtype=np.int64), *roots]), list(comments)


def refuse_to_replace(path: Path, overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Refuse to write where something stands already, and ever over what is read."""
    if path.exists() and any(path.samefile(source) for source in sources):
        raise ValueError(f"{path}: is the file that is read; choose another name")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: exists already; choose another name or add --overwrite")


def in_flavour(name: Path, unit: str | None) -> Path:
    """The name with the end of its stem changed to that of a unit, where it has such an end."""
    stem, suffix = name.stem, name.suffix
    end = next((end for end in FLAVOURS if stem.lower().endswith(end)), None)
    if unit is None or end is None:
        return name
    new = next(end for end, each in FLAVOURS.items() if each == unit)
    return name.with_name(stem[: -len(end)] + new + suffix)


def _flavour(path: Path) -> str:
    stem = path.stem.lower()
    return next((unit for end, unit in FLAVOURS.items() if stem.endswith(end)), "um")


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            yield path
        elif not path.is_symlink():  # which may lead back to where it stands
            yield from _walk(path)
