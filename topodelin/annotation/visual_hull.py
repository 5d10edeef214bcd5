"""Crops of volumes that are annotated in projections only.

Tracing three projections of a volume takes a fraction of the time that tracing the volume takes.
A crop of the volume, however, must not be compared with the same rectangle of each projection:
that also shows what lies before and behind the crop. The visual hull tells it apart: a voxel may
hold a neurite only where all three annotations have one in line with it.

References:
    M. Kozinski, A. Mosinska, M. Salzmann, P. Fua. Tracing in 2D to reduce the annotation effort
    for 3D deep delineation of linear structures. Medical Image Analysis 2020.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import binary_dilation

Plane = Bool[np.ndarray, "_ _"]  # three planes, three shapes


def visual_hull(
    planes: Sequence[Plane], begin: Sequence[int], shape: Sequence[int], *, slack: int = 1
) -> Bool[np.ndarray, "z y x"]:
    """Voxels of a box that all three annotated projections allow.

    Args:
        planes: True on the annotated lines of the projections along z, y and x, so of shapes
            (y, x), (z, x) and (z, y).
        begin, shape: the box, voxels `(z, y, x)`.
        slack: pixels by which the three annotations may disagree; the lines are dilated by so
            many steps between 8-neighbours.
    """
    windows = crop_planes(planes, begin, shape, margin=slack)
    along_z, along_y, along_x = (_grown(window, slack) for window in windows)
    return along_z[None, :, :] & along_y[:, None, :] & along_x[:, :, None]


def crop_projections(
    planes: Sequence[Plane], begin: Sequence[int], shape: Sequence[int], *, slack: int = 1
) -> tuple[Plane, Plane, Plane]:
    """What the projections of a box show of the annotated lines: those with a voxel of the hull.

    Arguments as in [`visual_hull`][]; the result has the shapes (y, x), (z, x) and (z, y) of the
    box. A line that passes before or behind the box stays only where the hull cannot tell.
    """
    hull = visual_hull(planes, begin, shape, slack=slack)
    windows = crop_planes(planes, begin, shape)
    z, y, x = (window & hull.any(axis) for axis, window in enumerate(windows))
    return z, y, x


def check_planes(planes: Sequence[np.ndarray], shape: Sequence[int]) -> None:
    """Refuse planes that are not the three projections of a volume of this shape."""
    depth, height, width = shape
    wanted = [(height, width), (depth, width), (depth, height)]
    got = [plane.shape for plane in planes]
    if got != wanted:
        raise ValueError(
            f"`planes` must be the projections along z, y and x of a volume of {tuple(shape)} "
            f"voxels, of shapes {wanted}, got {got}; mind their order and their axes"
        )


def crop_planes(
    planes: Sequence[Plane], begin: Sequence[int], shape: Sequence[int], *, margin: int = 0
) -> list[Plane]:
    """The rectangle of each projection in front of a box, with a margin; False beyond the end."""
    windows = []
    for axis, plane in enumerate(planes):
        kept = [other for other in range(3) if other != axis]
        padded = np.pad(plane, margin)
        rectangle = tuple(slice(begin[a], begin[a] + shape[a] + 2 * margin) for a in kept)
        windows.append(padded[rectangle])
    return windows


def _grown(window: Plane, slack: int) -> Plane:
    """A rectangle dilated by its margin of `slack` pixels, without that margin."""
    if not slack:
        return window
    grown = binary_dilation(window, np.ones((3, 3), dtype=bool), iterations=slack)
    return np.asarray(grown)[slack:-slack, slack:-slack]
