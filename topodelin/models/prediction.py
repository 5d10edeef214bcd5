"""From an image to the distance map that a network sees in it, at once or tile by tile.

The image is continued by its border values up to a size that the network takes, and the map is cut
back. Tiles are read with a margin of image around them, which is thrown away; they begin at
multiples of the network's divisor, so that every voxel meets the same pooling windows as in one
piece.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn


def predict_distance_map(
    model: nn.Module, image: Float[np.ndarray, "*space"], *, d_max: float
) -> Float32[np.ndarray, "*space"]:
    """The distance map of an image of any size, in units of the finest voxel edge.

    Args:
        model: takes `(batch, channel, *space)` with one channel to a map with one channel, and
            tells its `divisor` (and `remainder` and `shrink` where it does not pad, see `UNet`;
            a `next_size` of its own goes first). It runs on its own device, in evaluation mode;
            its mode is restored.
        image: axes `(z, y, x)`, or `(y, x)` for a network in two dimensions, normalised as the
            model's card says.
        d_max: the map is clipped to `[0, d_max]`.

    The same image gives the same map, bit by bit, on the same machine and number of threads. Faster
    arithmetic is the caller's choice: `model.to(memory_format=torch.channels_last_3d)`, and a call
    inside `torch.autocast("cpu", torch.bfloat16)`.
    """
    frame = _Frame(model, image, d_max)
    with _evaluating(model):
        whole = frame.predict([0] * image.ndim, frame.size)
    return whole[tuple(slice(0, n) for n in image.shape)].copy()


def predict_tiled(
    model: nn.Module,
    image: Float[np.ndarray, "*space"],
    *,
    d_max: float,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
) -> Float32[np.ndarray, "*space"]:
    """[`predict_distance_map`][] in tiles, for images whose activations would not fit in memory.

    Args:
        model, image, d_max: as there.
        tile: voxels of the result computed at once, a number or one for each axis; a multiple of
            the network's divisor.
        margin: voxels read around a tile, rounded up to a multiple of the divisor. With at least
            the network's `reach` the result is that of the whole image, up to rounding; with less,
            seams may show. A network without padding brings its own margin: 0 is enough then.
    """
    frame = _Frame(model, image, d_max)
    tiles, margins = _each("tile", tile, image.ndim, 1), _each("margin", margin, image.ndim, 0)
    fitting = tuple(_round_up(t, d) for t, d in zip(tiles, frame.divisor, strict=True))
    if tiles != fitting:
        raise ValueError(
            f"`tile` must be a multiple of {frame.divisor}, the network's divisor, got {tiles}; "
            f"the next larger is {fitting}"
        )
    margins = tuple(_round_up(m, d) for m, d in zip(margins, frame.divisor, strict=True))

    distances = np.empty(image.shape, np.float32)
    with _evaluating(model):
        for corner in product(*(range(0, n, t) for n, t in zip(image.shape, tiles, strict=True))):
            begin = [max(0, c - m) for c, m in zip(corner, margins, strict=True)]
            end = [c + t + m for c, t, m in zip(corner, tiles, margins, strict=True)]
            seen = frame.predict(begin, frame.fit(end))
            inner = zip(corner, begin, tiles, image.shape, strict=True)
            cut = tuple(slice(c - b, min(c + t, n) - b) for c, b, t, n in inner)
            place = tuple(slice(c, c + t) for c, t in zip(corner, tiles, strict=True))
            distances[place] = seen[cut]
    return distances


class _Frame:
    """An image continued by its border values so that a network takes it, and a way to run boxes.

    Boxes are counted in voxels of the output, whose voxel 0 is that of the image.
    """

    def __init__(self, model: nn.Module, image: np.ndarray, d_max: float) -> None:
        _check(model, image, d_max)
        dims = image.ndim
        self.model, self.d_max = model, d_max
        self.divisor = tuple(int(d) for d in model.divisor)  # type: ignore[union-attr]
        self.shrink = tuple(getattr(model, "shrink", (0,) * dims))
        remainder = tuple(getattr(model, "remainder", (0,) * dims))
        wanted = [n + s for n, s in zip(image.shape, self.shrink, strict=True)]
        if hasattr(model, "next_size"):
            padded = model.next_size(wanted)  # type: ignore[operator]
        else:
            fits = zip(wanted, remainder, self.divisor, strict=True)
            padded = [r + _round_up(w - r, d) for w, r, d in fits]
        before = [s // 2 for s in self.shrink]
        around = [(b, p - n - b) for b, p, n in zip(before, padded, image.shape, strict=True)]
        self.image = np.pad(image.astype(np.float32, copy=False), around, mode="edge")
        self.size = [p - s for p, s in zip(padded, self.shrink, strict=True)]
        self.over = [
            (r - s) % d for r, s, d in zip(remainder, self.shrink, self.divisor, strict=True)
        ]

    def fit(self, end: Sequence[int]) -> list[int]:
        """Where a box must end so that its size, from a multiple of the divisor on, is taken."""
        return [min(n, e + o) for n, e, o in zip(self.size, end, self.over, strict=True)]

    def predict(self, begin: Sequence[int], end: Sequence[int]) -> np.ndarray:
        """The map of one box of the output, clipped."""
        box = tuple(slice(b, e + s) for b, e, s in zip(begin, end, self.shrink, strict=True))
        weight = next(self.model.parameters())
        seen = torch.from_numpy(np.ascontiguousarray(self.image[box]))[None, None]
        output: Tensor = self.model(seen.to(weight.device, weight.dtype))
        if output.shape[1] != 1:
            raise ValueError(
                f"`model` must give one channel, a distance map, got {output.shape[1]} channels"
            )
        if not output.isfinite().all():
            raise ValueError("`model` gave values that are not finite; train it anew or reload it")
        return output[0, 0].float().clamp(0, self.d_max).cpu().numpy()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def _check(model: nn.Module, image: np.ndarray, d_max: float) -> None:
    if not hasattr(model, "divisor"):
        raise TypeError(f"`model` must tell its `divisor`, got a {type(model).__name__} without it")
    dims = len(model.divisor)  # type: ignore[arg-type]
    if image.ndim != dims or image.size == 0:
        raise ValueError(f"`image` must have {dims} axes, none empty, got shape {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError("`image` must be finite; replace NaN and infinite voxels first")
    if not (math.isfinite(d_max) and d_max > 0):
        raise ValueError(f"`d_max` must be a positive distance in finest voxel edges, got {d_max}")


def _each(name: str, value: int | Sequence[int], dims: int, least: int) -> tuple[int, ...]:
    each = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(each) != dims or any(number < least for number in each):
        raise ValueError(f"`{name}` must be from {least}, one number or {dims}, got {value}")
    return each


def _round_up(size: int, divisor: int) -> int:
    return math.ceil(size / divisor) * divisor
