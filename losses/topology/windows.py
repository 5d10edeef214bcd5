"""Cut images into the windows that are judged on their own, and put maps of windows back."""

import numpy as np
from jaxtyping import Shaped
from torch import Tensor
from torch.nn.functional import fold, pad

from topodelin.losses.topology.rule import TopologyRule


def window_bounds(length: int, window: int, stride: int, ragged: bool) -> np.ndarray:
    """Begin and end, (n, 2) int64, of the windows along an axis of `length` pixels.

    With `ragged`, windows begin until the end of the axis is covered and the last is cut off
    there; without, only whole windows count, which may be none.
    """
    bounds = []
    begin = 0
    while begin + window <= length:
        bounds.append((begin, begin + window))
        begin += stride
    covered = bounds[-1][1] if bounds else 0
    if ragged and covered < length:
        bounds.append((begin, length))
    return np.array(bounds, np.int64).reshape(-1, 2)


def cut(
    images: Shaped[Tensor, "images height width"], rule: TopologyRule, beyond: float | bool
) -> Shaped[Tensor, "windows rows columns"]:
    """The windows of each image in raster order, one image after the other.

    All are as large as the first; what a last window lacks at its end is filled with `beyond`.
    """
    (down, rows), (across, columns) = _grid(images.shape[1], images.shape[2], rule)
    if down == 0 or across == 0:
        return images.new_empty((0, rows, columns))
    step = rule.step
    covered = (down - 1) * step[0] + rows, (across - 1) * step[1] + columns
    images = grow(images, *covered, beyond)
    windows = images.unfold(1, rows, step[0]).unfold(2, columns, step[1])
    return windows.reshape(-1, rows, columns).contiguous()


def put_back(
    windows: Shaped[Tensor, "windows rows columns"],
    shape: tuple[int, int, int],
    rule: TopologyRule,
) -> Shaped[Tensor, "images height width"]:
    """Add maps of windows up to maps of images.

    Args:
        windows: of values for each window that [`cut`][] made.
        shape: (images, height, width) of what was cut.
    """
    images, height, width = shape
    (down, rows), (across, columns) = _grid(height, width, rule)
    if down == 0 or across == 0:
        return windows.new_zeros(shape)
    covered = ((down - 1) * rule.step[0] + rows, (across - 1) * rule.step[1] + columns)
    if covered == (down * rows, across * columns):
        tiles = windows.reshape(images, down, across, rows, columns).transpose(2, 3)
        added = tiles.reshape(images, *covered)
    else:
        stacked = windows.reshape(images, down * across, rows * columns).transpose(1, 2)
        added = fold(stacked, covered, (rows, columns), stride=rule.step)[:, 0]
    return grow(added, height, width, 0)[:, :height, :width]


def grow(
    maps: Shaped[Tensor, "n height width"], rows: int, columns: int, beyond: float | bool
) -> Shaped[Tensor, "n _ _"]:
    """Maps of at least so many rows and columns, filled up at their ends."""
    short = max(0, rows - maps.shape[1]), max(0, columns - maps.shape[2])
    return pad(maps, (0, short[1], 0, short[0]), value=beyond) if any(short) else maps


def _grid(height: int, width: int, rule: TopologyRule) -> list[tuple[int, int]]:
    """How many windows there are along each axis of the image, and how long they are."""
    grid = []
    for length, window, step in zip((height, width), rule.window_shape, rule.step, strict=True):
        bounds = window_bounds(length, window, step, rule.ragged == "keep")
        grid.append((len(bounds), min(window, length)))
    return grid
