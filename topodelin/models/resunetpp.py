"""ResUNet++: a residual U-Net that weighs channels, looks wide, and gates what comes up.

    image --[unit 0]---------------------- skip ---------------> (+)[unit 0]--[ASPP]--[head]--> map
                |                                       gate, up  ^
                +--[unit 1, /2]----------- skip ------> (+)[unit 1]
                       |                       gate, up  ^
                       +--[unit 2, /2]---- skip -> (+)[unit 2]
                              |           gate, up  ^
                              +--[unit 3, /2]--[ASPP]

A unit is a `ResidualUnit` and a `SqueezeExcite`; the gate weighs the features of the coarser level
by what the skipped ones show; "up" repeats each voxel along every axis; (+) lays the channels that
came up before the skipped ones.

References:
    D. Jha, P. H. Smedsrud, M. A. Riegler, D. Johansen, T. de Lange, P. Halvorsen, H. D. Johansen.
    ResUNet++: an advanced architecture for medical image segmentation. IEEE International Symposium
    on Multimedia 2019. arXiv:1911.07067.

Departures: the output is a raw map without the final sigmoid; volumes; weights start as
`initialise` says. The gate is that of the published program, one value for each channel and voxel.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.aspp import ASPP
from topodelin.models.batch_norm import check_batch
from topodelin.models.blocks import CONV, POOL, initialise
from topodelin.models.network import Network
from topodelin.models.residual import ResidualUnit, SqueezeExcite, norm_relu_conv


class ResUNetPlusPlus(Network):
    """The ResUNet++, in 2-D and 3-D; sizes are multiples of 8.

    The published arguments, `ResUNetPlusPlus.published_2d()`, make 4,062,993 weights;
    `ResUNetPlusPlus.volume_3d()` has 11,882,737.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        base: channels of the finest level; levels hold 1, 2, 4 and 8 times as many, the wide view
            at the bottom 16 times.
        rates: spacing of the taps of both wide views, in voxels of their level. The bottom is an
            eighth of the image in size: of the published 1, 6, 12, 18, a volume of 96 voxels a
            side (12 at the bottom) has use for two.
        reduction: of the channels inside squeeze-and-excitation.

    In training, a batch of one image of 8 voxels a side is refused.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        base: int = 16,
        rates: Sequence[int] = (1, 2, 3, 4),
        reduction: int = 8,
    ) -> None:
        for name, value in (("base", base), ("reduction", reduction)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}")
        super().__init__(
            {
                "dims": dims,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "base": base,
                "rates": rates,
                "reduction": reduction,
            },
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=8,
        )

        def unit(given: int, out: int, *, stride: int = 1, first: bool = False) -> nn.Sequential:
            return nn.Sequential(
                ResidualUnit(given, out, dims=dims, stride=stride, pre_activation=not first),
                SqueezeExcite(out, dims=dims, reduction=reduction),
            )

        width = [base, 2 * base, 4 * base, 8 * base]
        self.first = unit(in_channels, base, first=True)
        self.down = nn.ModuleList(unit(c, 2 * c, stride=2) for c in width[:-1])
        self.bottom = ASPP(width[-1], 2 * width[-1], dims=dims, rates=rates, fuse="sum")
        # Each level takes 4 times the channels of its skip from below and gives twice as many.
        self.gates = nn.ModuleList(AttentionGate(c, 4 * c, dims=dims) for c in width[:-1])
        self.repeat = nn.Upsample(scale_factor=2, mode="nearest")
        self.up = nn.ModuleList(unit(5 * c, 2 * c) for c in width[:-1])
        self.tail = ASPP(2 * base, base, dims=dims, rates=rates, fuse="sum")
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
        features = self.bottom(features)
        for gate, unit in zip(reversed(self.gates), reversed(self.up), strict=True):
            skip = skips.pop()
            features = self.repeat(gate(skip, features))
            features = unit(torch.cat((features, skip), dim=1))
        return self.head(self.tail(features))

    @classmethod
    def published_2d(cls, *, out_channels: int = 1) -> "ResUNetPlusPlus":
        """The network of the paper, for colour images of 256 x 256: 4,062,993 weights."""
        return cls(2, 3, out_channels, rates=(1, 6, 12, 18))

    @classmethod
    def volume_3d(cls, *, out_channels: int = 1) -> "ResUNetPlusPlus":
        """The same in volumes, with rates that fit into 12 voxels: 11,882,737 weights."""
        return cls(3, 1, out_channels, rates=(1, 2, 3, 4))


class AttentionGate(nn.Module):
    """Weigh the features of a coarse level by a map that the finer skip helps to decide.

    `coarse * conv(pool(conv(skip)) + conv(coarse))`, each convolution behind batch normalisation
    and ReLU. The weights are the raw values of the last convolution, as published: no sigmoid
    bounds them.
    """

    def __init__(self, skip_channels: int, coarse_channels: int, *, dims: int) -> None:
        super().__init__()
        self.from_skip = nn.Sequential(
            norm_relu_conv(skip_channels, coarse_channels, dims=dims), POOL[dims](2)
        )
        self.from_coarse = norm_relu_conv(coarse_channels, coarse_channels, dims=dims)
        self.weigh = norm_relu_conv(coarse_channels, coarse_channels, dims=dims)

    def forward(
        self,
        skip: Float[Tensor, "batch channel_skip *space_twice"],
        coarse: Float[Tensor, "batch channel *space"],
    ) -> Float[Tensor, "batch channel *space"]:
        return coarse * self.weigh(self.from_skip(skip) + self.from_coarse(coarse))
