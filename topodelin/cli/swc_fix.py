"""What `topodelin swc fix` does to one file: mend, re-unit, re-root, split, write, tell."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from topodelin.cli.swc_files import refuse_to_replace, unit_of
from topodelin.graphs import NeuriteGraph, separated
from topodelin.graphs.roots import (
    longest_path_roots,
    nearest_node,
    one_root_each,
    soma_roots,
    written_roots,
)
from topodelin.graphs.spacing import Spacing
from topodelin.graphs.swc.fixing import MendedSwc, mend_swc, write_mended
from topodelin.graphs.swc.units import in_plane, um_per_unit, unit_line, without_layout
from topodelin.graphs.swc.writing import hung_from


@dataclass(frozen=True, slots=True)
class FixRule:
    """What is done besides mending.

    Args:
        join_within: as in `fix_swc`.
        unit: of the file, where it is to be written in µm; None leaves the unit.
        spacing: µm per voxel `(z, y, x)`.
        scale: factor on all coordinates and radii, where the unit is left.
        root: "soma", "longest", the id of a node, or None.
        root_at: place `(z, y, x)` whose nearest node becomes a root, in the unit of the file.
    """

    join_within: float | None = None
    unit: str | None = None
    spacing: Spacing | None = None
    scale: float | None = None
    root: str | None = None
    root_at: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.unit is not None and self.scale is not None:
            raise ValueError("`--scale` and `--unit` both change the unit; give one of them")
        if self.root is not None and self.root_at is not None:
            raise ValueError("`--root` and `--root-at` both choose a root; give one of them")
        if self.scale is not None and not 0 < self.scale < np.inf:
            raise ValueError(f"`--scale` must be a positive number, got {self.scale}")
        if self.spacing is not None and self.unit is None:
            raise ValueError("`--spacing` needs --unit voxel, the unit of the file")
        if self.root not in (None, "soma", "longest") and not str(self.root).isdecimal():
            raise ValueError(
                f"`--root` must be soma, longest or the id of a node, got {self.root!r}"
            )


@dataclass(frozen=True, eq=False)
class Fixed:
    """A file that is ready to be written.

    Args:
        graph: edges from parent to child, parents first.
        comments: lines with their `#`.
        changes: what was changed, one line each.
    """

    graph: NeuriteGraph
    comments: list[str]
    changes: list[str]


def fixed(path: Path, rule: FixRule) -> Fixed:
    """Mend a file and hang its trees from the roots that are wanted."""
    mended = mend_swc(path, join_within=rule.join_within)
    changes = [f"{path}:{change.line}: {change.message}" for change in mended.changes]
    graph, comments = mended.graph, mended.comments
    wanted = _wanted_roots(path, mended, rule)
    if len(wanted):
        changes += [f"{path}: {text}" for text in _moves(mended, wanted)]
        graph = hung_from(graph, one_root_each(graph, wanted))
    if rule.scale is not None:
        changes.append(f"{path}: all coordinates and radii are multiplied by {rule.scale:g}")
        graph = _scaled(graph, (rule.scale, rule.scale, rule.scale))
    if rule.unit is not None:
        unit = unit_of(path, comments, rule.unit, rule.spacing)
        changes.append(f"{path}: {unit} become um")
        graph = _scaled(graph, um_per_unit(unit.name, unit.spacing))
        texts = [*without_layout(comments), unit_line(None), "id type x y z radius parent"]
        comments = [f"# {text}" for text in texts]
    return Fixed(graph, comments, changes)


def write_fixed(found: Fixed, path: Path) -> None:
    """Write all trees to one file."""
    write_mended(path, found.graph, found.comments)


def write_split(found: Fixed, folder: Path, stem: str, *, overwrite: bool) -> list[Path]:
    """Write a file for each tree, `stem_0001.swc` and so on, in the order of the trees."""
    trees = separated(found.graph)
    digits = max(4, len(str(len(trees))))
    paths = [folder / f"{stem}_{number:0{digits}}.swc" for number in range(1, len(trees) + 1)]
    for path in paths:
        refuse_to_replace(path, overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    for path, (graph, _) in zip(paths, trees, strict=True):
        write_mended(path, graph, found.comments)
    return paths


def write_in_place(found: Fixed, path: Path) -> Path:
    """Replace the file, and keep what it was beside it as `name.bak`, `name.bak2`, ..."""
    path = path.resolve()
    backup = next(p for p in _backups(path) if not p.exists())
    shutil.copy2(path, backup)
    write_mended(path, found.graph, found.comments)
    return backup


def _backups(path: Path) -> Iterator[Path]:
    yield path.with_name(path.name + ".bak")
    yield from (path.with_name(f"{path.name}.bak{number}") for number in count(2))


def _wanted_roots(path: Path, mended: MendedSwc, rule: FixRule) -> np.ndarray:
    """The nodes that are to be roots, at most one in each tree."""
    graph = mended.graph
    if rule.root_at is not None:
        return np.array([nearest_node(graph, rule.root_at)])
    if rule.root == "longest":
        return longest_path_roots(graph)
    if rule.root == "soma":
        found = soma_roots(graph)
        if not len(found):
            raise ValueError(f"{path}: has no node of type 1, a soma; choose the root by --root-at")
        return found
    if rule.root is None:
        return np.zeros(0, dtype=np.int64)
    node = np.flatnonzero(mended.ids == int(rule.root))
    if not len(node):
        raise ValueError(f"{path}: has no node {rule.root}; give the id of one of its nodes")
    return node[:1]


def _moves(mended: MendedSwc, wanted: np.ndarray) -> list[str]:
    """Which roots move, told by the ids of the file and in its unit."""
    graph = mended.graph
    old = {int(graph.components[root]): int(root) for root in written_roots(graph)}
    lines = []
    for root in wanted.tolist():
        above = old[int(graph.components[root])]
        if above != root:
            z, y, x = graph.positions[root]
            lines.append(
                f"the root moves from node {mended.ids[above]:g} to node {mended.ids[root]:g} "
                f"at x {x:g} y {y:g} z {z:g}"
            )
    return lines


def place_of(text: str | None) -> tuple[float, float, float] | None:
    """`"x,y,z"` as `(z, y, x)`; None stays None."""
    if text is None:
        return None
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"`--root-at` must be three numbers x,y,z, got {text!r}") from None
    return z, y, x


def _scaled(graph: NeuriteGraph, factor: Spacing) -> NeuriteGraph:
    return NeuriteGraph(
        graph.positions * factor, graph.edges, graph.radii * in_plane(factor), graph.kinds
    )
