"""ResUNet: a U-Net of residual units that halves by stride instead of by pooling.

    image --[unit 0]----------------- skip ----------------> (+)[unit 0]--[head]--> map
                |                                       up   ^
                +--[unit 1, /2]------ skip -----> (+)[unit 1]
                       |                     up   ^
                       +--[unit 2, /2]- skip (+)[unit 2]
                              |         up   ^
                              +--[bottom, /2]

A unit is a `ResidualUnit`; (+) lays the channels that came up before the skipped ones; "up"
repeats each voxel along every axis and has no weights. Level i holds `base * 2**i` channels.

References:
    Z. Zhang, Q. Liu, Y. Wang. Road extraction by deep residual U-Net. IEEE Geoscience and Remote
    Sensing Letters 15(5), 2018. arXiv:1711.10684.

Departures: the output is a raw map without the final sigmoid; any number of levels, and volumes;
weights start as `initialise` says.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.batch_norm import check_batch
from topodelin.models.blocks import CONV, initialise
from topodelin.models.network import Network
from topodelin.models.residual import ResidualUnit

MOST_HALVINGS = 8  # 2**8 voxels a side for one value at the bottom: beyond it lies a mistake


class ResUNet(Network):
    """The deep residual U-Net, in 2-D and 3-D.

    The published arguments, `ResUNet(2, in_channels=3)`, make 8,223,809 weights;
    `ResUNet(3)` has 23,780,289.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        base: channels of the finest level; every level below has twice as many.
        halvings: how often the size is halved; sizes are multiples of `2**halvings`.

    In training, a batch of one image that is a single voxel at the bottom is refused.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        base: int = 64,
        halvings: int = 3,
    ) -> None:
        if base < 1:
            raise ValueError(f"`base` must be at least 1, got {base}")
        if not 1 <= halvings <= MOST_HALVINGS:
            raise ValueError(f"`halvings` must be 1 to {MOST_HALVINGS}, got {halvings}")
        super().__init__(
            {
                "dims": dims,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "base": base,
                "halvings": halvings,
            },
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=2**halvings,
            reach=[_reach(halvings)] * dims,
        )
        width = [base * 2**level for level in range(halvings + 1)]
        self.first = ResidualUnit(in_channels, base, dims=dims, pre_activation=False)
        self.down = nn.ModuleList(
            ResidualUnit(width[i], width[i + 1], dims=dims, stride=2) for i in range(halvings)
        )
        self.repeat = nn.Upsample(scale_factor=2, mode="nearest")
        self.up = nn.ModuleList(
            ResidualUnit(width[i + 1] + width[i], width[i], dims=dims) for i in range(halvings)
        )
        self.head = CONV[dims](base, out_channels, 1)
        initialise(self)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space"]
    ) -> Float[Tensor, "batch channel_out *space"]:
        self.check_images(images)
        check_batch(self, images)
        features, skips = self.first(images), []
        for unit in self.down:
            skips.append(features)
            features = unit(features)  # half the size, twice the channels
        for unit in reversed(self.up):
            features = unit(torch.cat((self.repeat(features), skips.pop()), dim=1))
        return self.head(features)


def _reach(halvings: int) -> int:
    """Voxels on one side that matter, whatever the place within a voxel of the bottom.

    A level seen by its decoder unit, 2 voxels far, reaches `n` voxels of the level below. These
    are 2n of its own and, at worst, 6 more: the 2, 1 of the place in a repeated voxel, 3 of the
    strided unit. The first unit adds 2.
    """
    return 6 * (2**halvings - 1) + 2
