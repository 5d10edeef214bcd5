"""Small distance maps with one thing wrong, drawn for the loss tests."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

SIDE = 48
D_MAX = 15.0


def distance_map(mask: np.ndarray, d_max: float = D_MAX) -> Tensor:
    """Clipped distance to the True pixels of a mask, with batch and channel axes."""
    if not mask.any():
        return torch.full((1, 1, *mask.shape), d_max)
    distance = np.minimum(np.asarray(distance_transform_edt(~mask)), d_max).astype(np.float32)
    return torch.from_numpy(distance)[None, None]


def line(gap: int = 0) -> Tensor:
    """A line across a window of 48 pixels with a gap of so many pixels in its middle."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[SIDE // 2] = True
    begin = (SIDE - gap) // 2
    mask[SIDE // 2, begin : begin + gap] = False
    return distance_map(mask)


def line_with_bridge(width: int) -> Tensor:
    """The same line and a false one, so many pixels wide, from it to the border."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[SIDE // 2] = True
    begin = SIDE // 2 - width // 2
    mask[: SIDE // 2, begin : begin + width] = True
    return distance_map(mask)


def curves(seed: int, shape: tuple[int, ...], count: int = 4, d_max: float = D_MAX) -> Tensor:
    """The distance map of random straight lines through an image or a volume."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    last = np.array(shape) - 1
    for _ in range(count):
        begin, end = rng.random((2, len(shape)))
        side = rng.integers(len(shape))
        begin[side], end[side] = 0, 1
        steps = np.linspace(0, 1, 4 * max(shape))[:, None]
        mask[tuple(np.round((begin + steps * (end - begin)) * last).astype(int).T)] = True
    return distance_map(mask, d_max)


def noisy(target: Tensor, seed: int, sigma: float = 1.5) -> Tensor:
    """The map with Gaussian errors: all costs differ."""
    noise = np.random.default_rng(seed).normal(0, sigma, tuple(target.shape))
    return target + torch.from_numpy(noise.astype(np.float32))
