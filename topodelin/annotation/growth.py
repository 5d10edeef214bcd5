"""How one random neurite grows: branch by branch, each a direction-persistent walk."""

from dataclasses import dataclass, field
from typing import no_type_check

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter1d

from topodelin.graphs.neurite_graph import NeuriteGraph

WIGGLE_LENGTH = 3.0  # µm, over which the small displacements are correlated


@dataclass(frozen=True)
class Habit:
    """How one tree grows; lengths in µm, `bend` the direction noise of one step."""

    radius: float
    thinnest: float
    branch_every: float
    bend: float
    wiggle: float
    depth_share: float
    leave: float
    step: float


@dataclass(frozen=True)
class _Sprout:
    """A branch that is about to grow, from a node of its mother (None: a trunk)."""

    parent: int | None
    start: np.ndarray
    direction: np.ndarray
    radius: float
    length: float
    branch_every: float


@dataclass
class Nodes:
    """Branches gathered so far."""

    positions: list[np.ndarray] = field(default_factory=list)
    radii: list[np.ndarray] = field(default_factory=list)
    edges: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(self, positions: np.ndarray, radii: np.ndarray, parent: int | None) -> int:
        """Append a chain of nodes, joined to `parent`; the index of its first node."""
        first, count = self.count, len(positions)
        chain = np.arange(first, first + count)
        self.edges.append(np.stack([chain[:-1], chain[1:]], axis=1))
        if parent is not None and count:
            self.edges.append(np.array([[parent, first]]))
        self.positions.append(positions)
        self.radii.append(radii)
        self.count += count
        return first

    def graph(self) -> NeuriteGraph:
        if not self.count:
            return NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
        return NeuriteGraph(
            np.concatenate(self.positions), np.concatenate(self.edges), np.concatenate(self.radii)
        )


def grow_tree(
    rng: np.random.Generator,
    grown: Nodes,
    extent: np.ndarray,
    habit: Habit,
    start: np.ndarray,
    direction: np.ndarray,
    length: float,
) -> int:
    """Grow a trunk and, branch by branch, its daughters; the number of nodes of the trunk."""
    trunk_length = length * rng.uniform(0.3, 0.8)
    waiting = [_Sprout(None, start, direction, habit.radius, trunk_length, habit.branch_every)]
    left, trunk = length, 0
    while waiting and left > 2 * habit.step:
        sprout = waiting.pop(int(rng.integers(len(waiting))))
        path = walk_branch(
            rng, habit, extent, sprout.start, sprout.direction, min(sprout.length, left)
        )
        if len(path) < 3:
            continue
        along = np.arange(len(path)) * habit.step
        taper = rng.uniform(0.3, 0.9) ** (along / sprout.length)
        to_end = np.clip((sprout.length - along) / (5 * sprout.radius), 0.0, 1.0)
        radii = np.maximum(sprout.radius * taper * np.sqrt(to_end), habit.thinnest)
        if sprout.parent is None:
            first, trunk = grown.add(path, radii, None), len(path)
        else:
            first = grown.add(path[1:], radii[1:], sprout.parent) - 1
        left -= along[-1]
        gaps = rng.exponential(sprout.branch_every / habit.step, size=64)
        daughters = 1 + np.cumsum(gaps).astype(int)
        for node in daughters[daughters < len(path) - 1].tolist():
            heading = path[node + 1] - path[node]
            waiting.append(
                _Sprout(
                    parent=first + node,
                    start=path[node],
                    direction=turned(rng, heading, rng.uniform(0.4, 1.4), habit.depth_share),
                    radius=max(float(radii[node]) * rng.uniform(0.4, 0.9), habit.thinnest),
                    length=min(
                        sprout.length * rng.uniform(0.1, 0.8),
                        2.0 + sprout.branch_every * rng.exponential(3.0),
                    ),
                    branch_every=max(0.7 * sprout.branch_every, 4.0),
                )
            )
    return trunk


def walk_branch(
    rng: np.random.Generator,
    habit: Habit,
    extent: np.ndarray,
    start: np.ndarray,
    direction: np.ndarray,
    length: float,
) -> np.ndarray:
    """(N, 3) nodes of one branch, the start first, up to where it is too far outside the box."""
    count = max(int(length / habit.step), 1)
    freedom = np.array([habit.depth_share, 1.0, 1.0])
    noise = rng.normal(size=(count, 3)) * habit.bend * freedom
    path = _walk(start, direction, noise, habit.step)
    smooth = WIGGLE_LENGTH / habit.step
    wiggle = gaussian_filter1d(rng.normal(size=path.shape), smooth, axis=0)
    wiggle *= np.sqrt(2 * np.sqrt(np.pi) * smooth) * habit.wiggle * freedom
    along = np.arange(count + 1)[:, None] * habit.step
    path += wiggle * (1 - np.exp(-along / WIGGLE_LENGTH))  # it starts where it should
    outside = ((path < -habit.leave) | (path > extent + habit.leave)).any(axis=1)
    return path[: int(np.argmax(outside))] if outside.any() else path


@njit(cache=True, nogil=True)
@no_type_check
def _walk(start: np.ndarray, direction: np.ndarray, noise: np.ndarray, step: float) -> np.ndarray:
    """Steps of equal length whose unit direction is disturbed by `noise` before each."""
    path = np.empty((len(noise) + 1, 3))
    path[0] = start
    heading = direction / np.sqrt((direction**2).sum())
    for index in range(len(noise)):
        heading = heading + noise[index]
        heading = heading / np.sqrt((heading**2).sum())
        path[index + 1] = path[index] + step * heading
    return path


def turned(
    rng: np.random.Generator, heading: np.ndarray, angle: float, depth_share: float
) -> np.ndarray:
    """A unit vector about `angle` away from the heading, to a random side."""
    heading = heading / np.linalg.norm(heading)
    side = np.cross(heading, rng.normal(size=3)) * [depth_share, 1, 1]
    return np.cos(angle) * heading + np.sin(angle) * side / (np.linalg.norm(side) + 1e-9)
