"""From an image to the distance map that a network sees in it, at once or tile by tile."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32
from torch import nn

from topodelin.models.frame import Frame, Readable
from topodelin.models.tiles import predict_tiles, tile_slabs


def predict_distance_map(
    model: nn.Module,
    image: Readable,
    *,
    d_max: float,
    part: tuple[slice, ...] | None = None,
) -> Float32[np.ndarray, "*space"]:
    """The distance map of an image of any size, in units of the finest voxel edge.

    Args:
        model: gives one channel; otherwise as in [`predict_tiles`][].
        image: axes `(z, y, x)`, or `(y, x)` for a network in two dimensions, normalised as the
            model's card says.
        d_max: the map is clipped to `[0, d_max]`.
        part: of the map to return; all of it by default.

    The same image gives the same map, bit by bit, on the same machine and number of threads. Faster
    arithmetic is the caller's choice: `model.to(memory_format=torch.channels_last_3d)`, and a call
    inside `torch.autocast("cpu", torch.bfloat16)`.
    """
    _check_d_max(d_max)
    frame = Frame(model, image)
    whole = frame.run([0] * len(image.shape), frame.size)
    inside = tuple(slice(0, n) for n in image.shape) if part is None else part
    return _distances(whole[(slice(None), *inside)], d_max)


def predict_tiled(
    model: nn.Module,
    image: Readable,
    *,
    d_max: float,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
    blend: str = "none",
) -> Float32[np.ndarray, "*space"]:
    """[`predict_distance_map`][] in tiles, for images whose activations would not fit in memory.

    Args:
        model, image, d_max: as there.
        tile, margin, blend: as in [`predict_tiles`][].
    """
    _check_d_max(d_max)
    raw = predict_tiles(model, image, tile=tile, margin=margin, blend=blend)
    return _distances(raw, d_max)


def distance_slabs(
    model: nn.Module,
    image: Readable,
    *,
    d_max: float,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
    blend: str = "none",
) -> Iterator[Float32[np.ndarray, "1 z y x"]]:
    """The distance map of a volume, piece by piece along z; a network of images sees its slices.

    Args:
        model, d_max: as in [`predict_distance_map`][].
        image: axes `(z, y, x)`, also for a network in two dimensions.
        tile, margin, blend: as in [`predict_tiles`][], `(z, y, x)`.
    """
    _check_d_max(d_max)
    for slab in volume_slabs(model, image, tile=tile, margin=margin, blend=blend):
        yield _distances(slab, d_max)[None]


def volume_slabs(
    model: nn.Module,
    image: Readable,
    *,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
    blend: str = "none",
) -> Iterator[Float32[np.ndarray, "channel z y x"]]:
    """The main output for a volume, piece by piece along z, of a network of volumes or of images.

    Args:
        model, tile, margin, blend: as in [`predict_tiles`][], `(z, y, x)`; z is not looked at for a
            network of images.
        image: axes `(z, y, x)`.
    """
    if len(getattr(model, "divisor", ())) != 2:
        yield from tile_slabs(model, image, tile=tile, margin=margin, blend=blend)
        return
    tile, margin = _in_plane(tile), _in_plane(margin)
    for z in range(image.shape[0]):
        yield predict_tiles(model, image[z], tile=tile, margin=margin, blend=blend)[:, None]


def _in_plane(sizes: int | Sequence[int]) -> int | Sequence[int]:
    return sizes if isinstance(sizes, int) else tuple(sizes)[-2:]


def _distances(output: np.ndarray, d_max: float) -> np.ndarray:
    if len(output) != 1:
        raise ValueError(
            f"`model` must give one channel, a distance map, got {len(output)} channels"
        )
    return output[0].clip(0, np.float32(d_max))


def _check_d_max(d_max: float) -> None:
    if not (math.isfinite(d_max) and d_max > 0):
        raise ValueError(f"`d_max` must be a positive distance in finest voxel edges, got {d_max}")
