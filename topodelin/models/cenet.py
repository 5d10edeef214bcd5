"""CE-Net: a ResNet that gathers context where it is smallest, and a light way back.

    image --[stem, /2]--pool,/2--[layer 1]----------- skip --------> (+)[up]--[last, x2]--> map
                                     |                                ^
                                     +--[layer 2, /2]-- skip --> (+)[up]
                                              |                   ^
                                              +--[layer 3, /2]-> (+)[up]
                                                      |           ^
                                                      +--[layer 4, /2]--[DAC]--[RMP]--[up]

"up" is a `DecoderBlock`, which doubles the size; (+) adds. DAC, the dense atrous convolution, adds
four cascades of dilated convolutions to the features; RMP, the residual multi-kernel pooling, lays
a summary of four pooling widths beside them.

References:
    Z. Gu, J. Cheng, H. Fu, K. Zhou, H. Hao, Y. Zhao, T. Zhang, S. Gao, J. Liu. CE-Net: context
    encoder network for 2D medical image segmentation. IEEE Transactions on Medical Imaging 38(10),
    2019. arXiv:1903.02740.

Departures: the output is a raw map without the final sigmoid; volumes, where a pooling window wider
than the map is cut to it; weights beside the ResNet's start as `initialise` says.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from topodelin.models.batch_norm import check_batch
from topodelin.models.blocks import CONV, NORM, initialise, up_convolution
from topodelin.models.network import Network
from topodelin.models.resnet import ResNet

WINDOWS = (2, 3, 5, 6)
LINEAR = {2: "bilinear", 3: "trilinear"}
MAX_POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}


class CENet(Network):
    """The context encoder network, in 2-D and 3-D; sizes are multiples of 32.

    The published arguments, `CENet(2, in_channels=3)`, make 29,003,093 weights; `CENet(3)` has
    85,857,447. The trunk is a [`ResNet`][] of depth 34; weights that it learnt elsewhere come in by
    `load_pretrained(network, file, renamed={"": "trunk."})`.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        base: channels of the stem; the layers hold 1, 2, 4 and 8 times as many.
        windows: sizes of the poolings at the bottom, a 32nd of the image in size: 14 voxels
            a side at the published 448, 3 in a volume of 96.
        frozen: the trunk learns nothing: a fixed extractor of features.

    In training, a batch of one image of 32 voxels a side is refused.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        base: int = 64,
        windows: Sequence[int] = WINDOWS,
        frozen: bool = False,
    ) -> None:
        if base < 4:
            raise ValueError(f"`base` must be at least 4, got {base}")
        super().__init__(
            {
                "dims": dims,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "base": base,
                "windows": windows,
                "frozen": frozen,
            },
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=32,
        )
        self.trunk = ResNet(dims, in_channels, depth=34, base=base, frozen=frozen)
        wide = 8 * base
        self.context = nn.Sequential(
            DenseAtrousConvolution(wide, dims=dims),
            ResidualMultiPooling(wide, dims=dims, windows=windows),
        )
        self.up = nn.ModuleList(
            DecoderBlock(given, out, dims=dims)
            for given, out in (
                (wide + len(windows), 4 * base),
                (4 * base, 2 * base),
                (2 * base, base),
                (base, base),
            )
        )
        half, two = base // 2, (2,) * dims
        self.last = nn.Sequential(
            up_convolution(base, half, dims=dims, stride=two, kernel=(4,) * dims),
            nn.ReLU(inplace=True),
            CONV[dims](half, half, 3, padding=1),
            nn.ReLU(inplace=True),
            CONV[dims](half, out_channels, 3, padding=1),
        )
        for part in (self.context, self.up, self.last):
            initialise(part)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space"]
    ) -> Float[Tensor, "batch channel_out *space"]:
        self.check_images(images)
        check_batch(self, images)
        _, *skips, features = self.trunk(images)  # layers 1 to 3, a 4th to a 16th; layer 4, a 32nd
        features = self.up[0](self.context(features))
        for skip, up in zip(reversed(skips), self.up[1:], strict=True):
            features = up(features + skip)
        return self.last(features)


class DenseAtrousConvolution(nn.Module):
    r"""Four cascades of dilated convolutions, ever longer, added to what they are given.

    With $c_r$ a convolution of kernel 3 and rate $r$, and $p$ one of kernel 1,

    $x + \rho(c_1 x) + \rho(p\,c_3 x) + \rho(p\,c_3 c_1 x) + \rho(p\,c_5 c_3 c_1 x)$

    where $\rho$ is the ReLU. Each of the four convolutions is one set of weights, wherever it
    stands. The cascades see 3, 7, 9 and 19 voxels.
    """

    def __init__(self, channels: int, *, dims: int) -> None:
        super().__init__()

        def conv(rate: int) -> nn.Module:
            return CONV[dims](channels, channels, 3, padding=rate, dilation=rate)

        self.near, self.middle, self.far = conv(1), conv(3), conv(5)
        self.point = CONV[dims](channels, channels, 1)

    def forward(
        self, features: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        near = self.near(features)
        both = self.middle(near)
        seen = (self.middle(features), both, self.far(both))
        return features + sum((self.point(s).relu() for s in seen), near.relu())


class ResidualMultiPooling(nn.Module):
    """Maxima over windows of several sizes, one channel each, beside the features themselves.

    The windows do not overlap; those that the far border cuts off are left out. One convolution of
    kernel 1, to one channel, serves all sizes; its maps are interpolated linearly to the size of
    the features and laid after them. A window longer than an axis is as long as the axis.
    """

    def __init__(self, channels: int, *, dims: int, windows: Sequence[int] = WINDOWS) -> None:
        super().__init__()
        if not windows or min(windows) < 1:
            raise ValueError(f"`windows` must be sizes of at least 1, got {windows}")
        self.dims, self.windows = dims, tuple(windows)
        self.summary = CONV[dims](channels, 1, 1)

    def forward(
        self, features: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch channel_more *space"]:
        size = features.shape[2:]
        seen = [features]
        for window in self.windows:
            pooled = MAX_POOL[self.dims](features, [min(window, length) for length in size])
            summary = self.summary(pooled)
            seen.append(functional.interpolate(summary, size=size, mode=LINEAR[self.dims]))
        return torch.cat(seen, dim=1)


class DecoderBlock(nn.Sequential):
    """Doubles the size in a quarter of the channels: 1x1, transposed convolution of 3, 1x1.

    Batch normalisation and ReLU follow each.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dims: int) -> None:
        quarter, two = in_channels // 4, (2,) * dims
        layers: list[nn.Module] = []
        for conv, channels in (
            (CONV[dims](in_channels, quarter, 1), quarter),
            (up_convolution(quarter, quarter, dims=dims, stride=two, kernel=(3,) * dims), quarter),
            (CONV[dims](quarter, out_channels, 1), out_channels),
        ):
            layers += [conv, NORM["batch"][dims](channels), nn.ReLU(inplace=True)]
        super().__init__(*layers)

    def forward(
        self, input: Float[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        return super().forward(input)
