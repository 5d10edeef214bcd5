"""From the stored distance maps to SWC files."""

import csv
import io
import math
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from topodelin.delineation.fragments import Fragment, fragment
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.run_folder import RunFolder, write_whole
from topodelin.delineation.search_rule import SearchRule
from topodelin.delineation.stitching import stitch
from topodelin.delineation.trees import Tree, TreeRule, grow_trees
from topodelin.graphs import write_swc
from topodelin.volumes import Box, Index, Volume

CACHE_BYTES = 64 * 2**20


def trace(
    distance_map: Volume,
    cubes: Iterable[Index],
    lattice: Lattice,
    search: SearchRule,
    rule: TreeRule,
    seeds: np.ndarray,
    *,
    d_max: float,
) -> list[Tree]:
    """The trees in the distance maps of some cubes, longest first.

    One cube after the other is read and thinned, so memory grows with the length of the neurites
    and not with the volume.

    Args:
        distance_map: of the whole working grid.
        cubes: those that hold foreground; all others count as empty.
        lattice: cubes of the working grid.
        search: its threshold and smallest component.
        rule: lengths and smoothing.
        seeds: (S, 3) µm, where trees are rooted.
        d_max: distance where nothing is stored.
    """
    chosen = list(cubes)
    stored = StoredDistances(distance_map, lattice, frozenset(chosen), d_max)
    fragments = _fragments(stored, chosen, lattice, search)
    skeleton = stitch(fragments, lattice.shape, distance_map.spacing)
    return grow_trees(skeleton, distance_map.spacing, seeds, rule)


def overlap(threshold: float) -> int:
    """Voxels of its neighbours that a cube is thinned with.

    Twice the diameter of a neurite in the mask: with that much, two neighbours agree on the
    skeleton at their border (measured on random curves, isotropic and noisy: all of it).
    """
    return max(8, math.ceil(4 * threshold))


def _fragments(
    stored: "StoredDistances", cubes: Sequence[Index], lattice: Lattice, search: SearchRule
) -> Iterator[Fragment]:
    margin = overlap(search.threshold)
    for cube in cubes:
        core = lattice.core(cube)
        box = core.grow(margin).clip(lattice.shape)
        yield fragment(
            stored.read(box),
            box,
            core,
            lattice.shape,
            threshold=search.threshold,
            min_voxels=search.min_voxels,
        )


class StoredDistances:
    """Distance maps read across cubes; a few cubes are kept, since neighbours are read together.

    Args:
        volume: the stored map.
        lattice: its cubes.
        cubes: those to read; all others are `d_max` everywhere.
        d_max: distance where nothing is stored.
        cache_bytes: of cubes kept.
    """

    def __init__(
        self,
        volume: Volume,
        lattice: Lattice,
        cubes: frozenset[Index],
        d_max: float,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._volume, self._lattice, self._cubes, self._d_max = volume, lattice, cubes, d_max
        self._room = max(1, cache_bytes // (4 * math.prod(lattice.cube)))
        self._kept: OrderedDict[Index, np.ndarray] = OrderedDict()

    def read(self, box: Box) -> np.ndarray:
        """(z, y, x) float32 of a box inside the volume."""
        result = np.full(box.shape, self._d_max, np.float32)
        for cube in self._lattice.overlapping(box):
            if cube in self._cubes:
                core = self._lattice.core(cube)
                shared = core & box
                part = self._cube(cube)[shared.relative_to(core.begin).slices]
                result[shared.relative_to(box.begin).slices] = part
        return result

    def _cube(self, cube: Index) -> np.ndarray:
        if cube in self._kept:
            self._kept.move_to_end(cube)
        else:
            self._kept[cube] = self._volume.read(self._lattice.core(cube))
            if len(self._kept) > self._room:
                self._kept.popitem(last=False)
        return self._kept[cube]


def write_trees(folder: RunFolder, trees: Sequence[Tree], header: Sequence[str]) -> None:
    """`trees/tree_0001.swc` ... and `trees.csv`; what an earlier run wrote there is replaced."""
    shutil.rmtree(folder.trees_in_work, ignore_errors=True)
    folder.trees_in_work.mkdir()
    digits = max(4, len(str(len(trees))))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(
        ["tree", "length_um", "nodes", "branches", "holds_seed", "root_z", "root_y", "root_x"]
    )
    for number, tree in enumerate(trees, 1):
        name = f"tree_{number:0{digits}d}"
        path = folder.trees_in_work / f"{name}.swc"
        write_swc(path, tree.graph, header=header, roots=[tree.root])
        root = [f"{value:.3f}" for value in tree.graph.positions[tree.root].tolist()]
        length, holds_seed = f"{tree.graph.length:.3f}", int(tree.holds_seed)
        writer.writerow([name, length, len(tree.graph), tree.branches, holds_seed, *root])
    if folder.trees.exists():
        shutil.rmtree(folder.trees)
    os.replace(folder.trees_in_work, folder.trees)
    write_whole(folder.table, table.getvalue())
