"""Loops of a part of a mask that are loops of the whole too, without the complex of the whole.

The loops of a part T of a mask U that persist in U are the loops of U less what T lacks for them:

    rank(H1(T) -> H1(U)) = b1(U) - dim H1(U, T) + dim ker(H0(T) -> H0(U))

and the relative homology looks at the voxels of U outside T only. Most of these change nothing: T
takes in, one after the other, voxels that are *simple* for it (the faces, edges and corners of the
voxel that T has are in one piece without a hole, so T with the voxel shrinks to T without it).
What is left are the few places where loops begin or end, each in a small box of its own.

References:
    G. Bertrand, G. Malandain. A new characterization of three-dimensional simple points. Pattern
    Recognition Letters 15, 1994.
"""

from itertools import product

import numpy as np
from scipy.ndimage import find_objects

from topodelin.graphs.betti import Connectivity, labelled, mask_betti_numbers

STEPS = np.array(list(product((-1, 0, 1), repeat=3)))
# Of the 27 parts of a closed voxel: itself, 6 faces, 12 edges, 8 corners, with signs of Euler.
EULER = np.array([(0, 1, -1, 1)[np.count_nonzero(step)] for step in STEPS])
CORNERS = np.flatnonzero(np.abs(STEPS).sum(axis=1) == 3)
EDGES = [  # each edge of the voxel, and the places of its two ends among the corners
    (row, np.flatnonzero(((STEPS[CORNERS] == step) | (step == 0)).all(axis=1)))
    for row, step in enumerate(STEPS)
    if np.count_nonzero(step) == 2
]


def persisting_loops(part: np.ndarray, whole: np.ndarray, connectivity: Connectivity) -> int:
    """Loops of a part of a volume that are independent loops of the whole.

    Args:
        part: (z, y, x) booleans, nothing outside `whole`, nothing at the border of the array;
            best from `grown`.
        whole: the same shape.
        connectivity: of the foreground, as in `mask_betti_numbers`.
    """
    near = 3 if connectivity == "high" else 1
    pieces, count = labelled(whole, near)
    held = np.zeros(count + 1, dtype=bool)
    held[pieces[part]] = True
    held[0] = False
    whole = held[pieces]  # pieces of the whole without any of the part hold none of its loops
    joined = labelled(part, near)[1] - int(held.sum())
    loops = mask_betti_numbers(whole, connectivity=connectivity)[1]
    return loops - _relative_loops(part, whole, connectivity) + joined


def _relative_loops(part: np.ndarray, whole: np.ndarray, connectivity: Connectivity) -> int:
    """Dimension of H1 of the whole modulo the part."""
    outside = whole & ~part
    places, _ = labelled(outside, 3)
    boxes = [
        tuple(slice(side.start - 1, side.stop + 1) for side in box) for box in find_objects(places)
    ]
    if sum(np.prod([side.stop - side.start for side in box]) for box in boxes) > whole.size:
        return _relative_loops_of_box(part, outside, connectivity)
    return sum(
        _relative_loops_of_box(part[box], places[box] == number, connectivity)
        for number, box in enumerate(boxes, 1)
    )


def _relative_loops_of_box(
    part: np.ndarray, outside: np.ndarray, connectivity: Connectivity
) -> int:
    """The same by gudhi's cubical complex: loops that come with the rest, or join pieces."""
    from gudhi import CubicalComplex  # pyright: ignore[reportMissingImports]

    values = np.where(part, 0.0, np.where(outside, 1.0, 2.0))
    kind = "top_dimensional_cells" if connectivity == "high" else "vertices"
    complex_ = CubicalComplex(**{kind: values})  # type: ignore[arg-type]
    complex_.compute_persistence(homology_coeff_field=2)
    pieces, loops = (
        np.asarray(complex_.persistence_intervals_in_dimension(dimension)).reshape(-1, 2)
        for dimension in (0, 1)
    )
    joined = (pieces[:, 0] == 0) & (pieces[:, 1] == 1)
    return int(joined.sum()) + int(((loops[:, 0] == 1) & (loops[:, 1] == 2)).sum())


def grown(part: np.ndarray, whole: np.ndarray, connectivity: Connectivity) -> np.ndarray:
    """The part with as many voxels of the whole as it can take in without change of topology.

    Args:
        part, whole, connectivity: as in `persisting_loops`.

    Voxels are asked again when a neighbour came in. Those with odd and even places along each axis
    take turns, so that no two neighbours come in at once.
    """
    height, width = part.shape[1:]
    steps = STEPS @ np.array([height * width, width, 1])
    taken = part.ravel().copy()
    free = (whole & ~part).ravel()
    z, y, x = (np.arange(size, dtype=np.uint8) & 1 for size in part.shape)
    turn = (4 * z[:, None, None] + 2 * y[:, None] + x).ravel()
    asked = np.flatnonzero(free)
    while len(asked):
        came = []
        for turns in (asked[turn[asked] == number] for number in range(8)):
            there = taken[turns[:, None] + steps]
            new = turns[_is_simple(there if connectivity == "high" else ~there)]
            taken[new] = True
            free[new] = False
            came.append(new)
        new = np.concatenate(came)
        asked = np.unique(np.concatenate([near[free[near]] for near in (new + k for k in steps)]))
    return taken.reshape(part.shape)


def _is_simple(there: np.ndarray) -> np.ndarray:
    """(K,) whether a closed voxel meets its neighbours in one piece without a hole.

    Args:
        there: (K, 27) which neighbours are there, in the order of `STEPS`.
    """
    parts = there.copy()
    parts[:, len(STEPS) // 2] = False
    cells = parts.reshape(-1, 3, 3, 3)
    for axis in (1, 2, 3):  # a neighbour covers a face, and the edges and corners around it
        side = np.moveaxis(cells, axis, 1)
        side[:, 0] |= side[:, 1]
        side[:, 2] |= side[:, 1]
    simple = parts @ EULER == 1
    rows = np.flatnonzero(simple)
    simple[rows] = _in_one_piece(parts[rows])
    return simple


def _in_one_piece(parts: np.ndarray) -> np.ndarray:
    """(K,) whether all corners that are there are joined by edges that are there."""
    corners = parts[:, CORNERS]
    number = np.where(corners, np.arange(len(CORNERS)), len(CORNERS))
    before = None
    while before is None or (before != number).any():
        before = number.copy()
        for row, ends in EDGES:
            lowest = number[:, ends].min(axis=1, keepdims=True)
            number[:, ends] = np.where(parts[:, row, None], lowest, number[:, ends])
    lowest = number.min(axis=1)
    return (np.where(corners, number, lowest[:, None]) == lowest[:, None]).all(axis=1)
