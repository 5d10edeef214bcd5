"""ConvNeXt in three dimensions, for the class of the voxel in the middle of a cube.

    cube --[patches of 4]--LN--[block x3]--LN--[halve]--[block x3]--LN--[halve]--[block x9]
         --LN--[halve]--[block x3]--[head]--> classes

    block: x --+--[7x7x7, each channel]--LN--[x4]--GELU--[/4]--[scale]--(+)-->
               +----------------------------------------------------------^

LN is layer normalisation over the channels of each voxel. A block is what a transformer would be
with a large convolution in the place of attention. The scale of each channel starts at nearly 0,
so that a fresh network is a chain of patches.

References:
    Z. Liu, H. Mao, C.-Y. Wu, C. Feichtenhofer, T. Darrell, S. Xie. A ConvNet for the 2020s.
    CVPR 2022. arXiv:2201.03545.

Departures: no stochastic depth; no normalisation and no mean over the cube before the head. Weights
start as in the paper: normal of standard deviation 0.02, cut off at 2; biases 0.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.models.centre_voxel import ChannelNorm
from topodelin.models.cube import CentreVoxel

Features = Float[Tensor, "batch channel z y x"]

MOST_BLOCKS = 100  # of a stage: beyond it lies a mistake


class ConvNeXt3D(CentreVoxel):
    """The tiny ConvNeXt with cubes in the place of squares: 31,320,486 weights for 6 classes.

    A window of 16 with `patch=2` has 31,315,110. Each stage but the last is followed by a halving.

    Args:
        in_channels, out_channels: of the cube; and the classes.
        window: side of the cube; a multiple of `patch * 2 ** (stages - 1)`.
        patch: side of the patches that the first layer makes one voxel of.
        depths: blocks of each stage.
        widths: channels of each stage.
        kernel: of the depthwise convolutions; odd.
        layer_scale: factor of each channel of a block, at first.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        window: int = 32,
        patch: int = 4,
        depths: Sequence[int] = (3, 3, 9, 3),
        widths: Sequence[int] = (96, 192, 384, 768),
        kernel: int = 7,
        layer_scale: float = 1e-6,
    ) -> None:
        if len(depths) != len(widths) or not depths:
            raise ValueError(
                f"`depths` and `widths` must hold one number a stage, got {depths} and {widths}"
            )
        if not all(1 <= depth <= MOST_BLOCKS for depth in depths):
            raise ValueError(f"`depths` must be from 1 to {MOST_BLOCKS}, got {depths}")
        if min(widths) < 1:
            raise ValueError(f"`widths` must be at least 1, got {widths}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd so that it has a centre, got {kernel}")
        if patch < 1:
            raise ValueError(f"`patch` must be at least 1, got {patch}")
        smaller = patch * 2 ** (len(depths) - 1)
        if window < 1 or window % smaller:
            fitting = smaller * max(1, math.ceil(window / smaller))
            raise ValueError(
                f"`window` must be a multiple of {smaller}, what patches and stages divide by, "
                f"got {window}; the next is {fitting}"
            )
        super().__init__(
            {
                "in_channels": in_channels,
                "out_channels": out_channels,
                "window": window,
                "patch": patch,
                "depths": depths,
                "widths": widths,
                "kernel": kernel,
                "layer_scale": layer_scale,
            },
            window=window,
            in_channels=in_channels,
            out_channels=out_channels,
        )
        self.trunk = _trunk(in_channels, patch, depths, widths, kernel, layer_scale)
        self.head = nn.Conv3d(widths[-1], out_channels, window // smaller)
        self.apply(_initialise)


class ConvNeXtBlock(nn.Module):
    r"""$x + s \odot W_2\, \mathrm{GELU}(W_1\, \mathrm{LN}(K * x))$.

    $K$ looks at each channel on its own, $W_1$ and $W_2$ at each voxel on its own, with four times
    the channels in between; $s$ scales each channel.
    """

    def __init__(self, channels: int, kernel: int, layer_scale: float) -> None:
        super().__init__()
        self.look = nn.Conv3d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.mix = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )
        self.scale = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, features: Features) -> Features:
        seen = self.look(features).movedim(1, -1)
        return features + (self.scale * self.mix(self.norm(seen))).movedim(-1, 1)


def _trunk(
    in_channels: int,
    patch: int,
    depths: Sequence[int],
    widths: Sequence[int],
    kernel: int,
    layer_scale: float,
) -> nn.Sequential:
    """Patches, then stages of blocks with a halving in between."""
    patches = nn.Conv3d(in_channels, widths[0], patch, patch)
    parts = [nn.Sequential(patches, ChannelNorm(widths[0]))]
    for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if index:
            narrow = widths[index - 1]
            parts.append(nn.Sequential(ChannelNorm(narrow), nn.Conv3d(narrow, width, 2, 2)))
        blocks = [ConvNeXtBlock(width, kernel, layer_scale) for _ in range(depth)]
        parts.append(nn.Sequential(*blocks))
    return nn.Sequential(*parts)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv3d | nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
