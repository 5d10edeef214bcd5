"""The piece of the neurites' skeleton that lies in one cube, and how it leaves the cube.

A skeleton thinned inside one cube would end where the cube ends. Each cube is therefore thinned
together with `overlap` voxels of its neighbours' distance maps and then cut to its core. Thinning
is local: a voxel is kept or removed by what lies within a few radii of it, so two neighbours that
both see `overlap` voxels across their border agree, voxel for voxel, on the skeleton there, and
their pieces fit (`stitching`). Where they do not agree, the connected components of the mask on
the layer between them say which pieces belong together: both sides see that same layer.
"""

from dataclasses import dataclass

import numpy as np
from skimage.measure import label

from topodelin.delineation.lattice import DIRECTIONS
from topodelin.graphs.thinning import thin
from topodelin.graphs.voxel_edges import voxel_edges
from topodelin.volumes import Box, Index

WIRE = 3  # voxels; long enough for its tip to have one neighbour


@dataclass(frozen=True, eq=False)
class Fragment:
    """The skeleton voxels of one cube as plain arrays; a voxel's key is its linear index.

    Args:
        keys: (N,) int64 of the skeleton voxels in the core, ascending.
        distances: (N,) float32, their distance, finest voxel edges.
        crossings: (C, 2) int64 pairs of keys: a voxel of the core and one that touches it just
            outside, as this cube sees the skeleton there.
        borders: (B, 2) int64 `(key, component)`: skeleton voxels on either side of the cube's
            border and the component of the mask they belong to on that face, edge or corner. A
            component is named by the key of its voxel of least distance, so that both cubes that
            share it call it the same.
    """

    keys: np.ndarray
    distances: np.ndarray
    crossings: np.ndarray
    borders: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)


def fragment(
    distance: np.ndarray, box: Box, core: Box, shape: Index, *, threshold: float, min_voxels: int
) -> Fragment:
    """The skeleton of `{distance < threshold}` in the core of a cube.

    Args:
        distance: (z, y, x) float32, the distance map in `box`, finest voxel edges.
        box: the core and at least one voxel around it, clipped to the volume.
        core: the voxels that this cube answers for.
        shape: voxels of the whole grid, for the keys.
        threshold: distance below which a voxel belongs to a neurite.
        min_voxels: components of the mask smaller than this are dropped if they lie in the core
            and touch no neighbour, so that two cubes never differ about one.
    """
    distance = np.asarray(distance, dtype=np.float32)
    inner, ring = core.relative_to(box.begin), core.grow(1).clip(shape).relative_to(box.begin)
    mask = _without_specks(distance < threshold, ring, min_voxels)
    skeleton = _thinned(mask, distance) if mask.any() else mask
    voxels = np.argwhere(skeleton[ring.slices]) + ring.begin
    own = _inside(voxels, inner)
    keys = voxel_keys(voxels + box.begin, shape)
    pairs = voxel_edges(voxels)
    across = pairs[own[pairs].sum(axis=1) == 1]
    across = np.where(own[across[:, :1]], across, across[:, ::-1])
    borders = [
        _components(mask, distance, piece, box.begin, shape, voxels, keys)
        for piece in _border_pieces(inner, ring)
    ]
    return Fragment(
        keys[own],
        distance[tuple(voxels[own].T)],
        keys[across],
        np.unique(np.concatenate([np.zeros((0, 2), np.int64), *borders]), axis=0),
    )


