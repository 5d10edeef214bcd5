"""Persistence diagrams of images and small volumes, with the voxels that decide them.

gudhi computes them; only its cubical complexes are used, which are under the MIT licence.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

DIMENSIONS = (0, 1)


@dataclass(frozen=True)
class Diagram:
    """The persistence diagram of a map whose high values come first, with its critical voxels.

    Args:
        levels: (n, 2), the values at which each feature is born and dies, birth the higher. The
            component of the highest value never dies; its second level is 0.
        voxels: (n, 2) int64, where these values stand, indices into the flattened map; -1 for
            the death that never comes.
        dimensions: (n,), 0 for components, 1 for loops, 2 for cavities.
    """

    levels: np.ndarray
    voxels: np.ndarray
    dimensions: np.ndarray


def window_diagrams(
    maps: np.ndarray, window: int | Sequence[int] | None, dimensions: Sequence[int]
) -> list[Diagram]:
    """The diagrams of all windows of maps (batch, channel, *space), one channel after the other.

    Their voxels are indices into the whole flattened batch.
    """
    channels = maps.reshape(-1, *maps.shape[2:])
    result = []
    tiles = list(windows(channels.shape[1:], window))
    for number, place in itertools.product(range(len(channels)), tiles):
        part = channels[number][place]
        diagram = superlevel_diagram(part, dimensions)
        inside = np.unravel_index(np.maximum(diagram.voxels, 0), part.shape)
        at = [index + axis.start for index, axis in zip(inside, place, strict=True)]
        flat = np.ravel_multi_index([np.full_like(at[0], number), *at], channels.shape)
        voxels = np.where(diagram.voxels < 0, -1, flat)
        result.append(Diagram(diagram.levels, voxels, diagram.dimensions))
    return result


def superlevel_diagram(values: np.ndarray, dimensions: Sequence[int] = DIMENSIONS) -> Diagram:
    """The diagram of one map (*space) by descending values; corners connect its voxels."""
    from gudhi import CubicalComplex  # half a second that the other losses need not wait

    sublevels = CubicalComplex(top_dimensional_cells=-values)
    sublevels.compute_persistence(homology_coeff_field=2)
    finite, endless = sublevels.cofaces_of_persistence_pairs()
    voxels, which = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
    for dimension in dimensions:
        if dimension < len(finite):
            voxels.append(np.asarray(finite[dimension], np.int64).reshape(-1, 2))
            which.append(np.full(len(voxels[-1]), dimension))
        if dimension < len(endless):
            births = np.asarray(endless[dimension], np.int64)
            voxels.append(np.stack([births, np.full_like(births, -1)], 1))
            which.append(np.full(len(births), dimension))
    pairs = np.concatenate(voxels)
    # gudhi numbers the voxels with the first axis running fastest
    place = np.unravel_index(np.maximum(pairs, 0), values.shape, order="F")
    flat = np.where(pairs < 0, -1, np.ravel_multi_index(place, values.shape))
    levels = np.where(flat < 0, 0.0, values.reshape(-1)[flat])
    return Diagram(levels, flat, np.concatenate(which))


def windows(
    shape: Sequence[int], window: int | Sequence[int] | None
) -> Iterator[tuple[slice, ...]]:
    """The boxes that tile a map, in the order of their first voxels."""
    sides = shape if window is None else np.broadcast_to(window, len(shape)).tolist()
    starts = [range(0, extent, side) for extent, side in zip(shape, sides, strict=True)]
    for begins in itertools.product(*starts):
        ends = (min(b + n, extent) for b, n, extent in zip(begins, sides, shape, strict=True))
        yield tuple(slice(*bounds) for bounds in zip(begins, ends, strict=True))


def check_window(window: int | Sequence[int] | None) -> None:
    """Refuse windows without room for a loop."""
    if window is not None and min(np.atleast_1d(window)) < 3:
        raise ValueError(f"`window` must be at least 3 voxels in each axis, got {window}")


def check_dimensions(dimensions: Sequence[int]) -> None:
    """Refuse what is no dimension of a feature."""
    if not dimensions or not set(dimensions) <= {0, 1, 2} or len(set(dimensions)) < len(dimensions):
        raise ValueError(
            "`dimensions` must be drawn from 0 (components), 1 (loops) and 2 (cavities), each "
            f"once, got {tuple(dimensions)}"
        )
