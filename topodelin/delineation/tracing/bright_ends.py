r"""Ends of a tracing beyond which the neurite seems to go on.

Beyond each tip a short way is looked at in the direction that the tip points, from `FROM_UM` to
`TO_UM`. The *brightness* there is

    $$b = \frac{I_{beyond} - I_{around}}{I_{neurite} - I_{around}},$$

clipped to [0, 1], where the neurite is the mean over the last `BACK_UM` before the tip, beyond is
the mean of the largest value across the way, and around is the `BACKGROUND` quantile of a box about
the tip. An end is bright, and its severity that brightness, from `BRIGHT` on. Without an image the
distance map takes its place, clipped at some thresholds and turned over. An end near the border of
the volume is where it should be.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.ndimage import map_coordinates

from topodelin.delineation.tracing.spots import Spot
from topodelin.graphs import NeuriteGraph
from topodelin.volumes import Box, Volume

FROM_UM, TO_UM = 1.5, 5.0
BACK_UM = 6.0
ACROSS_UM = 1.0
BACKGROUND = 0.5
BRIGHT = 0.5
BORDER_UM = 3.0
READINGS = 8

Reader = Callable[[Box], np.ndarray]


def bright_ends(
    graph: NeuriteGraph, apart_from: int | None, read: Reader, grid: Volume
) -> list[Spot]:
    """The tips of a tree beyond which it is bright, as spots without trees.

    Args:
        graph: a tree, µm.
        apart_from: a node that is no end, such as a root in a cell body.
        read: bright where a neurite is, for a box of the grid, float32.
        grid: of what is read.
    """
    spacing, found = np.array(grid.spacing), []
    extent = (np.array(grid.shape) - 1) * spacing
    for path in graph.paths:
        for inwards in (path, path[::-1]):
            tip = int(inwards[0])
            if graph.degrees[tip] != 1 or tip == apart_from:
                continue
            points = _last_stretch(graph.positions[inwards])
            outwards = points[0] - points[-1]
            length = float(np.linalg.norm(outwards))
            place = points[0]
            at_border = ((place < BORDER_UM) | (place > extent - BORDER_UM)) & (extent > 0)
            if not length or at_border.any():
                continue
            brightness = _brightness(points, outwards / length, read, grid)
            if brightness >= BRIGHT:
                z, y, x = place.tolist()
                note = f"beyond it {100 * brightness:.0f} % as bright as the neurite"
                spot = Spot("bright_end", (z, y, x), brightness, TO_UM - FROM_UM, (), note)
                found.append(spot)
    return found


def _last_stretch(points: np.ndarray) -> np.ndarray:
    """The first points of a path that lie within `BACK_UM` along it, two at least."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return points[: max(2, int(np.searchsorted(arc, BACK_UM, side="right")))]


def _brightness(points: np.ndarray, direction: np.ndarray, read: Reader, grid: Volume) -> float:
    spacing = np.array(grid.spacing)
    ahead = points[0] + np.linspace(FROM_UM, TO_UM, READINGS)[:, None] * direction
    across = np.array([*product((-1, 0, 1), repeat=3)]) * ACROSS_UM / 2
    everything = np.concatenate([points, ahead])
    low = np.floor((everything.min(axis=0) - TO_UM) / spacing).astype(int)
    high = np.ceil((everything.max(axis=0) + TO_UM) / spacing).astype(int) + 1
    z, y, x = (int(value) for value in low)
    c, b, a = (int(value) for value in high)
    box = Box((z, y, x), (c, b, a)).clip(grid.shape)
    if not box.size:
        return 0.0
    values = read(box)

    def at(places: np.ndarray) -> np.ndarray:
        voxels = places / spacing - box.begin
        flat = map_coordinates(values, voxels.reshape(-1, 3).T, order=1, mode="nearest")
        return flat.reshape(places.shape[:-1])

    neurite = float(at(points).mean())
    around = float(np.quantile(values, BACKGROUND))
    beyond = float(at(ahead[:, None, :] + across).max(axis=1).mean())
    contrast = neurite - around
    return min(1.0, max(0.0, (beyond - around) / contrast)) if contrast > 0 else 0.0
