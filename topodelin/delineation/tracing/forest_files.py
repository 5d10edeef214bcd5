"""Trees written one by one as they grow; numbered, the longest first, once all are there."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace

from topodelin.delineation.run_folder import RunFolder, write_whole
from topodelin.delineation.tracing.neurons import Mark
from topodelin.delineation.tracing.spots import Spot
from topodelin.delineation.tracing.tree_files import (
    COLUMNS,
    TreeFiles,
    as_written,
    table,
    tree_row,
)
from topodelin.delineation.tracing.trees import Tree
from topodelin.graphs import write_swc


class ForestFiles:
    """The trees of a run while they are written, beside those of an earlier one.

    Args:
        folder: of the run.
        header: comment lines of every SWC file.
    """

    def __init__(self, folder: RunFolder, header: Sequence[str]) -> None:
        self._folder, self._header = folder, header
        self._rows: list[list[str]] = []
        self._lengths: list[float] = []
        self._holds_seed: list[bool] = []
        self._on_tree: dict[Mark, int] = {}
        self._order: list[int] = []
        self._rank: dict[int, int] = {}
        shutil.rmtree(folder.trees_in_work, ignore_errors=True)
        folder.trees_in_work.mkdir()

    def add(self, tree: Tree, marks: Iterable[Mark]) -> tuple[Tree, int]:
        """Write a tree; as it is in the file, and what it is called until all are numbered.

        Args:
            tree: a grown tree.
            marks: what lies on it.
        """
        tree, number = replace(tree, graph=as_written(tree.graph)), len(self._rows)
        path = self._folder.trees_in_work / f"grown_{number}.swc"
        write_swc(path, tree.graph, header=self._header, roots=[tree.root])
        self._rows.append(tree_row(tree))
        self._lengths.append(tree.graph.length)
        self._holds_seed.append(tree.holds_seed)
        self._on_tree |= dict.fromkeys(marks, number)
        return tree, number

    def number(self) -> None:
        """Give the files their names, the longest tree first; among equals by the root."""
        self._order = sorted(
            range(len(self._rows)),
            key=lambda n: (-self._lengths[n], [float(value) for value in self._rows[n][4:]]),
        )
        self._rank = {number: place for place, number in enumerate(self._order, 1)}
        for number, name in zip(self._order, self._names, strict=True):
            path = self._folder.trees_in_work / f"grown_{number}.swc"
            os.replace(path, path.with_name(f"{name}.swc"))

    def numbered(self, spot: Spot) -> Spot:
        """A spot on trees as `add` called them, with their numbers."""
        return replace(spot, trees=tuple(self._rank[number] for number in spot.trees))

    def trees_of(self, marks: Iterable[Mark]) -> tuple[int, ...]:
        """The numbers of the trees that hold any of the marks."""
        held = {self._on_tree[mark] for mark in marks if mark in self._on_tree}
        return tuple(sorted(self._rank[number] for number in held))

    def put_in_place(self) -> None:
        """Let the files take the place of those of an earlier run."""
        if self._folder.trees.exists():
            shutil.rmtree(self._folder.trees)
        os.replace(self._folder.trees_in_work, self._folder.trees)

    def write_table(self) -> None:
        """`trees.csv`."""
        rows = (self._rows[number] for number in self._order)
        cells = [[name, *row] for name, row in zip(self._names, rows, strict=True)]
        write_whole(self._folder.table, table(cells, COLUMNS))

    def read_back(self) -> TreeFiles:
        """The trees, longest first."""
        lengths = [self._lengths[number] for number in self._order]
        seeded = [self._holds_seed[number] for number in self._order]
        return TreeFiles(self._folder, self._names, lengths, seeded)

    @property
    def _names(self) -> list[str]:
        digits = max(4, len(str(len(self._rows))))
        return [f"tree_{place:0{digits}d}" for place in range(1, len(self._rows) + 1)]
