"""U-Net: a network that sees a wide context without losing the place.

    image --[block 0]------------------- skip -------------------> (+)[block 0]--[head]--> map
                |  pool                                        up   ^
                +--[block 1]------------ skip ----------> (+)[block 1]
                       |  pool                        up   ^
                       +--[block 2]----- skip -> (+)[block 2]
                              |  pool        up   ^
                              +---[bottom block]--+

A block is a few convolutions (`ConvBlock`); (+) lays the skipped channels before the ones that
came up. Level i holds `base * 2**i` channels. One class covers the published networks in two and
three dimensions; they are its class methods and differ only in arguments.

References:
    O. Ronneberger, P. Fischer, T. Brox. U-Net: convolutional networks for biomedical image
    segmentation. MICCAI 2015. arXiv:1505.04597.
    O. Cicek, A. Abdulkadir, S. Lienkamp, T. Brox, O. Ronneberger. 3D U-Net: learning dense
    volumetric segmentation from sparse annotation. MICCAI 2016. arXiv:1606.06650.

Departures from them: the output is a raw map, the loss or the predictor interprets it (a preset
may ask for a final ReLU); dropout drops channels, not voxels; weights start as `initialise` says.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.blocks import (
    CONV,
    POOL,
    ConvBlock,
    Norm,
    Padding,
    centre_crop,
    initialise,
    up_convolution,
)
from topodelin.models.network import Network

Final = Literal["none", "relu"]
Sizes = int | Sequence[int | Sequence[int]]

CHOICES = {
    "padding": ("same", "valid"),
    "norm": ("batch", "instance", "none"),
    "final": ("none", "relu"),
}
MOST_POOLINGS = 8  # 2**8 voxels a side for one value at the bottom: beyond it lies a mistake
MOST_CONVOLUTIONS = 8


class UNet(Network):
    """A U-Net whose arguments are its architecture.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        base: channels of the finest level; every level below has twice as many.
        poolings: how many halvings, or one pooling kernel a level, the finest first: with voxels
            deep in z, `((1, 2, 2), (2, 2, 2))` first makes them round.
        kernels: size of the convolutions, or one size a level, the finest first and the bottom
            last, e.g. `((1, 3, 3), 3, 3)`. Odd sizes only.
        convolutions: in each block.
        padding: "same" pads with zeros and keeps the size; "valid" pads nothing, so that every
            value of the smaller output has seen image only.
        norm: after each convolution; "instance" makes an output depend on the whole input.
        dropout: probability in every block, or one a level, the finest first and the bottom last.
        up_kernel: size of the up-convolutions along every axis; None = the pooling kernel.
        final: "relu" for maps that cannot be negative, "none" for the raw map.

    The remainder of its sizes is 0 with "same" padding; its reach is told as if without "instance"
    norm.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        base: int = 32,
        poolings: Sizes = 4,
        kernels: Sizes = 3,
        convolutions: int = 2,
        padding: Padding = "same",
        norm: Norm = "batch",
        dropout: float | Sequence[float] = 0.0,
        up_kernel: int | None = None,
        final: Final = "none",
    ) -> None:
        given = {
            "dims": dims,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "base": base,
            "poolings": poolings,
            "kernels": kernels,
            "convolutions": convolutions,
            "padding": padding,
            "norm": norm,
            "dropout": dropout,
            "up_kernel": up_kernel,
            "final": final,
        }
        _check(given)
        pools = _per_level("poolings", poolings, dims)
        levels = len(pools) + 1
        if isinstance(kernels, int):
            kernels = [kernels] * levels
        sizes = _per_level("kernels", kernels, dims, levels=levels)
        if any(size % 2 == 0 for kernel in sizes for size in kernel):
            raise ValueError(f"`kernels` must be odd so that they have a centre, got {kernels}")
        rates = _dropout_per_level(dropout, levels)
        ups = [pool if up_kernel is None else (up_kernel,) * dims for pool in pools]
        largest = max(map(max, pools))
        if up_kernel is not None and up_kernel < largest:
            raise ValueError(
                f"`up_kernel` must be at least {largest}, the largest pooling, got {up_kernel}"
            )

        lost = [[convolutions * (k - 1) * (padding == "valid") for k in size] for size in sizes]
        near = [[convolutions * (k // 2) for k in size] for size in sizes]
        super().__init__(
            given,
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=[math.prod(pool[axis] for pool in pools) for axis in range(dims)],
            remainder=[_remainder(pools, lost, axis) for axis in range(dims)],
            shrink=[_shrink(pools, lost, axis) for axis in range(dims)],
            reach=[_reach(pools, near, ups, axis) for axis in range(dims)],
        )
        self.norm = norm

        def block(level: int, channels: int) -> ConvBlock:
            return ConvBlock(
                channels,
                base * 2**level,
                dims=dims,
                kernel=sizes[level],
                convolutions=convolutions,
                padding=padding,
                norm=norm,
                dropout=rates[level],
            )

        width = [base * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            block(i, width[i - 1] if i else in_channels) for i in range(levels)
        )
        self.pools = nn.ModuleList(POOL[dims](pool) for pool in pools)
        self.ups = nn.ModuleList(
            up_convolution(width[i + 1], width[i], dims=dims, stride=pools[i], kernel=ups[i])
            for i in range(levels - 1)
        )
        self.up = nn.ModuleList(block(i, 2 * width[i]) for i in range(levels - 1))
        self.head = CONV[dims](base, out_channels, kernel_size=1)
        self.final = nn.ReLU() if final == "relu" else nn.Identity()
        initialise(self)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        self.check_images(images)
        features, skips = self.down[0](images), []
        for pool, block in zip(self.pools, self.down[1:], strict=True):
            skips.append(features)
            features = block(pool(features))  # half the size, twice the channels
        for up, block in zip(reversed(self.ups), reversed(self.up), strict=True):
            features = up(features)  # twice the size, half the channels
            skip = centre_crop(skips.pop(), features.shape[2:])
            features = block(torch.cat((skip, features), dim=1))
        return self.final(self.head(features))

    def next_size(self, size: Sequence[int]) -> tuple[int, ...]:
        fitting = list(super().next_size(size))
        # An instance norm needs two values to compare, also where the map is smallest: at the
        # bottom, or at the end where padding is missing.
        ends = zip(fitting, self.shrink, self.divisor, strict=True)
        smallest = [s - lost if lost else s // d for s, lost, d in ends]
        if self.norm == "instance" and math.prod(smallest) == 1:
            fitting[-1] += self.divisor[-1]
        return tuple(fitting)

    @classmethod
    def distance_3d(
        cls, *, base: int = 32, poolings: Sizes = 4, dropout: float = 0.1, final: Final = "relu"
    ) -> "UNet":
        """The volume-to-distance-map network: 22,581,217 weights (5,602,529 with 3 poolings).

        The final ReLU keeps distances from being negative, as in the program published with
        D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
        using their 2D projections. MICCAI 2022. arXiv:2207.06832.
        """
        return cls(3, base=base, poolings=poolings, dropout=dropout, final=final)

    @classmethod
    def valid_2d(cls, *, out_channels: int = 1) -> "UNet":
        """The original U-Net: no padding, 572 x 572 to 388 x 388, 31,030,593 weights."""
        return cls(2, out_channels=out_channels, base=64, padding="valid", norm="none")

    @classmethod
    def same_2d(cls, *, out_channels: int = 1) -> "UNet":
        """The original U-Net with zero padding and dropout at its two deepest levels."""
        return cls(2, out_channels=out_channels, base=64, norm="none", dropout=(0, 0, 0, 0.5, 0.5))

    @classmethod
    def light_2d(cls, *, out_channels: int = 1, norm: Norm = "none") -> "UNet":
        """Half as wide, up-convolutions of 3 x 3: 8,629,921 weights (8,635,809 with "batch")."""
        dropout = (0, 0, 0, 0.5, 0.5)
        return cls(2, out_channels=out_channels, base=32, up_kernel=3, norm=norm, dropout=dropout)

    @classmethod
    def thin_3d(cls, *, out_channels: int = 7, base: int = 32) -> "UNet":
        """Three convolutions a block, pooled within the slices only: 5 x 300 x 300 and alike.

        A baseline of M. Guay et al. Dense cellular segmentation for EM using 2D-3D neural
        network ensembles. Scientific Reports 2021; the width is not stated there, 32 is ours.
        """
        poolings = ((1, 2, 2), (1, 2, 2))
        return cls(3, 1, out_channels, base=base, poolings=poolings, convolutions=3, norm="none")

    @classmethod
    def thick_3d(cls, *, out_channels: int = 7, base: int = 32) -> "UNet":
        """[`UNet.thin_3d`][] pooled along all three axes: 16 x 180 x 180 and alike."""
        return cls(3, 1, out_channels, base=base, poolings=2, convolutions=3, norm="none")


def _check(given: dict[str, Any]) -> None:
    if given["dims"] not in (2, 3):
        raise ValueError(f"`dims` must be 2 or 3, got {given['dims']}")
    for name in ("base", "convolutions"):
        if given[name] < 1:
            raise ValueError(f"`{name}` must be at least 1, got {given[name]}")
    if given["convolutions"] > MOST_CONVOLUTIONS:
        raise ValueError(
            f"`convolutions` must be at most {MOST_CONVOLUTIONS}, got {given['convolutions']}"
        )
    for name, known in CHOICES.items():
        if given[name] not in known:
            raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {given[name]!r}")


def _per_level(
    name: str, sizes: Sizes, dims: int, levels: int | None = None
) -> list[tuple[int, ...]]:
    """One kernel a level, one size an axis."""
    each = [2] * min(sizes, MOST_POOLINGS + 1) if isinstance(sizes, int) else list(sizes)
    if levels is None and not 1 <= len(each) <= MOST_POOLINGS:
        raise ValueError(f"`{name}` must count 1 to {MOST_POOLINGS}, got {sizes}")
    if levels is not None and len(each) != levels:
        raise ValueError(f"`{name}` must hold {levels} sizes, one a level, got {len(each)}")
    kernels = [(size,) * dims if isinstance(size, int) else tuple(size) for size in each]
    if any(len(kernel) != dims or min(kernel) < 1 for kernel in kernels):
        raise ValueError(
            f"`{name}` must hold {dims} sizes of at least 1 for each level, got {sizes}"
        )
    return kernels


def _dropout_per_level(dropout: float | Sequence[float], levels: int) -> list[float]:
    rates = [dropout] * levels if isinstance(dropout, int | float) else list(dropout)
    if len(rates) != levels or not all(0 <= rate < 1 for rate in rates):
        raise ValueError(
            f"`dropout` must be one probability in [0, 1), or {levels}, one a level, got {dropout}"
        )
    return [float(rate) for rate in rates]


def _remainder(pools: list[tuple[int, ...]], lost: list[list[int]], axis: int) -> int:
    """What an input size leaves when divided by the divisor: each pooling must come out even."""
    total, scale = 0, 1
    for pool, block in zip(pools, lost, strict=False):
        total += block[axis] * scale
        scale *= pool[axis]
    return total % scale


def _shrink(pools: list[tuple[int, ...]], lost: list[list[int]], axis: int) -> int:
    """Voxels lost on the way through the bottom: both blocks of a level, one at the bottom."""
    total = lost[-1][axis]
    for pool, block in zip(reversed(pools), reversed(lost[:-1]), strict=True):
        total = total * pool[axis] + 2 * block[axis]
    return total


def _reach(
    pools: list[tuple[int, ...]],
    near: list[list[int]],
    ups: Sequence[tuple[int, ...]],
    axis: int,
) -> int:
    """Voxels on one side that matter, whatever the place within a pooled voxel.

    A value of level i sees `n` voxels around it through each of its two blocks; in between lies the
    level below, where a voxel is `pool` voxels wide and at worst touched at its far end.
    """
    reach = near[-1][axis]
    for pool, block, up in zip(reversed(pools), reversed(near[:-1]), reversed(ups), strict=True):
        beyond = math.ceil((up[axis] - pool[axis]) / pool[axis])
        reach = 2 * block[axis] + pool[axis] - 1 + pool[axis] * (reach + beyond)
    return reach
