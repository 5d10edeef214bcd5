r"""A network's output on an image of any size, tile by tile.

Tiles are read with a margin of image around them; they begin at multiples of the network's
divisor, so that every voxel meets the same pooling windows as in one piece. The margins are thrown
away, or their outer halves are, and tiles are blended where the inner halves overlap. Beyond the
borders of the image, where nothing is known, they are always cut off.

    |<--- tile 0 --->|<--- tile 1 --->|<--- tile 2 --->|
    1111111111111\      /1111111111\      /1111111111111     weights, "linear"
                  \    /            \    /
                   \  /              \  /
                    \/                \/
                    /\                /\
                 <--|-->                               half the margin on either side of a seam

At every voxel the weights of all tiles add up to 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float32
from torch import nn

from topodelin.models.frame import Frame, Readable, round_up

BLENDS = ("none", "linear", "mean")


def predict_tiles(
    model: nn.Module,
    image: Readable,
    *,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
    blend: str = "none",
) -> Float32[np.ndarray, " channel *space"]:
    """The main output of a network, all its channels, as it comes.

    Args:
        model: takes `(batch, channel, *space)` and tells its `divisor` (and `remainder` and
            `shrink` where it does not pad; a `next_size` of its own goes first). It runs on its
            own device, in evaluation mode; its mode is restored.
        image: axes `(z, y, x)`, or `(y, x)` for a network in two dimensions, normalised as the
            model's card says. It is read tile by tile and never copied whole.
        tile: voxels of the result computed at once, a number or one for each axis, rounded up to a
            multiple of the network's divisor.
        margin: voxels read around a tile, rounded up likewise. With at least the network's `reach`
            the result is that of the whole image, up to rounding; with less, seams may show. A
            network without padding brings its own margin: 0 is enough then.
        blend: "none" cuts at the seam. The others keep the inner half of the margins, where tiles
            then overlap, and throw the outer half away: "linear" fades from one tile to the next,
            the weight of a tile falling in a straight line from 1 to 0; "mean" averages. With
            twice the network's `reach` as margin the result is still that of the whole image.
    """
    told = np.zeros(0, np.float32)
    tiling = _Tiling(model, image, tile, margin, blend)
    for layer in tiling.spans[0]:
        for place, values in tiling.judged(layer):
            if not told.size:
                told = np.zeros((len(values), *image.shape), np.float32)
            told[(slice(None), *place)] += values
    return told


def tile_slabs(
    model: nn.Module,
    image: Readable,
    *,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
    blend: str = "none",
) -> Iterator[Float32[np.ndarray, " channel *space"]]:
    """[`predict_tiles`][] piece by piece along the first axis, for results too large for memory.

    Args:
        model, image, tile, margin, blend: as there.

    Put together along their first axis in space the pieces are the same result. One layer of tiles
    with its margins is held at a time.
    """
    tiling = _Tiling(model, image, tile, margin, blend)
    layers = tiling.spans[0]
    begins = [*(layer.place.start for layer in layers[1:]), image.shape[0]]
    held = np.zeros((0, 0), np.float32)  # what the next layer of tiles will add to
    for layer, next_begin in zip(layers, begins, strict=True):
        begin, end = layer.place.start, layer.place.stop
        slab = np.zeros((0, 0), np.float32)
        for place, values in tiling.judged(layer):
            if not slab.size:
                slab = np.zeros((len(values), end - begin, *image.shape[1:]), np.float32)
                if held.size:
                    slab[:, : held.shape[1]] = held
            slab[(slice(None), slice(None), *place[1:])] += values
        held = slab[:, next_begin - begin :]
        if next_begin > begin:
            yield slab[:, : next_begin - begin]


def each(name: str, value: int | Sequence[int], dims: int, least: int) -> tuple[int, ...]:
    """A number for every axis."""
    numbers = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(numbers) != dims or any(number < least for number in numbers):
        raise ValueError(f"`{name}` must be from {least}, one number or {dims}, got {value}")
    return numbers


@dataclass(frozen=True)
class _Span:
    """One tile along one axis.

    Args:
        corner: where the tile begins, without its margin.
        place: what it adds to, cut off at the image.
        weights: of its values there.
    """

    corner: int
    place: slice
    weights: np.ndarray


class _Tiling:
    """The tiles of an image; the arguments are those of `predict_tiles`."""

    def __init__(
        self,
        model: nn.Module,
        image: Readable,
        tile: int | Sequence[int],
        margin: int | Sequence[int],
        blend: str,
    ) -> None:
        self.frame = Frame(model, image)
        dims, divisor = len(image.shape), self.frame.divisor
        if blend not in BLENDS:
            raise ValueError(f"`blend` must be one of {', '.join(BLENDS)}, got {blend!r}")
        tiles, margins = each("tile", tile, dims, 1), each("margin", margin, dims, 0)
        self.tile = tuple(round_up(t, d) for t, d in zip(tiles, divisor, strict=True))
        self.margin = tuple(round_up(m, d) for m, d in zip(margins, divisor, strict=True))
        sizes = zip(image.shape, self.tile, self.margin, strict=True)
        self.spans = [
            _spans(length, t, 0 if blend == "none" else m // 2, blend) for length, t, m in sizes
        ]

    def judged(self, layer: _Span) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        """For each tile of a layer where it lies and what it adds there, `(channel, *space)`."""
        for tile in product([layer], *self.spans[1:]):
            begin = [max(0, s.corner - m) for s, m in zip(tile, self.margin, strict=True)]
            ends = zip(tile, self.tile, self.margin, strict=True)
            values = self.frame.run(begin, self.frame.fit([s.corner + t + m for s, t, m in ends]))
            place = tuple(span.place for span in tile)
            cut = (slice(p.start - b, p.stop - b) for p, b in zip(place, begin, strict=True))
            values = values[(slice(None), *cut)]
            for axis, span in enumerate(tile):
                if (span.weights != 1).any():
                    values = values * span.weights.reshape(-1, *(1,) * (len(tile) - 1 - axis))
            yield place, values


def _spans(length: int, tile: int, kept: int, blend: str) -> list[_Span]:
    """The tiles along an axis, each with `kept` voxels around it; weights add up to 1."""
    total, spans = np.zeros(length), []
    for corner in range(0, length, tile):
        low, high = corner - kept, corner + tile + kept
        place = slice(max(0, low), min(length, high))
        at = np.arange(place.start, place.stop) + 0.5
        weights = np.ones(len(at))
        if blend == "linear" and kept:
            weights = (np.minimum(at - low, high - at) / (2 * kept)).clip(0, 1)
        total[place] += weights
        spans.append((corner, place, weights))
    return [_Span(c, p, (w / total[p]).astype(np.float32)) for c, p, w in spans]
