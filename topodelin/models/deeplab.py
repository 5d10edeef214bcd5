"""DeepLab v3+: a dilated trunk, its map seen at several widths, and a few fine features.

    image --[trunk]-- 1/16 or 1/8 --[ASPP]--[linear]--(+)--[conv]--[conv]--[1x1]--[linear]--> map
                |                                      ^
                +-- 1/4 --[1x1, 48 channels]-----------+

(+) lays the fine features behind the others; "linear" interpolates. The trunk is a ResNet-101
(output stride 16) or a DRN-D-54 (output stride 8).

References:
    L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam. Encoder-decoder with atrous separable
    convolution for semantic image segmentation. ECCV 2018. arXiv:1802.02611.
    F. Yu, V. Koltun, T. Funkhouser. Dilated residual networks. CVPR 2017. arXiv:1705.09914.
    M. Guay et al. Dense cellular segmentation for EM using 2D-3D neural network ensembles.
    Scientific Reports 2021. (The use here; its text leaves the details open.)

Departures: convolutions are not separable; volumes; images of any size, at the same places whatever
the size (`upsample`); dropout drops channels, not voxels; weights start as `initialise` says.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.aspp import ASPP
from topodelin.models.blocks import CONV, DROPOUT, NORM, initialise
from topodelin.models.drn import DRN
from topodelin.models.network import Network
from topodelin.models.resnet import ResNet
from topodelin.models.upsampling import upsample

Backbone = Literal["drn54", "resnet101"]

RATES = {"drn54": (1, 12, 24, 36), "resnet101": (1, 6, 12, 18)}


class DeepLab(Network):
    """DeepLab v3+ in 2-D and 3-D; any size, at least two images a batch in training.

    With three channels and seven classes, 59,340,711 weights on "resnet101" and 40,733,463 on
    "drn54". The trunk, `trunk`, takes pre-trained weights by name (`load_pretrained`).

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        backbone: "resnet101", whose last layer is dilated by 2, 4 and 8, or "drn54".
        base: channels of the stem; a DRN starts with a quarter of them.
        width: channels behind the trunk.
        fine: channels of the features of a quarter of the size.
        rates: of the ASPP, in voxels of the trunk's map; None = 1, 6, 12, 18 for "resnet101" and
            1, 12, 24, 36 for "drn54".
        dropout: probabilities before the last two convolutions.
        repeat: how often the trunk gets the channels of the image; 3 for grey images and a trunk
            that learnt from colours.
    """

    def __init__(
        self,
        dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        backbone: Backbone = "resnet101",
        base: int = 64,
        width: int = 256,
        fine: int = 48,
        rates: Sequence[int] | None = None,
        dropout: Sequence[float] = (0.5, 0.1),
        repeat: int = 1,
    ) -> None:
        if backbone not in RATES:
            raise ValueError(f"`backbone` must be one of {', '.join(RATES)}, got {backbone!r}")
        for name, number in (("width", width), ("fine", fine), ("repeat", repeat)):
            if number < 1:
                raise ValueError(f"`{name}` must be at least 1, got {number}")
        if len(dropout) != 2 or not all(0 <= rate < 1 for rate in dropout):
            raise ValueError(f"`dropout` must be two numbers in [0, 1), got {tuple(dropout)}")
        super().__init__(
            {
                "dims": dims,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "backbone": backbone,
                "base": base,
                "width": width,
                "fine": fine,
                "rates": rates,
                "dropout": dropout,
                "repeat": repeat,
            },
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
        )
        self.repeat = repeat
        self.trunk = _trunk(backbone, dims, in_channels * repeat, base)
        self.low = self.trunk.strides.index(4)
        self.step = self.trunk.strides[-1] // 4
        low, deep = self.trunk.channels[self.low], self.trunk.channels[-1]
        self.aspp = ASPP(
            deep, width, dims=dims, rates=rates or RATES[backbone], fuse="concat", image_pool=True
        )
        self.fine = nn.Sequential(*_layers(low, fine, 1, dims=dims))
        self.head = nn.Sequential(
            *_layers(width + fine, width, 3, dims=dims),
            DROPOUT[dims](dropout[0]),
            *_layers(width, width, 3, dims=dims),
            DROPOUT[dims](dropout[1]),
            CONV[dims](width, out_channels, 1),
        )
        for part in (self.aspp, self.fine, self.head):
            initialise(part)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space"]
    ) -> Float[Tensor, "batch channel_out *space"]:
        self.check_images(images)
        if self.training and len(images) == 1:
            raise ValueError(
                "DeepLab normalises the means of whole images over the batch, so training needs "
                "at least two `images`, got 1; take a larger batch"
            )
        maps = self.trunk(torch.cat([images] * self.repeat, dim=1))
        fine = self.fine(maps[self.low])
        wide = upsample(self.aspp(maps[-1]), self.step, fine.shape[2:])
        return upsample(self.head(torch.cat((wide, fine), dim=1)), 4, images.shape[2:])


def _trunk(backbone: Backbone, dims: int, in_channels: int, base: int) -> ResNet | DRN:
    if backbone == "drn54":
        return DRN(dims, in_channels, depth=54, base=max(1, base // 4))
    grid = (1, 2, 4)
    return ResNet(dims, in_channels, depth=101, base=base, output_stride=16, multi_grid=grid)


def _layers(given: int, wanted: int, kernel: int, *, dims: int) -> list[nn.Module]:
    return [
        CONV[dims](given, wanted, kernel, padding=kernel // 2, bias=False),
        NORM["batch"][dims](wanted),
        nn.ReLU(inplace=True),
    ]