def _thinned(mask: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """The mask thinned to curves that still reach every face of its array that the mask reaches.

    Thinning eats a blunt end for many voxels before the tube is thin enough to have an end that is
    kept. Where the array cuts a neurite, a straight wire of one voxel is therefore led out from
    the voxel of least distance; its tip is an end from the start, so the neurite stays as it is.
    """
    padded = np.pad(mask, WIRE)
    for axis in range(3):
        for layer, outward in ((0, -1), (mask.shape[axis] - 1, 1)):
            face = mask.take([layer], axis=axis)
            labels = np.asarray(label(face, connectivity=3))
            for _, voxel in _least(labels, distance.take([layer], axis=axis)):
                place = np.array(voxel) + WIRE
                place[axis] += layer
                for _ in range(WIRE):
                    place[axis] += outward
                    padded[tuple(place)] = True
    inner = slice(WIRE, -WIRE)
    return thin(padded)[inner, inner, inner]


def _least(labels: np.ndarray, distance: np.ndarray) -> list[tuple[int, Index]]:
    """`(label, voxel)`: for each component its voxel of least distance, the first among equals."""
    voxels = np.argwhere(labels)  # in (z, y, x) order, which breaks ties
    number = labels[tuple(voxels.T)]
    order = np.lexsort((np.arange(len(voxels)), distance[tuple(voxels.T)], number))
    names, first = np.unique(number[order], return_index=True)
    return [
        (int(name), (int(z), int(y), int(x)))
        for name, (z, y, x) in zip(names, voxels[order][first], strict=True)
    ]


def voxel_keys(voxels: np.ndarray, shape: Index) -> np.ndarray:
    """(N,) int64: the linear index of each voxel ((N, 3)) of a grid."""
    return np.asarray(np.ravel_multi_index(tuple(voxels.T), shape), dtype=np.int64)


def _inside(voxels: np.ndarray, box: Box) -> np.ndarray:
    """(N,) bool: which voxels lie in a box."""
    within = (voxels >= np.array(box.begin)) & (voxels < np.array(box.end))
    return np.asarray(within.all(axis=1))


def _without_specks(mask: np.ndarray, ring: Box, min_voxels: int) -> np.ndarray:
    """The mask less small components strictly inside `ring`, the core and one layer around it."""
    seen = mask[ring.slices]
    rim = np.ones(seen.shape, dtype=bool)
    rim[1:-1, 1:-1, 1:-1] = False
    labels = np.asarray(label(seen, connectivity=3))
    small = np.bincount(labels.ravel()) < min_voxels
    small[labels[rim]] = False
    small[0] = False
    mask = mask.copy()
    mask[ring.slices] &= ~small[labels]
    return mask


def _border_pieces(inner: Box, ring: Box) -> list[Box]:
    """The faces, edges and corners on which two cubes meet: our own layer, and the layer outside.

    For each direction these are the outermost voxels of the core and the first voxels beyond.
    Directions in which the volume ends have none.
    """
    pieces = []
    for direction in DIRECTIONS:
        within, beyond = [], []
        for step, begin, end in zip(direction, inner.begin, inner.end, strict=True):
            within.append({-1: (begin, begin + 1), 0: (begin, end), 1: (end - 1, end)}[step])
            beyond.append({-1: (begin - 1, begin), 0: (begin, end), 1: (end, end + 1)}[step])
        outside = Box(*zip(*beyond, strict=True))
        if outside & ring == outside:
            pieces += [Box(*zip(*within, strict=True)), outside]
    return pieces


def _components(
    mask: np.ndarray,
    distance: np.ndarray,
    piece: Box,
    origin: Index,
    shape: Index,
    voxels: np.ndarray,
    keys: np.ndarray,
) -> np.ndarray:
    """(B, 2) `(key, component)` of the skeleton voxels that lie in one piece of the border."""
    inside = _inside(voxels, piece)
    if not inside.any():
        return np.zeros((0, 2), np.int64)
    labels = np.asarray(label(mask[piece.slices], connectivity=3))
    least = _least(labels, distance[piece.slices])  # of components 1, 2, ...
    corner = np.add(piece.begin, origin)
    names = voxel_keys(np.array([voxel for _, voxel in least]) + corner, shape)
    here = labels[tuple((voxels[inside] - piece.begin).T)]
    return np.stack([keys[inside], names[here - 1]], axis=1)
