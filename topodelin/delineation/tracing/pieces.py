"""From skeletons to pieces: cleaned, taken apart where they cross, and asked for their tips."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from topodelin.delineation.tracing.bridging import Bridge, Gap, Tips, choose, find_bridges, tips_of
from topodelin.delineation.tracing.crossings import find_crossings, split_crossings
from topodelin.delineation.tracing.fragments import voxel_keys
from topodelin.delineation.tracing.neurons import Held, Mark
from topodelin.delineation.tracing.piece_store import PieceStore
from topodelin.delineation.tracing.spots import Spot
from topodelin.delineation.tracing.stitching import SkeletonGraph
from topodelin.delineation.tracing.stored_distances import StoredDistances
from topodelin.delineation.tracing.suspicious import crossing_spot
from topodelin.delineation.tracing.trace_source import TraceSource
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.delineation.tracing.trees import clean, smoothed
from topodelin.graphs import NeuriteGraph
from topodelin.volumes import Spacing


@dataclass(eq=False)
class Pieces:
    """What is known of all pieces, gathered while they are stored.

    Args:
        source: the distance map and what is known beside it.
        rule: how its skeleton becomes trees.
        held: which seed lies on which piece.
        tips: a row for each, its piece, voxel and direction.
        crossings: spots, and where on the pieces they lie.
    """

    source: TraceSource
    rule: TreeRule
    held: Held = field(init=False)
    tips: list[np.ndarray] = field(default_factory=list)
    crossings: list[tuple[Spot, list[Mark]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held = Held.nothing(len(self.source.seeds))

    @property
    def spacing(self) -> Spacing:
        """µm per voxel `(z, y, x)`."""
        return self.source.distance_map.spacing

    @property
    def stored(self) -> StoredDistances:
        """The distance map, read anew."""
        cubes = frozenset(self.source.cubes)
        source = self.source
        return StoredDistances(source.distance_map, source.lattice, cubes, source.d_max)

    @property
    def least(self) -> int:
        """Voxels of a skeleton that may be long enough to count."""
        shortest = min(self.rule.min_branch_um, self.rule.min_tree_um)
        return max(1, int(shortest / np.linalg.norm(self.spacing)))

    def take(self, skeleton: SkeletonGraph, store: PieceStore) -> None:
        """Clean a skeleton, take it apart where it crosses another, and store its pieces."""
        forest = clean(skeleton, self.spacing, self.rule)
        if not len(forest):
            return
        positions = smoothed(forest, self.spacing, self.rule).positions
        crossings = find_crossings(forest, positions, self.source.radius_um)
        parted, origin = forest, np.arange(len(forest))
        if self.rule.split_crossings:
            parted, origin = split_crossings(forest, crossings)
        graph = NeuriteGraph(positions[origin], parted.edges)
        keys = voxel_keys(parted.voxels, self.source.lattice.shape)
        numbers = np.full(graph.component_count, -1)
        for component in range(graph.component_count):
            inside = graph.components == component
            part = graph.select(inside)
            if part.length >= min(self.rule.min_branch_um, self.rule.min_tree_um):
                numbers[component] = store.add(parted.select(inside))
                self._note(int(numbers[component]), parted.select(inside), part, keys[inside])
        for crossing in crossings:
            ends = np.isin(origin, [crossing.path[0], crossing.path[-1]])
            marks = [
                (int(piece), int(key))
                for piece, key in zip(numbers[graph.components[ends]], keys[ends], strict=True)
                if piece >= 0
            ]
            spot = crossing_spot(crossing, forest, positions, self.rule.split_crossings)
            self.crossings.append((spot, marks))

    def bridged(
        self, store: PieceStore, progress: Callable[[int, int], None]
    ) -> tuple[list[Bridge], list[Bridge]]:
        """The bridges that are made, and the near misses."""
        if not self.rule.bridge_um or not self.tips:
            return [], []
        source, rows = self.source, np.concatenate(self.tips)
        tips = Tips(rows[:, 1:4].astype(np.int64), rows[:, 4:], rows[:, 0].astype(np.int64))
        gap = Gap(source.threshold, source.d_max, self.spacing, self.rule)
        found = find_bridges(tips, store, self.stored, source.lattice, gap, progress)
        somas: dict[int, set[int]] = {}
        if self.rule.somas:
            for number, piece in enumerate(self.held.pieces.tolist()):
                somas.setdefault(piece, set()).add(number)
        somas.pop(-1, None)
        return choose(found, store.count, somas, self.rule)

    def _note(
        self, number: int, piece: SkeletonGraph, part: NeuriteGraph, keys: np.ndarray
    ) -> None:
        self.held.look_at(number, keys, part.positions, self.source.seeds, self.rule.seed_radius_um)
        if part.length >= self.rule.min_branch_um:
            found = tips_of(piece.voxels, part.paths, self.spacing)
            nodes = found[:, 0].astype(np.int64)
            owner = np.full((len(nodes), 1), number)
            self.tips.append(np.hstack([owner, piece.voxels[nodes], found[:, 1:]]))
