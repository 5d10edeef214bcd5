"""Small graphs and masks that several tests draw on."""

import numpy as np
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from topodelin.graphs import NeuriteGraph

EMPTY = NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), dtype=np.int64))

seeds = st.integers(0, 2**16)


def chain(*points: tuple[float, float, float]) -> NeuriteGraph:
    """Straight edges from point to point."""
    count = len(points)
    return NeuriteGraph(np.array(points), np.stack([np.arange(count - 1), np.arange(1, count)], 1))


def fork() -> NeuriteGraph:
    """A trunk that forks; every edge 10 µm.

    0 --- 1 --- 2
          |
          3 --- 4
    """
    positions = [(0, 0, 0), (0, 0, 10), (0, 0, 20), (0, 10, 10), (0, 10, 20)]
    return NeuriteGraph(np.array(positions), np.array([(0, 1), (1, 2), (1, 3), (3, 4)]))


def ring(count: int = 12, radius: float = 10.0) -> NeuriteGraph:
    """A closed loop without a junction, in the plane z = 0."""
    angle = 2 * np.pi * np.arange(count) / count
    positions = np.stack([0 * angle, radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return NeuriteGraph(positions, np.stack([np.arange(count), (np.arange(count) + 1) % count], 1))


def random_forest(seed: int, count: int = 40, trees: int = 3) -> NeuriteGraph:
    """Random trees whose nodes stand in any order."""
    rng = np.random.default_rng(seed)
    parent = np.array([rng.integers(max(0, i - 5), i) if i >= trees else -1 for i in range(count)])
    positions = np.zeros((count, 3))
    for i, up in enumerate(parent):
        near = positions[up] if up >= 0 else rng.uniform(0, 60, 3)
        positions[i] = near + rng.normal(0, 4, 3)
    shuffle = rng.permutation(count)
    child = np.flatnonzero(parent >= 0)
    edges = np.stack([shuffle[parent[child]], shuffle[child]], axis=1)
    place = np.empty_like(positions)
    place[shuffle] = positions
    return NeuriteGraph(
        place, edges, rng.uniform(0.1, 3, count), rng.integers(0, 8, count).astype(np.int64)
    )


def random_network(seed: int, count: int = 25, extra: int = 4) -> NeuriteGraph:
    """Random trees with a few more edges, so that there are cycles."""
    forest = random_forest(seed, count)
    rng = np.random.default_rng(seed + 1)
    more = rng.integers(0, count, (extra, 2))
    edges = np.concatenate([forest.edges, more[more[:, 0] != more[:, 1]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    return NeuriteGraph(forest.positions, edges, forest.radii, forest.kinds)


def rotation(seed: int) -> np.ndarray:
    """A random rotation matrix."""
    rotated, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return rotated * np.sign(np.linalg.det(rotated))


def tubes(seed: int, shape: tuple[int, int, int] = (12, 24, 24), radius: float = 2.0) -> np.ndarray:
    """A mask of a few tubes on random walks, which may touch, cross and close loops."""
    rng = np.random.default_rng(seed)
    line = np.zeros(shape, dtype=bool)
    for _ in range(4):
        point, direction = rng.uniform(0, 1, 3) * shape, rng.normal(size=3)
        for _ in range(40):
            direction = direction + 0.4 * rng.normal(size=3)
            direction = direction / np.linalg.norm(direction)
            point = point + 0.8 * direction
            voxel = np.rint(point).astype(int)
            if (voxel >= 0).all() and (voxel < shape).all():
                line[tuple(voxel)] = True
    distance = np.asarray(distance_transform_edt(~line))
    return distance <= radius


def betti(graph: NeuriteGraph) -> tuple[int, int]:
    """Components and independent cycles, nodes without edges left out."""
    graph = graph.select(graph.degrees > 0)
    components = len(np.unique(graph.components))
    return components, len(graph.edges) - len(graph) + components
