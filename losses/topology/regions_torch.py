"""The regions into which annotated lines cut windows, with torch operations on any device."""

import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor

STEPS_4 = ((0, 1), (1, 0))
STEPS_8 = (*STEPS_4, (1, 1), (1, -1))


def label_windows_by_torch(
    target: Float[Tensor, "windows height width"],
    outside: Bool[Tensor, "windows height width"],
    *,
    radius: float,
    dilation: int,
    diagonal: bool,
) -> Int32[Tensor, "windows height width"]:
    """Number the regions of each window from 1 in raster order; as the kernel `label_windows`.

    The smallest pixel number of a region spreads through it: each round, a pixel hands what its
    neighbours know to the pixel it points to (Zhang, Azad, Hu. FastSV. PP 2020), so a long region
    takes about as many rounds as its length has digits, each with one question to the device.
    """
    separator = target <= radius
    for _ in range(dilation):
        grown = separator.clone()
        for here, there in _neighbours(((0, 1), (1, 0))):
            grown[here] |= separator[there]
            grown[there] |= separator[here]
        separator = grown
    inside = ~(separator | outside)
    windows, height, width = target.shape
    own = torch.arange(inside.numel(), device=target.device)
    # Outside the regions a pixel points to itself and is never asked.
    smallest = own
    while True:
        known = smallest[smallest].reshape(inside.shape)
        lowest = known.clone()
        for here, there in _neighbours(STEPS_8 if diagonal else STEPS_4):
            joined = inside[here] & inside[there]
            for to, of in ((here, there), (there, here)):
                lowest[to] = torch.where(joined, torch.minimum(lowest[to], known[of]), lowest[to])
        handed = smallest.scatter_reduce(0, smallest, lowest.reshape(-1), "amin")
        handed = torch.minimum(handed, lowest.reshape(-1))
        if torch.equal(handed, smallest):
            break
        smallest = handed
    first = (smallest == own) & inside.reshape(-1)
    number = first.reshape(windows, height * width).cumsum(1).reshape(-1)[smallest]
    return (number.reshape(inside.shape) * inside).to(torch.int32)


def _neighbours(steps: tuple[tuple[int, int], ...]) -> list[tuple[tuple, tuple]]:
    """Two slices of a stack of windows for each step: pixels, and their neighbours at that step."""
    pairs = []
    for down, across in steps:
        rows = (slice(0, -down or None), slice(down, None))
        left, right = slice(0, -abs(across) or None), slice(abs(across), None)
        columns = (left, right) if across >= 0 else (right, left)
        pairs.append(((..., rows[0], columns[0]), (..., rows[1], columns[1])))
    return pairs
