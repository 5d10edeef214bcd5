"""An image continued beyond its borders so that a network takes it, and boxes of it run."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn


@runtime_checkable
class Readable(Protocol):
    """Anything that is read by slices: an array, or an image that is computed as it is read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class Frame:
    """An image as a network sees it; boxes are counted in voxels of the output.

    Voxel 0 of the output is voxel 0 of the image. A network that pads is given border values; one
    that does not pad is given the image mirrored at its borders, as its authors did. The image is
    read box by box, only what is run.

    Args:
        model: tells its `divisor`, and its `remainder`, `shrink`, `before` (voxels lost on the near
            side, half of `shrink` by default) and `next_size` where they matter.
        image: `(*space)`, of the same number of axes; grey, and repeated for networks of colour.
    """

    def __init__(self, model: nn.Module, image: Readable) -> None:
        check_model(model, image)
        dims = len(image.shape)
        self.model, self.image = model, image
        self.divisor = tuple(int(d) for d in model.divisor)  # type: ignore[union-attr]
        self.shrink = tuple(getattr(model, "shrink", (0,) * dims))
        self.before = tuple(getattr(model, "before", [s // 2 for s in self.shrink]))
        self.mirrored = any(self.shrink)
        remainder = tuple(getattr(model, "remainder", (0,) * dims))
        wanted = [n + s for n, s in zip(image.shape, self.shrink, strict=True)]
        if hasattr(model, "next_size"):
            padded = model.next_size(wanted)  # type: ignore[operator]
        else:
            fits = zip(wanted, remainder, self.divisor, strict=True)
            padded = [r + round_up(w - r, d) for w, r, d in fits]
        if any(p < w for p, w in zip(padded, wanted, strict=True)):
            raise ValueError(
                f"`model` must take images of any size, a {type(model).__name__} takes "
                f"{tuple(padded)} only and the image has {tuple(image.shape)}"
            )
        self.size = [p - s for p, s in zip(padded, self.shrink, strict=True)]
        self.over = [
            (r - s) % d for r, s, d in zip(remainder, self.shrink, self.divisor, strict=True)
        ]

    def fit(self, end: Sequence[int]) -> list[int]:
        """Where a box must end so that its size, from a multiple of the divisor on, is taken."""
        return [min(n, e + o) for n, e, o in zip(self.size, end, self.over, strict=True)]

    def run(self, begin: Sequence[int], end: Sequence[int]) -> np.ndarray:
        """The main output of one box, `(channels, *space)`, float32, as the network gives it.

        In evaluation mode; the network's mode is restored.
        """
        first = [b - near for b, near in zip(begin, self.before, strict=True)]
        last = [e - n + s for e, n, s in zip(end, self.before, self.shrink, strict=True)]
        seen = torch.from_numpy(read_beyond(self.image, first, last, mirrored=self.mirrored))
        weight = next(self.model.parameters())
        channels = int(getattr(self.model, "in_channels", 1))
        seen = seen.expand(1, channels, *seen.shape)
        with evaluating(self.model):
            return main_output(self.model(seen.to(weight.device, weight.dtype)))[0]


def read_beyond(
    image: Readable, begin: Sequence[int], end: Sequence[int], *, mirrored: bool
) -> np.ndarray:
    """A box that may reach beyond the image, float32, always a new array.

    Beyond its borders the image repeats the border's value, or goes on as in a mirror that stands
    on the border: `2 1 0 | 0 1 2 | 2 1 0`.

    Raises:
        ValueError: the box holds NaN or infinity.
    """
    places = []
    for first, last, length in zip(begin, end, image.shape, strict=True):
        place = np.arange(first, last)
        if mirrored:
            place = place % (2 * length)
            places.append(np.minimum(place, 2 * length - 1 - place))
        else:
            places.append(place.clip(0, length - 1))
    low = [int(place.min()) for place in places]
    box = tuple(slice(b, int(place.max()) + 1) for b, place in zip(low, places, strict=True))
    read = np.asarray(image[box])
    if read.size and not (np.isfinite(read.min()) and np.isfinite(read.max())):  # NaN is both
        raise ValueError("`image` must be finite; replace NaN and infinite voxels first")
    if read.shape == tuple(len(place) for place in places) and not mirrored:
        return np.array(read, dtype=np.float32)
    shifted = (place - b for place, b in zip(places, low, strict=True))
    return read[np.ix_(*shifted)].astype(np.float32, copy=False)


def main_output(output: Tensor | dict[str, Tensor]) -> np.ndarray:
    """The (main) output of a network, float32; ValueError where it is not finite."""
    main = output["main"] if isinstance(output, dict) else output
    if main.numel() and not torch.stack(main.aminmax()).isfinite().all():  # NaN is both
        raise ValueError("`model` gave values that are not finite; train it anew or reload it")
    return main.float().cpu().numpy()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def round_up(size: int, divisor: int) -> int:
    """The next multiple."""
    return math.ceil(size / divisor) * divisor


def check_model(model: nn.Module, image: Readable) -> None:
    """Refuse a network that does not tell its sizes, and an image with other axes than it takes."""
    if not hasattr(model, "divisor"):
        raise TypeError(f"`model` must tell its `divisor`, got a {type(model).__name__} without it")
    dims, shape = len(model.divisor), tuple(image.shape)  # type: ignore[arg-type]
    if len(shape) != dims or 0 in shape:
        raise ValueError(f"`image` must have {dims} axes, none empty, got shape {shape}")
