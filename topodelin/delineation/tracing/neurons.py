"""One neuron after the other: pieces and the bridges between them become trees in µm."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from topodelin.delineation.tracing.bridging import Bridge
from topodelin.delineation.tracing.fragments import voxel_keys
from topodelin.delineation.tracing.piece_store import PieceStore
from topodelin.delineation.tracing.spots import Spot
from topodelin.delineation.tracing.stitching import SkeletonGraph
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.delineation.tracing.trees import Tree, parts, rooted, smoothed
from topodelin.delineation.tracing.union_find import UnionFind
from topodelin.graphs import NeuriteGraph, resample
from topodelin.volumes import Index, Spacing

Mark = tuple[int, int]  # a piece, and the key of one of its nodes
Radii = Callable[[NeuriteGraph], np.ndarray]


@dataclass(frozen=True, eq=False)
class Held:
    """The seeds that lie near a neurite, each at the node nearest to it of all.

    Args:
        pieces: (S,) the piece of each seed; -1 for one that lies near none.
        keys: (S,) the node.
        apart: (S,) µm from it.
    """

    pieces: np.ndarray
    keys: np.ndarray
    apart: np.ndarray

    @classmethod
    def nothing(cls, count: int) -> "Held":
        """No seed near any neurite so far."""
        return cls(np.full(count, -1), np.full(count, -1), np.full(count, np.inf))

    def look_at(
        self, piece: int, keys: np.ndarray, positions: np.ndarray, seeds: np.ndarray, radius: float
    ) -> None:
        """Take a piece into account."""
        low, high = positions.min(axis=0) - radius, positions.max(axis=0) + radius
        close = np.flatnonzero(((seeds >= low) & (seeds <= high)).all(axis=1))
        if len(close):
            apart, node = KDTree(positions).query(seeds[close], distance_upper_bound=radius)
            nearer = apart < self.apart[close]
            chosen = close[nearer]
            self.pieces[chosen], self.apart[chosen] = piece, apart[nearer]
            self.keys[chosen] = keys[np.asarray(node)[nearer]]


@dataclass(frozen=True, eq=False)
class Grown:
    """A tree with what is needed to speak of it.

    Args:
        tree: as it is written.
        marks: those asked for that lie on it.
        spots: `several_seeds`, still without trees.
    """

    tree: Tree
    marks: list[Mark]
    spots: list[Spot]


def neurons(pieces: int, bridges: Sequence[Bridge]) -> Iterator[tuple[list[int], list[Bridge]]]:
    """The pieces of each neuron and the bridges between them, by the least piece."""
    groups = UnionFind(pieces)
    for bridge in bridges:
        groups.join(*bridge.pieces)
    members: dict[int, set[int]] = {}
    within: dict[int, list[Bridge]] = {}
    for bridge in bridges:
        neuron = groups.find(bridge.pieces[0])
        within.setdefault(neuron, []).append(bridge)
        members.setdefault(neuron, set()).update(bridge.pieces)
    for piece in range(pieces):
        if groups.find(piece) == piece:
            yield sorted(members.get(piece, [piece])), within.get(piece, [])


def grow(
    chosen: Sequence[int],
    bridges: Sequence[Bridge],
    store: PieceStore,
    shape: Index,
    spacing: Spacing,
    seeds: np.ndarray,
    held: Held,
    marks: dict[int, list[int]],
    rule: TreeRule,
    *,
    threshold: float,
    report_seeds: bool,
    radii: Radii | None,
) -> Iterator[Grown]:
    """The trees of one neuron: one, or several where cell bodies were told apart.

    Args:
        chosen: its pieces.
        bridges: between them.
        store: of the pieces.
        shape: voxels of the working grid.
        spacing: µm per voxel `(z, y, x)`.
        seeds: (S, 3) µm, all of them.
        held: what they lie on.
        marks: keys asked for, by piece.
        rule: lengths, smoothing, cell bodies.
        threshold: distance that counts as unsure through and through, finest voxel edges.
        report_seeds: whether several seeds on one tree are worth a spot.
        radii: of the nodes of a tree, µm.
    """
    skeleton, first = _combined(chosen, bridges, store, shape)
    graph = smoothed(skeleton, spacing, rule)
    own = [
        (number, _node(int(held.pieces[number]), int(held.keys[number]), skeleton, first, shape))
        for number in np.flatnonzero(np.isin(held.pieces, chosen)).tolist()
    ]
    own = _apart(own, seeds, rule.seed_radius_um)
    asked = [
        ((piece, key), _node(piece, key, skeleton, first, shape))
        for piece in chosen
        for key in marks.get(piece, [])
    ]
    doubt = np.nan_to_num(skeleton.distances, nan=np.inf)[skeleton.edges].max(axis=1)
    between = _between_seeds(graph, doubt, [node for _, node in own])
    spots: dict[int, list[Spot]] = {}
    if rule.somas and len(between):
        graph = NeuriteGraph(graph.positions, np.delete(graph.edges, between, axis=0))
    worst = between if rule.somas else between[-1:] if report_seeds else []
    for edge in worst:
        start, end = skeleton.edges[edge].tolist()
        sure = 1 - min(1.0, float(doubt[edge]) / threshold)
        done = "split between them here" if rule.somas else "this is the least sure place between"
        severity = (1 + sure) / 2 if rule.somas else 1 - sure
        place = (skeleton.voxels[start] + skeleton.voxels[end]) / 2 * np.asarray(spacing)
        z, y, x = place.tolist()
        note = f"{len(between) + 1} seeds on one tree; {done}"
        spots.setdefault(int(start), []).append(
            Spot("several_seeds", (z, y, x), severity, 0.0, (), note)
        )
    for inside in parts(graph):
        part = graph.select(inside)
        if part.length < max(rule.min_tree_um, 1e-9):
            continue
        mine = [number for number, node in own if inside[node]]
        places = seeds[mine] if rule.somas and mine else seeds
        tree = _finished(rooted(part, places, rule.seed_radius_um), rule, radii)
        on_it = [mark for mark, node in asked if inside[node]]
        yield Grown(tree, on_it, [s for n, all_ in spots.items() if inside[n] for s in all_])


def _finished(tree: Tree, rule: TreeRule, radii: Radii | None) -> Tree:
    """With its nodes at the distance asked for, and radii."""
    graph, root = tree.graph, tree.root
    if rule.resample_um > 0:
        place = graph.positions[root]
        graph = resample(graph, rule.resample_um)
        root = int(np.linalg.norm(graph.positions - place, axis=1).argmin())
    if radii is not None:
        graph = NeuriteGraph(graph.positions, graph.edges, radii(graph), graph.kinds)
    return Tree(graph, root, tree.holds_seed)


def _combined(
    chosen: Sequence[int], bridges: Sequence[Bridge], store: PieceStore, shape: Index
) -> tuple[SkeletonGraph, dict[int, tuple[int, int]]]:
    """All pieces and bridges as one skeleton, and the rows `[first, end)` of each piece."""
    parts_ = [store.piece(piece) for piece in chosen]
    ends = np.cumsum([0, *(len(part) for part in parts_)]).tolist()
    first = {piece: (a, b) for piece, a, b in zip(chosen, ends[:-1], ends[1:], strict=True)}
    voxels = [part.voxels for part in parts_]
    distances = [part.distances for part in parts_]
    edges = [part.edges + start for part, start in zip(parts_, ends, strict=False)]
    so_far = SkeletonGraph(np.concatenate(voxels), np.concatenate(distances), np.concatenate(edges))
    count = len(so_far)
    for bridge in bridges:
        tips = [
            _node(piece, int(voxel_keys(voxel[None], shape)[0]), so_far, first, shape)
            for piece, voxel in zip(bridge.pieces, bridge.path[[0, -1]], strict=True)
        ]
        inner = len(bridge.path) - 2
        chain = np.array([tips[0], *range(count, count + inner), tips[1]])
        voxels.append(bridge.path[1:-1])
        distances.append(bridge.distances[1:-1])
        edges.append(np.stack([chain[:-1], chain[1:]], axis=1))
        count += inner
    whole = SkeletonGraph(np.concatenate(voxels), np.concatenate(distances), np.concatenate(edges))
    return whole, first


def _node(
    piece: int, key: int, skeleton: SkeletonGraph, first: dict[int, tuple[int, int]], shape: Index
) -> int:
    """The row of a node of a piece; its nodes lie in the order of their keys."""
    start, end = first[piece]
    keys = voxel_keys(skeleton.voxels[start:end], shape)
    return start + int(np.searchsorted(keys, key))


def _apart(own: list[tuple[int, int]], seeds: np.ndarray, radius: float) -> list[tuple[int, int]]:
    """The seeds less those within `radius` of an earlier one, which mean the same place."""
    kept: list[tuple[int, int]] = []
    for number, node in own:
        if all(np.linalg.norm(seeds[number] - seeds[other]) > radius for other, _ in kept):
            kept.append((number, node))
    return kept


def _between_seeds(graph: NeuriteGraph, doubt: np.ndarray, nodes: Sequence[int]) -> np.ndarray:
    """Edges that part the nodes of a tree from each other, the most doubtful last.

    Edges are put back one after the other, the surest first; one that would join two parts that
    both hold a node is left out. So what is left out is, on the path between two nodes, the edge
    of greatest doubt, and among equals the one where the path bends most.
    """
    if len(nodes) < 2:
        return np.zeros(0, np.int64)
    bend = _bends(graph)[graph.edges].max(axis=1)
    groups, holders, left_out = UnionFind(len(graph)), set(nodes), []
    for edge in np.lexsort((np.arange(len(doubt)), bend, doubt)).tolist():
        one, two = (groups.find(int(node)) for node in graph.edges[edge])
        if one in holders and two in holders and one != two:
            left_out.append(edge)
        elif groups.join(one, two) and (one in holders or two in holders):
            holders.add(groups.find(one))
    return np.array(left_out, dtype=np.int64)


def _bends(graph: NeuriteGraph) -> np.ndarray:
    """(N,) 1 - cos of the angle by which a branch turns at each of its inner nodes; else 0."""
    bends = np.zeros(len(graph))
    for path in graph.paths:
        steps = np.diff(graph.positions[path], axis=0)
        steps /= np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
        bends[path[1:-1]] = 1 - (steps[1:] * steps[:-1]).sum(axis=1)
    return bends
