"""Random neurites: made-up geometry for synthetic microscopy.

A made-up neurite is a direction-persistent random walk with a finer wiggle on top, which gives
off daughters as it goes; each branch tapers. Some are followed by a parallel neighbour or
crossed at a short distance, the two situations in which tracings go wrong most.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from topodelin.annotation.clipping import check_extent, clip_to_extent
from topodelin.annotation.growth import Habit, Nodes, grow_tree, turned, walk_branch
from topodelin.graphs.neurite_graph import NeuriteGraph

Range = tuple[float, float]


def random_neurites(
    rng: np.random.Generator,
    extent_um: Sequence[float],
    *,
    trees: tuple[int, int] = (1, 5),
    length_um: Range = (60.0, 500.0),
    radius_um: Range = (0.15, 2.0),
    branch_every_um: Range = (8.0, 80.0),
    persistence_um: Range = (15.0, 300.0),
    wiggle_um: Range = (0.0, 0.5),
    depth_share: Range = (0.2, 0.9),
    neighbours: float = 0.35,
    neighbour_gap_um: Range = (1.2, 4.0),
    leave_um: float = 10.0,
    step_um: float = 0.5,
) -> NeuriteGraph:
    """Draw some branching curves through a box.

    Every range is `(lowest, highest)`; lengths, radii and distances between branches are drawn
    log-uniformly, once for each tree, so thin axons and thick dendrites, bare trunks and bushes
    meet in one volume. The walks may leave the box and come back; what lies outside is cut off,
    so the result may have more components than trees, or none.

    Args:
        rng: the only source of randomness.
        extent_um: far corner of the box, µm `(z, y, x)`; the near one is 0.
        trees: fewest and most trees; their neighbours come on top.
        length_um: total length of the branches of a tree.
        radius_um: the root's radius is drawn from it; no branch tapers below its lower end.
        branch_every_um: mean distance between daughters on a root branch; 0.7 of the mother's on
            a daughter.
        persistence_um: path length over which the direction is forgotten.
        wiggle_um: standard deviation of the small displacements around the walk.
        depth_share: how much of its freedom a tree has along z; 1 is isotropic, 0 is flat.
        neighbours: probability that a tree gets a neighbour, parallel or crossing.
        neighbour_gap_um: distance of the neighbour's centreline from the tree's.
        leave_um: how far outside the box a branch is given up.
        step_um: distance between nodes.
    """
    extent = np.asarray(check_extent(extent_um))
    if not 0 <= trees[0] <= trees[1]:
        raise ValueError(f"`trees` must be (fewest, most), from 0, got {trees!r}")
    grown = Nodes()
    for _ in range(int(rng.integers(trees[0], trees[1] + 1))):
        flatness = rng.uniform(*depth_share)
        habit = Habit(
            radius=_thin_rather_than_thick(rng, radius_um),
            thinnest=radius_um[0],
            branch_every=log_uniform(rng, branch_every_um),
            bend=np.sqrt(step_um / log_uniform(rng, persistence_um)),
            wiggle=rng.uniform(*wiggle_um),
            depth_share=flatness,
            leave=leave_um,
            step=step_um,
        )
        start, direction = _entrance(rng, extent, flatness)
        first = grown.count
        trunk = grow_tree(rng, grown, extent, habit, start, direction, log_uniform(rng, length_um))
        if trunk > 20 and rng.random() < neighbours:
            path = np.concatenate(grown.positions)[first : first + trunk]
            gap = rng.uniform(*neighbour_gap_um)
            thin = log_uniform(rng, (radius_um[0], min(radius_um[1], 3 * radius_um[0])))
            if rng.random() < 0.5:
                _grow_parallel(rng, grown, path, gap, thin)
            else:
                _grow_crossing(rng, grown, extent, habit, path, gap, thin)
    return clip_to_extent(grown.graph(), extent_um)


def _grow_parallel(
    rng: np.random.Generator, grown: Nodes, path: np.ndarray, gap: float, radius: float
) -> None:
    """A thin neurite that keeps `gap` µm from a stretch of the path, more or less."""
    length = int(rng.integers(20, len(path) + 1))
    first = int(rng.integers(0, len(path) - length + 1))
    stretch = path[first : first + length]
    side = np.cross(stretch[-1] - stretch[0], rng.normal(size=3))
    drift = gaussian_filter1d(rng.normal(size=stretch.shape), 10, axis=0) * 0.3 * np.sqrt(20)
    beside = stretch + gap * side / (np.linalg.norm(side) + 1e-9) + drift
    grown.add(beside, np.full(length, radius), None)


def _grow_crossing(
    rng: np.random.Generator,
    grown: Nodes,
    extent: np.ndarray,
    habit: Habit,
    path: np.ndarray,
    gap: float,
    radius: float,
) -> None:
    """A thin neurite that passes the path at `gap` µm."""
    middle = int(rng.integers(2, len(path) - 2))
    heading = path[middle + 1] - path[middle - 1]
    direction = turned(rng, heading, rng.uniform(0.5, np.pi / 2), habit.depth_share)
    side = np.cross(heading, direction)
    point = path[middle] + gap * side / (np.linalg.norm(side) + 1e-9)
    root = grown.add(point[None], np.array([radius]), None)
    for way in (direction, -direction):
        arm = walk_branch(rng, habit, extent, point, way, rng.uniform(10.0, 80.0))[1:]
        grown.add(arm, np.full(len(arm), radius), root)


def _entrance(
    rng: np.random.Generator, extent: np.ndarray, depth_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where a trunk starts and where to: from anywhere inside, or from a side face inwards."""
    start = rng.uniform(0, extent)
    direction = rng.normal(size=3)
    if rng.random() < 0.6:
        axis = int(rng.integers(1, 3))
        start[axis] = extent[axis] * rng.integers(2)
        direction = rng.uniform(0.2, 0.8, size=3) * extent - start
    return start, direction * [depth_share, 1, 1]


def _thin_rather_than_thick(rng: np.random.Generator, limits: Range) -> float:
    """Like [`log_uniform`][], with a median a third of the way up, logarithmically."""
    return float(limits[0] * (limits[1] / limits[0]) ** (rng.random() ** 1.5))


def log_uniform(rng: np.random.Generator, limits: Range) -> float:
    """Log-uniform between two positive numbers."""
    return float(np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]))))
