r"""The radius of a neurite at each node, from rays across it.

At each node `RAYS` rays leave it in the plane across the neurite, at equal angles. Along each the
image (or the distance map) is read by linear interpolation, and the first place is found where it
passes a level; between two readings the place is interpolated, so the result is finer than a voxel.
The radius is the median over the rays: a branch, a neighbour or a bright speck in a few directions
does not count.

For an image the level is half way between the neurite and what is around it, each node's own: the
neurite is the mean within one reading of the node, its surroundings the `BACKGROUND` quantile of
all readings of all rays. So a tube seen through a symmetric blur narrower than itself has its true
radius; thinner ones have that of the blur. For a distance map the level is the threshold, and the
radius that of the mask.

Radii lie between half the finest voxel and `MAX_RADIUS_UM`. Where the image shows no contrast at a
node its radius is NaN.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.ndimage import map_coordinates

from topodelin.graphs import NeuriteGraph
from topodelin.volumes import Box, Volume

RAYS = 16
MAX_RADIUS_UM = 6.0
BACKGROUND = 0.25
STEPS_PER_VOXEL = 2  # readings along a ray for each finest voxel edge
BLOCK = 64  # voxels of the image along an axis that are read at a time, and the rays beyond

Reader = Callable[[Box], np.ndarray]


def image_radii(graph: NeuriteGraph, image: Volume) -> np.ndarray:
    """(N,) radius of each node, µm: half maximum of the image across the neurite.

    Args:
        graph: µm; nodes along a neurite give its direction.
        image: in the same frame, on any grid; it is read box by box.
    """

    def first_channel(box: Box) -> np.ndarray:
        array = image.read(box)
        return np.asarray(array[0] if array.ndim == 4 else array, dtype=np.float32)

    radii = np.full(len(graph), np.nan)
    for nodes, profiles, step in _profiles(graph, first_channel, image):
        inside = profiles[:, :, :2].mean(axis=(1, 2))
        around = np.quantile(profiles.reshape(len(nodes), -1), BACKGROUND, axis=1)
        seen = inside > around
        level = (inside + around) / 2
        found = _first_below(profiles[seen], level[seen])
        radii[nodes[seen]] = np.median(found, axis=1) * step
    return np.clip(radii, min(image.spacing) / 2, MAX_RADIUS_UM)


def mask_radii(
    graph: NeuriteGraph, read: Reader, distance_map: Volume, threshold: float
) -> np.ndarray:
    """(N,) radius of each node, µm: that of the mask `{distance < threshold}` across the neurite.

    Args:
        graph: µm.
        read: of a box of the distance map, float32.
        distance_map: its grid.
        threshold: finest voxel edges.
    """
    radii = np.full(len(graph), np.nan)
    for nodes, profiles, step in _profiles(graph, read, distance_map):
        found = _first_below(-profiles, np.full(len(nodes), -threshold))
        radii[nodes] = np.median(found, axis=1) * step
    return np.clip(radii, min(distance_map.spacing) / 2, MAX_RADIUS_UM)


def directions(graph: NeuriteGraph) -> np.ndarray:
    """(N, 3) unit vector along the neurite at each node; at a junction along its longest edges.

    The sum of the unit vectors to the neighbours, each turned to agree with the first.
    """
    steps = graph.positions[graph.edges[:, 1]] - graph.positions[graph.edges[:, 0]]
    steps = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
    tensor = np.zeros((len(graph), 3, 3))
    outer = steps[:, :, None] * steps[:, None, :]
    for end in range(2):
        np.add.at(tensor, graph.edges[:, end], outer)
    return np.linalg.eigh(tensor)[1][:, :, 2]


def _profiles(
    graph: NeuriteGraph, read: Reader, grid: Volume
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """`(nodes, (n, RAYS, readings), µm between readings)`, one block of the image at a time."""
    step = min(grid.spacing) / STEPS_PER_VOXEL
    spacing = np.array(grid.spacing)
    along = directions(graph)
    blocks = np.floor(graph.positions / spacing / BLOCK).astype(np.int64)
    places, index = np.unique(blocks, axis=0, return_inverse=True)
    margin = np.ceil(MAX_RADIUS_UM / spacing).astype(int) + 1
    readings = np.arange(int(MAX_RADIUS_UM / step) + 2) * step
    for number in range(len(places)):
        nodes = np.flatnonzero(index.ravel() == number)
        voxels = graph.positions[nodes] / spacing
        low = np.floor(voxels.min(axis=0)).astype(int) - margin
        high = np.ceil(voxels.max(axis=0)).astype(int) + margin + 1
        box = _box(low, high).clip(grid.shape)
        if not box.size:
            continue
        rays = _rays(along[nodes])
        offsets = rays[:, :, None, :] * readings[None, None, :, None]
        at = (graph.positions[nodes][:, None, None, :] + offsets) / spacing - box.begin
        values = map_coordinates(read(box), at.reshape(-1, 3).T, order=1, mode="nearest")
        yield nodes, values.reshape(len(nodes), RAYS, len(readings)), step


def _rays(along: np.ndarray) -> np.ndarray:
    """(N, RAYS, 3) unit vectors across each direction."""
    least = np.eye(3)[np.abs(along).argmin(axis=1)]
    across = np.cross(along, least)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    other = np.cross(along, across)
    angles = 2 * np.pi * np.arange(RAYS) / RAYS
    return (
        np.cos(angles)[None, :, None] * across[:, None, :]
        + np.sin(angles)[None, :, None] * other[:, None, :]
    )


def _first_below(profiles: np.ndarray, level: np.ndarray) -> np.ndarray:
    """(n, RAYS) readings until each profile falls to its level; the last where it never does."""
    below = profiles <= level[:, None, None]
    below[:, :, -1] = True
    at = below.argmax(axis=2)
    before = np.maximum(at - 1, 0)
    rows = np.ix_(np.arange(profiles.shape[0]), np.arange(profiles.shape[1]))
    high, low = profiles[(*rows, before)], profiles[(*rows, at)]
    fall = np.where(high > low, high - low, 1.0)
    share = np.clip((high - level[:, None]) / fall, 0.0, 1.0)
    return np.where(at > 0, before + share, 0.0)


def _box(low: np.ndarray, high: np.ndarray) -> Box:
    z, y, x = (int(value) for value in low)
    c, b, a = (int(value) for value in high)
    return Box((z, y, x), (c, b, a))
