"""Paths along the annotated centreline that together cover every stretch of it.

Each tree of an annotation is walked from one far end: the cheapest path from its farthest
uncovered centreline voxel back to what is covered already, until nothing is uncovered. Long paths
are cut into stretches, so that each pair of points is connected by one short path. The shortest
side branches count as covered; a loop is walked from both sides and left open where they meet.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from topodelin.losses.kernels.cheapest_path import spread

ROUNDING = 1e-3  # relative, of an annotated distance
STEP_COST = 0.1  # of a step on the centreline, against 1 at a distance of one: shuns corners


@dataclass(frozen=True)
class Frame:
    """A grid with a frame around it, so that steps on the flat array never wrap around.

    Args:
        space: the shape of the grid.
        spacing: length of a voxel edge along each axis.
        reach: length of the longest step that may be taken from a voxel of the grid, if longer
            than half a diagonal of a voxel.
    """

    space: tuple[int, ...]
    spacing: tuple[float, ...]
    reach: float

    @property
    def width(self) -> tuple[int, ...]:
        """Voxels of frame before and behind the grid, along each axis."""
        reach = max(self.reach, self.half_diagonal)
        return tuple(max(1, math.floor(reach / edge)) for edge in self.spacing)

    @property
    def half_diagonal(self) -> float:
        """Of a voxel: no line passes through it farther away from its centre."""
        return math.hypot(*self.spacing) / 2

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(n + 2 * w for n, w in zip(self.space, self.width, strict=True))

    def add(self, array: np.ndarray, value: float) -> np.ndarray:
        """Frame an array `(..., *space)` and flatten its axes of space."""
        leading = array.shape[: array.ndim - len(self.space)]
        padding = [(0, 0)] * len(leading) + [(w, w) for w in self.width]
        return np.pad(array, padding, constant_values=value).reshape(*leading, -1)

    def remove(self, voxels: np.ndarray) -> np.ndarray:
        """Indices into the flat grid for indices into the flat framed array."""
        place = np.unravel_index(voxels, self.shape)
        inner = tuple(axis - w for axis, w in zip(place, self.width, strict=True))
        return np.ravel_multi_index(inner, self.space)

    def ball(self, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Steps on the framed array no longer than `radius`, int64, and their lengths, sorted."""
        sides = [math.floor(radius / edge) for edge in self.spacing]
        grids = np.meshgrid(*(np.arange(-side, side + 1) for side in sides), indexing="ij")
        steps = np.stack(grids, -1).reshape(-1, len(self.space))
        lengths = np.linalg.norm(steps * np.array(self.spacing), axis=1)
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] <= radius]
        return self._jumps(steps[order]), lengths[order]

    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps to the voxels that touch at a face, an edge or a corner, and their lengths."""
        steps = np.array([step for step in np.ndindex(*(3,) * len(self.space))]) - 1
        steps = steps[steps.any(1)]
        return self._jumps(steps), np.linalg.norm(steps * np.array(self.spacing), axis=1)

    def _jumps(self, steps: np.ndarray) -> np.ndarray:
        strides = np.cumprod((1, *self.shape[:0:-1]))[::-1]
        return (steps @ strides).astype(np.int64)


def centreline_stretches(
    distance: Float[np.ndarray, "*space"],
    frame: Frame,
    *,
    shortest: float,
    stretch: float,
    seed: int,
) -> list[tuple[np.ndarray, float]]:
    """Voxels, into the flat framed array, and length of paths that cover the centreline.

    The centreline is every voxel that a line of distance 0 may pass through; its connected pieces
    are the trees, so that no path leads from one neurite to the next.

    Args:
        distance: annotated distance map, in the unit of the frame's spacing.
        shortest: centreline voxels so near to a path are covered.
        stretch: paths are cut so that they are at most 1.5 times as long.
        seed: decides from where a tree is walked and where its paths are cut.

    A tree of one voxel has no path. Where an annotation is drawn between the voxels, a path may
    end a voxel early or late.
    """
    values = frame.add(distance.astype(np.float32), 0)
    centreline = distance <= frame.half_diagonal * (1 + ROUNDING)
    trees = np.zeros(distance.shape, np.int32)
    ndimage.label(centreline, np.ones((3,) * distance.ndim), output=trees)
    region = frame.add(trees, 0)
    jumps, lengths = frame.neighbours()
    ball, _ = frame.ball(shortest)
    beside, _ = frame.ball(frame.half_diagonal)
    cost = np.full(len(values), np.inf)
    before = np.full(len(values), -1, np.int32)
    heap, slot = np.empty((2, len(values)), np.int32)
    on_path, covered = np.zeros((2, len(values)), bool)
    members = np.flatnonzero(region)
    members = members[np.argsort(region[members], kind="stable")]
    found = []
    for tree in np.split(members, np.flatnonzero(np.diff(region[members])) + 1):
        if len(tree) < 2:
            continue
        mark = int(region[tree[0]])
        random = np.random.default_rng((seed, mark))
        start = int(random.choice(tree))
        for _ in range(2):  # from anywhere to a far end, from there to everywhere
            root = lowest(start + beside, values, region, mark)
            cost[tree] = np.inf
            spread(
                values, region, mark, jumps, lengths, STEP_COST, root, -1, cost, before, heap, slot
            )
            start = int(tree[cost[tree].argmax()])
        on_path[root] = True
        covered[root + ball[region[root + ball] == mark]] = True
        for tip in tree[np.argsort(-cost[tree], kind="stable")]:
            if covered[tip]:
                continue
            path = [lowest(tip + beside, values, region, mark)]
            while not on_path[path[-1]]:
                path.append(int(before[path[-1]]))
            voxels = np.array(path)
            on_path[voxels] = True
            near = voxels[:, None] + ball
            covered[near[region[near] == mark]] = True
            found += cut(voxels, jumps, lengths, stretch, float(random.uniform(0.5, 1)))
    return found


def lowest(voxels: np.ndarray, values: np.ndarray, region: np.ndarray, mark: int) -> int:
    """The voxel of least value among those of a region; the first of equals."""
    voxels = voxels[region[voxels] == mark]
    return int(voxels[values[voxels].argmin()])


def cut(
    path: np.ndarray, jumps: np.ndarray, lengths: np.ndarray, stretch: float, phase: float
) -> list[tuple[np.ndarray, float]]:
    """Cut a path after `phase` stretches and then after each one; the ends share their voxel.

    The last piece is at least half a stretch, if the path is.
    """
    length_of = dict(zip(jumps.tolist(), lengths.tolist(), strict=True))
    steps = [length_of[jump] for jump in np.diff(path).tolist()]
    at = np.concatenate([[0.0], np.cumsum(steps)])
    cuts = np.arange(phase * stretch, at[-1] - stretch / 2, stretch)
    places = [0, *np.searchsorted(at, cuts).tolist(), len(path) - 1]
    return [
        (path[begin : end + 1], float(at[end] - at[begin]))
        for begin, end in zip(places[:-1], places[1:], strict=True)
        if end > begin
    ]
