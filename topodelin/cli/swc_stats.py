"""What `topodelin swc stats` answers: a row for each tree, then all of them together."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topodelin.cli.swc_files import Tracing, refuse_cycles
from topodelin.cli.tables import aligned
from topodelin.graphs import Morphometry, morphometry
from topodelin.graphs.morphometry import total

COLUMNS = {  # column of the table -> number and its format
    "nodes": ("nodes", ",.0f"),
    "length µm": ("length_um", ",.1f"),
    "tips": ("tips", ",.0f"),
    "junctions": ("junctions", ",.0f"),
    "branches": ("branches", ",.0f"),
    "Strahler": ("strahler_order", ".0f"),
    "max path µm": ("max_path_distance_um", ",.1f"),
    "tortuosity": ("tortuosity", ".3f"),
    "asymmetry": ("partition_asymmetry", ".3f"),
    "radius µm": ("mean_radius_um", ".3f"),
    "surface µm²": ("surface_um2", ",.1f"),
    "volume µm³": ("volume_um3", ",.1f"),
}
SHOWN = 50  # trees in the table


@dataclass(frozen=True, slots=True)
class MeasuredTree:
    """One tree of a file, counted from 1."""

    file: Path
    number: int
    of: int
    size: Morphometry

    @property
    def name(self) -> str:
        """The file, and which tree of it where it holds several."""
        return f"{self.file.name}" if self.of == 1 else f"{self.file.name} #{self.number}"

    def as_dict(self) -> dict[str, Any]:
        numbers = self.size.as_dict()
        del numbers["trees"]
        return {"file": str(self.file), "tree": self.number, **numbers}


def measured(tracing: Tracing) -> list[MeasuredTree]:
    """Every tree of a file, seen from the root that the file gives it."""
    refuse_cycles(tracing.path, tracing.graph)
    sizes = morphometry(tracing.graph, roots=tracing.roots)
    return [MeasuredTree(tracing.path, n, len(sizes), size) for n, size in enumerate(sizes, 1)]


def answer(trees: Sequence[MeasuredTree]) -> dict[str, Any]:
    """Everything, ready for JSON."""
    return {
        "trees": [tree.as_dict() for tree in trees],
        "total": total(tree.size for tree in trees).as_dict(),
    }


def table(trees: Sequence[MeasuredTree]) -> str:
    """The longest trees and the total, for people."""
    shown = list(trees)
    if len(trees) > SHOWN:
        shown = sorted(trees, key=lambda tree: -tree.size.length)[:SHOWN]
    rows = [[tree.name, *_cells(tree.size)] for tree in shown]
    if len(shown) < len(trees):
        rows.append([f"({len(trees) - len(shown):,} shorter)", *[""] * len(COLUMNS)])
    if len(trees) != 1:
        rows.append([f"{len(trees):,} trees", *_cells(total(tree.size for tree in trees))])
    return aligned(["", *COLUMNS], rows)


def write_table(path: Path, trees: Sequence[MeasuredTree]) -> None:
    """One row for each tree, with every number; nothing where one is undefined."""
    columns = MeasuredTree(path, 0, 0, total([])).as_dict()
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, columns, lineterminator="\n")
        out.writeheader()
        out.writerows(tree.as_dict() for tree in trees)


def _cells(size: Morphometry) -> list[str]:
    numbers = size.as_dict()
    found = [(numbers[name], style) for name, style in COLUMNS.values()]
    return ["-" if number is None else f"{number:{style}}" for number, style in found]
