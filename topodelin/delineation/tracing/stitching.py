"""Fragments of single cubes joined into one graph, exactly as the mask is connected.

Every skeleton voxel has one owner, the cube whose core holds it, and one name, its linear index in
the working grid. So the fragments are joined by taking the union of their voxels and joining those
that touch. Each cube also says which of its voxels touch which just beyond its border. Where the
neighbour agrees that there is a skeleton voxel, that is all. Where it does not, an edge leads to
the nearest skeleton voxel that the neighbour has in the same component of the mask on their common
border; if it has none, to the voxel of least distance of that component, which all cubes name
alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from topodelin.delineation.tracing.fragments import Fragment
from topodelin.graphs import NeuriteGraph
from topodelin.graphs.voxel_edges import voxel_edges
from topodelin.volumes import Index, Spacing


@dataclass(frozen=True, eq=False)
class SkeletonGraph:
    """A graph of skeleton voxels.

    Args:
        voxels: (N, 3) int64, `(z, y, x)` in the working grid.
        distances: (N,) float32, finest voxel edges; NaN for a voxel that only a border names.
        edges: (E, 2) int64, rows of `voxels`.
    """

    voxels: np.ndarray
    distances: np.ndarray
    edges: np.ndarray

    def __len__(self) -> int:
        return len(self.voxels)

    def select(self, keep: np.ndarray) -> "SkeletonGraph":
        """The nodes marked in `keep` ((N,) bool) and the edges between them."""
        renumber = np.cumsum(keep) - 1
        inside = self.edges[keep[self.edges].all(axis=1)]
        return SkeletonGraph(self.voxels[keep], self.distances[keep], renumber[inside])

    def placed(self, spacing: Spacing) -> NeuriteGraph:
        """The same graph in µm."""
        return NeuriteGraph(self.voxels * np.asarray(spacing), self.edges)


def stitch(fragments: Iterable[Fragment], shape: Index, spacing: Spacing) -> SkeletonGraph:
    """One graph of all skeleton voxels; the order of the fragments does not matter.

    Args:
        fragments: one for each cube that holds a neurite.
        shape: voxels of the working grid, for the keys.
        spacing: µm per voxel `(z, y, x)`, for what is nearest.
    """
    parts = list(fragments)
    if not parts:
        return SkeletonGraph(
            np.zeros((0, 3), np.int64), np.zeros(0, np.float32), np.zeros((0, 2), np.int64)
        )
    keys = np.concatenate([part.keys for part in parts])
    distances = np.concatenate([part.distances for part in parts])
    crossings = np.concatenate([part.crossings for part in parts])
    borders = np.concatenate([part.borders for part in parts])
    links = repairs(crossings, borders, np.sort(keys), shape, spacing)
    return assemble(keys, distances, links, shape)


def repairs(
    crossings: np.ndarray, borders: np.ndarray, keys: np.ndarray, shape: Index, spacing: Spacing
) -> np.ndarray:
    """(E, 2) edges, as keys, in place of crossings whose far voxel its owner does not have.

    Args:
        crossings, borders: those of [`Fragment`][]; of all cubes that touch the ones concerned.
        keys: (N,) ascending, the skeleton voxels of these cubes near their borders, or all.
        shape: voxels of the working grid.
        spacing: µm per voxel `(z, y, x)`.
    """
    open_ends = crossings[~_among(crossings[:, 1], keys)]
    return _lead_on(open_ends, np.unique(borders, axis=0), keys, shape, spacing)


def assemble(
    keys: np.ndarray, distances: np.ndarray, links: np.ndarray, shape: Index
) -> SkeletonGraph:
    """The graph of skeleton voxels that touch or are linked; nodes come in the order of keys.

    Args:
        keys: (N,) int64, in any order; each once.
        distances: (N,) float32.
        links: (E, 2) pairs of keys (`repairs`); a key that is not among `keys` becomes a node.
        shape: voxels of the working grid, for the keys.
    """
    named = np.setdiff1d(links, keys)
    keys = np.concatenate([keys, named])
    order = np.argsort(keys)
    keys = keys[order]
    distances = np.concatenate([distances, np.full(len(named), np.nan, np.float32)])[order]
    voxels = np.stack(np.unravel_index(keys, shape), axis=1).astype(np.int64)
    edges = np.concatenate([voxel_edges(voxels), np.searchsorted(keys, links)])
    return SkeletonGraph(voxels, distances, np.unique(np.sort(edges, axis=1), axis=0))


def _among(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Which of the values occur in an ascending array."""
    if not len(ascending):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return ascending[place] == values


def _lead_on(
    crossings: np.ndarray, borders: np.ndarray, keys: np.ndarray, shape: Index, spacing: Spacing
) -> np.ndarray:
    """(E, 2) edges in place of crossings whose far voxel its owner does not have."""
    if not len(crossings):
        return crossings
    own = borders[_among(borders[:, 0], keys)]  # what the owners have in each component
    by_name = own[np.argsort(own[:, 1], kind="stable")]
    edges = []
    for near, far in crossings.tolist():
        for name in borders[borders[:, 0] == far, 1].tolist():
            first, last = np.searchsorted(by_name[:, 1], [name, name + 1])
            theirs = by_name[first:last, 0]
            theirs = theirs[theirs != near]
            edges.append((near, _nearest(far, theirs, shape, spacing) if len(theirs) else name))
    chosen = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return chosen[chosen[:, 0] != chosen[:, 1]]


def _nearest(key: int, keys: np.ndarray, shape: Index, spacing: Spacing) -> int:
    voxel = np.array(np.unravel_index(key, shape))
    others = np.stack(np.unravel_index(keys, shape), axis=1)
    return int(keys[np.linalg.norm((others - voxel) * spacing, axis=1).argmin()])
