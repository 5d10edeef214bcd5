"""How sure the distance map is of each node of a tracing."""

import numpy as np

from topodelin.volumes import Box, Volume

GROUP = 64  # voxels; nodes in the same cube of this edge are read together


def node_confidence(distance_map: Volume, positions: np.ndarray, d_max: float) -> np.ndarray:
    r"""(N,) float32 in [0, 1]: $1 - D(v) / D_{max}$ at the voxel $v$ nearest to each node.

    1 on a sure centreline, 0 where the distance map saw nothing, as along the bridge over a gap.
    The map is read cube by cube, only where nodes lie.

    Args:
        distance_map: finest voxel edges of its own grid, `(z, y, x)`.
        positions: (N, 3) µm; those outside count as the nearest voxel inside.
        d_max: where the map is clipped.
    """
    last = np.array(distance_map.shape) - 1
    voxels = np.clip(np.rint(positions / distance_map.spacing).astype(np.int64), 0, last)
    result = np.empty(len(voxels), np.float32)
    counts = tuple((last // GROUP + 1).tolist())
    cubes = np.asarray(np.ravel_multi_index(tuple((voxels // GROUP).T), counts))
    order = np.argsort(cubes, kind="stable")
    starts = np.flatnonzero(np.diff(cubes[order])) + 1
    for members in np.split(order, starts) if len(order) else ():
        near = voxels[members]
        low, high = near.min(axis=0).tolist(), (near.max(axis=0) + 1).tolist()
        box = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        result[members] = distance_map.read(box)[tuple((near - low).T)]
    return np.clip(1 - result / d_max, 0, 1).astype(np.float32)
