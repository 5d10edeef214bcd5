"""Which pieces of which cubes belong to the same neurite: union-find through their borders.

A node of the union-find is a connected component of one cube's fragment. Two are joined where
skeleton voxels touch across a border, or where an edge leads on from a voxel that the neighbour
does not have (`stitching.repairs`). All of that is decided by a cube and the cubes that touch it,
so the fragments are looked at one neighbourhood after the other, and of each only its rim; what is
held is one number for each component. The outcome is that of stitching all fragments at once.

References:
    R. E. Tarjan. Efficiency of a good but not linear set union algorithm. Journal of the ACM 22,
    1975.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from topodelin.delineation.lattice import DIRECTIONS, Lattice
from topodelin.delineation.tracing.fragment_store import FragmentStore, Rim
from topodelin.delineation.tracing.stitching import SkeletonGraph, assemble, repairs
from topodelin.delineation.tracing.union_find import UnionFind
from topodelin.volumes import Index, Spacing

Progress = Callable[[int, int], None]
STEPS = np.array(DIRECTIONS)


@dataclass(frozen=True, eq=False)
class Links:
    """How the fragments of a store belong together.

    Args:
        cubes: of the store, ascending.
        first: (C + 1,) number of the first component of each cube; those of a cube follow.
        neurites: (components,) the neurite that each component belongs to, from 0 in the order of
            their first components.
        repairs: (E, 2) pairs of keys to be joined.
        repaired: (E,) the neurite of each repair.
    """

    cubes: list[Index]
    first: np.ndarray
    neurites: np.ndarray
    repairs: np.ndarray
    repaired: np.ndarray


def link(
    store: FragmentStore, lattice: Lattice, spacing: Spacing, progress: Progress | None = None
) -> Links:
    """Find out which components of which cubes make up one neurite.

    Args:
        store: the fragments.
        lattice: of their cubes, at least 2 voxels wide.
        spacing: µm per voxel `(z, y, x)`, for what is nearest.
        progress: told of cubes done and their total.
    """
    known = list(store.cubes())
    cubes = [cube for cube, _ in known]
    first = np.cumsum([0, *(count for _, count in known)])
    at = {cube: int(start) for cube, start in zip(cubes, first, strict=False)}
    sets = UnionFind(int(first[-1]))
    named: dict[int, int] = {}  # key that only a border names: its node
    found = [np.zeros((0, 2), np.int64)]
    places = [np.zeros(0, np.int64)]
    for done, cube in enumerate(cubes, 1):
        rim = store.rim(cube)
        keys, nodes, borders = _around(cube, store, lattice, at)
        if rim is not None and len(rim.keys):
            _join_touching(rim.keys, rim.components + at[cube], keys, nodes, lattice.shape, sets)
            edges = repairs(rim.crossings, borders, keys, lattice.shape, spacing)
            for near, far in edges.tolist():
                if not _holds(keys, far) and far not in named:
                    named[far] = sets.add()
                start, end = (_node(key, keys, nodes, named) for key in (near, far))
                sets.join(start, end)
                places.append(np.array([start]))
            found.append(edges)
        if progress is not None:
            progress(done, len(cubes))
    for key, node in named.items():
        z, y, x = (int(index) for index in np.unravel_index(key, lattice.shape))
        keys, nodes, _ = _around(lattice.holding((z, y, x)), store, lattice, at)
        keys, nodes = np.append(keys, list(named)), np.append(nodes, list(named.values()))
        order = np.argsort(keys)
        alone = np.array([key]), np.array([node])
        _join_touching(*alone, keys[order], nodes[order], lattice.shape, sets)
    roots = sets.roots()
    _, earliest, number = np.unique(roots, return_index=True, return_inverse=True)
    rank = np.empty(len(earliest), np.int64)
    rank[np.argsort(earliest)] = np.arange(len(earliest))
    neurites = rank[number]
    repaired = neurites[np.concatenate(places)]
    return Links(cubes, first, neurites[: int(first[-1])], np.concatenate(found), repaired)


def skeletons(
    store: FragmentStore, links: Links, shape: Index, least: int = 1
) -> Iterator[SkeletonGraph]:
    """The skeleton of one neurite after the other; those of fewer than `least` voxels are left out.

    What is held at a time is one neurite.
    """
    order = np.argsort(links.neurites, kind="stable")
    ends = np.cumsum(np.bincount(links.neurites)) if len(order) else []
    by_neurite = np.argsort(links.repaired, kind="stable")
    repaired = links.repaired[by_neurite]
    begin = 0
    for neurite, end in enumerate(ends):
        members = order[begin:end]
        begin = end
        keys, distances = _voxels(store, links, members)
        if len(keys) < least:
            continue
        low, high = np.searchsorted(repaired, [neurite, neurite + 1])
        yield assemble(keys, distances, links.repairs[by_neurite[low:high]], shape)


def _voxels(store: FragmentStore, links: Links, members: np.ndarray) -> tuple[np.ndarray, ...]:
    """Keys and distances of the voxels of some components (ascending)."""
    places = np.searchsorted(links.first, members, side="right") - 1
    keys, distances = [], []
    for place in np.unique(places).tolist():
        everything, values, components = store.body(links.cubes[place])
        own = np.isin(components, members[places == place] - links.first[place])
        keys.append(everything[own])
        distances.append(values[own])
    return np.concatenate(keys), np.concatenate(distances)


def _around(
    cube: Index, store: FragmentStore, lattice: Lattice, at: dict[Index, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys (ascending) of the rims of a cube and its neighbours, their nodes, and the borders."""
    chosen = [cube, *(neighbour for _, neighbour in lattice.neighbours(cube))]
    rims: list[tuple[int, Rim]] = []
    for place in chosen:
        if place in at and (rim := store.rim(place)) is not None:
            rims.append((at[place], rim))
    keys = np.concatenate([np.zeros(0, np.int64), *(rim.keys for _, rim in rims)])
    nodes = np.concatenate([np.zeros(0, np.int64), *(rim.components + n for n, rim in rims)])
    borders = np.concatenate([np.zeros((0, 2), np.int64), *(rim.borders for _, rim in rims)])
    order = np.argsort(keys)
    return keys[order], nodes[order], borders


def _join_touching(
    own: np.ndarray,
    own_nodes: np.ndarray,
    keys: np.ndarray,
    nodes: np.ndarray,
    shape: Index,
    sets: UnionFind,
) -> None:
    """Join the nodes of voxels that touch by a face, an edge or a corner."""
    voxels = np.stack(np.unravel_index(own, shape), axis=1)
    beside = voxels[:, None, :] + STEPS
    inside = ((beside >= 0) & (beside < shape)).all(axis=2)
    wanted = np.ravel_multi_index(tuple(beside[inside].T), shape)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    same = keys[place] == wanted
    starts = np.broadcast_to(own_nodes[:, None], inside.shape)[inside][same]
    pairs = np.stack([starts, nodes[place[same]]], axis=1)
    for start, end in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist():
        sets.join(start, end)


def _holds(keys: np.ndarray, key: int) -> bool:
    place = int(np.searchsorted(keys, key))
    return place < len(keys) and int(keys[place]) == key


def _node(key: int, keys: np.ndarray, nodes: np.ndarray, named: dict[int, int]) -> int:
    return int(nodes[np.searchsorted(keys, key)]) if _holds(keys, key) else named[key]
