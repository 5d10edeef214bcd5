"""The trees of a run on disk: written one at a time, numbered at the end, read back when asked."""

import csv
import io
from collections.abc import Sequence
from typing import overload

import numpy as np

from topodelin.delineation.run_folder import RunFolder
from topodelin.delineation.tracing.trees import Tree
from topodelin.graphs import NeuriteGraph, read_swc

COLUMNS = ("tree", "length_um", "nodes", "branches", "holds_seed", "root_z", "root_y", "root_x")


class TreeFiles(Sequence[Tree]):
    """Trees read from their files one at a time, so that any number of them takes no memory.

    Args:
        folder: of the run.
        names: of the trees, in order.
        lengths: of each, µm.
        holds_seed: whether a seed lies near it.
    """

    def __init__(
        self,
        folder: RunFolder,
        names: Sequence[str],
        lengths: Sequence[float],
        holds_seed: Sequence[bool],
    ) -> None:
        self._folder, self._names = folder, tuple(names)
        self.lengths, self._holds_seed = tuple(lengths), tuple(holds_seed)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Tree: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tree]: ...
    def __getitem__(self, index: int | slice) -> Tree | Sequence[Tree]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        path = self._folder.trees / f"{self._names[index]}.swc"
        return Tree(read_swc(path), 0, self._holds_seed[index])  # the root is written first

    @property
    def length_um(self) -> float:
        """Of all trees together."""
        return float(sum(self.lengths))


def as_written(graph: NeuriteGraph) -> NeuriteGraph:
    """With the positions that its SWC file has."""
    return NeuriteGraph(np.round(graph.positions, 4), graph.edges, graph.radii, graph.kinds)


def tree_row(tree: Tree) -> list[str]:
    """The line of a tree in `trees.csv`, less its name."""
    root = [f"{value:.3f}" for value in tree.graph.positions[tree.root].tolist()]
    numbers = [str(len(tree.graph)), str(tree.branches), str(int(tree.holds_seed))]
    return [f"{tree.graph.length:.3f}", *numbers, *root]


def table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """Comma-separated text with a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
