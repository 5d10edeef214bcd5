"""From an image to the probability of every class, with any network of classes.

Networks of images go through a volume slice by slice; networks that tell the middle voxel of a
cube are turned into dense ones where that is exact, and else look at one cube after another.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import nn

from topodelin.models.dense import dense_version
from topodelin.models.frame import Readable, check_model, evaluating, main_output, read_beyond
from topodelin.models.prediction import volume_slabs

CUBES = 256  # looked at together


def predict_probabilities(
    model: nn.Module,
    image: Readable,
    *,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
    blend: str = "none",
    where: Bool[np.ndarray, "z y x"] | None = None,
) -> Float32[np.ndarray, "channel z y x"]:
    """The probability of every class at every voxel; they add up to 1.

    Args:
        model: gives logits, one channel a class; a single one is the logit of class 1 of two.
        image: axes `(z, y, x)`, normalised as the model's card says.
        tile, margin, blend: as in [`predict_tiles`][], `(z, y, x)`; z is not looked at for a
            network of images. The logits are blended, not the probabilities.
        where: only these voxels are wanted. Networks that look at single cubes skip the others,
            whose probabilities are 0 then.
    """
    told, begin = np.zeros(0, np.float32), 0
    slabs = probability_slabs(model, image, tile=tile, margin=margin, blend=blend, where=where)
    for slab in slabs:
        if slab.shape[1] == image.shape[0]:
            return slab
        if not told.size:
            told = np.empty((len(slab), *image.shape), np.float32)
        told[:, begin : begin + slab.shape[1]] = slab
        begin += slab.shape[1]
    return told


def probability_slabs(
    model: nn.Module,
    image: Readable,
    *,
    tile: int | Sequence[int],
    margin: int | Sequence[int],
    blend: str = "none",
    where: Bool[np.ndarray, "z y x"] | None = None,
) -> Iterator[Float32[np.ndarray, "channel slab y x"]]:
    """[`predict_probabilities`][] piece by piece along z, for results too large for memory.

    Args:
        model, image, tile, margin, blend, where: as there.
    """
    if hasattr(model, "window"):
        dense = dense_version(model)
        if dense is None:
            yield from _cube_by_cube(model, image, where)
            return
        model, margin = dense, 0
    for slab in volume_slabs(model, image, tile=tile, margin=margin, blend=blend):
        yield probabilities(slab)


def probabilities(
    logits: Float32[np.ndarray, " channel *space"],
) -> Float32[np.ndarray, " channel_out *space"]:
    """The softmax of logits; the sigmoid and its complement of a single channel."""
    if len(logits) == 1:
        logits = np.concatenate([np.zeros_like(logits), logits])
    return torch.from_numpy(logits).softmax(0).numpy()


def _cube_by_cube(
    model: nn.Module, image: Readable, where: np.ndarray | None
) -> Iterator[np.ndarray]:
    """The probabilities of one slice after another, each voxel the middle of a cube.

    The image continues as in a mirror.
    """
    check_model(model, image)
    depth, *plane = image.shape
    window = int(model.window)  # type: ignore[arg-type]
    near, far = window // 2, window - window // 2 - 1
    weight = next(model.parameters())
    channels = int(getattr(model, "in_channels", 1))
    classes = max(2, int(model.out_channels))  # type: ignore[arg-type]
    for z in range(depth):
        wanted = np.ones(plane, bool) if where is None else where[z]
        told = np.zeros((classes, 1, *plane), np.float32)
        places = np.argwhere(wanted)
        if len(places):
            begin, end = (z - near, -near, -near), (z + far + 1, *(n + far for n in plane))
            grown = read_beyond(image, begin, end, mirrored=True)
            cubes = np.lib.stride_tricks.sliding_window_view(grown, (window,) * 3)[0]
        for first in range(0, len(places), CUBES):
            some = places[first : first + CUBES]
            batch = torch.from_numpy(cubes[tuple(some.T)][:, None])
            batch = batch.expand(-1, channels, -1, -1, -1)
            with evaluating(model):
                logits = main_output(model(batch.to(weight.device, weight.dtype)))
            told[(slice(None), 0, *some.T)] = probabilities(logits[:, :, 0, 0, 0].T.copy())
        yield told
