"""What every network of the library tells of itself, and how it refuses an image it cannot take."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

AXES = {2: "(batch, channel, y, x)", 3: "(batch, channel, z, y, x)"}


class Network(nn.Module):
    """The base of all networks: arguments, sizes and the check of an image.

    A network that is given an image of a size that it cannot take says which is the next that it
    can; it never pads or crops in silence. The rule is `remainder + k * divisor` along each axis,
    at least `least`.

    Args:
        given: the arguments of the constructor, plain values.

    Attributes:
        arguments: the same as JSON values; `type(network)(**arguments)` builds the network with
            fresh weights.
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the (main) output.
        divisor, remainder, least: of the sizes along each axis that it takes.
        shrink: voxels by which the output is smaller than the input, half on either side, the
            far side one more where odd.
        reach: voxels on either side that an output value depends on; infinite where the whole
            input matters.
    """

    arguments: dict[str, Any]
    dims: int
    in_channels: int
    out_channels: int
    divisor: tuple[int, ...]
    remainder: tuple[int, ...]
    least: tuple[int, ...]
    shrink: tuple[int, ...]
    reach: tuple[float, ...]

    def __init__(
        self,
        given: Mapping[str, Any],
        *,
        dims: int,
        in_channels: int,
        out_channels: int,
        divisor: int | Sequence[int] = 1,
        remainder: int | Sequence[int] = 0,
        least: int | Sequence[int] = 1,
        shrink: int | Sequence[int] = 0,
        reach: float | Sequence[float] = math.inf,
    ) -> None:
        super().__init__()
        if dims not in AXES:
            raise ValueError(f"`dims` must be 2 or 3, got {dims}")
        for name, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if count < 1:
                raise ValueError(f"`{name}` must be at least 1, got {count}")
        self.arguments = json.loads(json.dumps(dict(given)))
        self.dims, self.in_channels, self.out_channels = dims, in_channels, out_channels
        self.divisor, self.remainder = _each(divisor, dims), _each(remainder, dims)
        self.least, self.shrink = _each(least, dims), _each(shrink, dims)
        self.reach = tuple(reach) if isinstance(reach, Sequence) else (float(reach),) * dims

    def next_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """The smallest spatial size of an input that fits and is nowhere smaller than `size`."""
        rule = zip(size, self.least, self.shrink, self.remainder, self.divisor, strict=True)
        return tuple(
            r + d * math.ceil((max(wanted, least, lost + 1) - r) / d)
            for wanted, least, lost, r, d in rule
        )

    def check_images(self, images: Tensor) -> None:
        """Refuse what the network cannot take; the message names the next size that it can.

        Raises:
            TypeError: for numbers that are not floating point.
            ValueError: for wrong axes, channels or sizes.
        """
        if images.ndim != self.dims + 2:
            raise ValueError(
                f"`images` must have axes {AXES[self.dims]}, got shape {tuple(images.shape)}"
            )
        if not images.is_floating_point():
            raise TypeError(f"`images` must be floating point, got {images.dtype}; use `.float()`")
        if images.shape[1] != self.in_channels:
            raise ValueError(
                f"`images` must have {self.in_channels} channel(s), the network's `in_channels`, "
                f"got {images.shape[1]}"
            )
        size = tuple(images.shape[2:])
        fitting = self.next_size(size)
        if size != fitting:
            rule = "a multiple of" if not any(self.remainder) else f"{self.remainder} more than"
            raise ValueError(
                f"the spatial size of `images` must be {rule} {self.divisor}, got {size}; "
                f"the next that fits is {fitting}"
            )


def _each(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(int(number) for number in value)
