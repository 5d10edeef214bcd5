"""A U-Net whose way down is a ResNet, which may have learnt elsewhere.

    image --[stem, /2]------------- skip ---------------> (+)[block 3]--x2--[block 4]--[head]--> map
                |                                      x2  ^
                +--pool--[layer 1]----- skip --> (+)[block 2]
                             |               x2   ^
                             +--[layer 2]-> (+)[block 1]
                                    |   x2   ^
                                    +--[layer 3]--> (+)[block 0]
                                           |     x2  ^
                                           +--[layer 4]

x2 repeats every voxel; (+) lays the channels of the skip before those that came up. A block is two
convolutions, each with batch normalisation and ReLU.

References:
    O. Ronneberger, P. Fischer, T. Brox. U-Net: convolutional networks for biomedical image
    segmentation. MICCAI 2015. arXiv:1505.04597.
    K. He, X. Zhang, S. Ren, J. Sun. Deep residual learning for image recognition. CVPR 2016.
    arXiv:1512.03385.
    S. Chen, K. Ma, Y. Zheng. Med3D: transfer learning for 3D medical image analysis. 2019.
    arXiv:1904.00625. (The trunk of the volumes.)

Departures: the trunk steps in layers 3 and 4, where MedicalNet dilates: its weights fit, but they
learnt at another spacing of the taps. Weights start as `initialise` says.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from topodelin.models.batch_norm import check_batch
from topodelin.models.blocks import CONV, NORM, initialise
from topodelin.models.network import Network
from topodelin.models.resnet import ResNet, Shortcut

WIDTHS = (256, 128, 64, 32, 16)


class ResNetUNet(Network):
    """A U-Net on a ResNet, in 2-D and 3-D; sizes are multiples of 32.

    The trunk, `trunk`, takes pre-trained weights by name (`load_pretrained`). Weights of
    torchvision expect three colours, each less its mean and over its deviation: a grey image of
    mean 0 and deviation 1, three times, is as near as it gets.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        depth, base, shortcut, frozen: of the trunk, see [`ResNet`][].
        widths: channels of the blocks on the way up, the coarsest first.
        repeat: how often the trunk gets the channels of the image; 3 for grey images and a trunk
            that learnt from colours.
        squeeze: halve the channels that come up by a convolution of kernel 1 before the skip is
            laid before them.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        depth: int = 34,
        base: int = 64,
        shortcut: Shortcut = "B",
        widths: Sequence[int] = WIDTHS,
        repeat: int = 1,
        squeeze: bool = False,
        frozen: bool = False,
    ) -> None:
        if len(widths) != 5 or min(widths) < 1:
            raise ValueError(f"`widths` must be 5 numbers of at least 1, got {tuple(widths)}")
        if repeat < 1:
            raise ValueError(f"`repeat` must be at least 1, got {repeat}")
        super().__init__(
            {
                "dims": dims,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "depth": depth,
                "base": base,
                "shortcut": shortcut,
                "widths": widths,
                "repeat": repeat,
                "squeeze": squeeze,
                "frozen": frozen,
            },
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=32,
        )
        self.repeat = repeat
        self.trunk = trunk = ResNet(
            dims, in_channels * repeat, depth=depth, base=base, shortcut=shortcut, frozen=frozen
        )
        # On the way up each level adds its repeated voxel and two convolutions; then the head.
        self.reach = (float(trunk.reaches[-1] + 3 * (16 + 8 + 4 + 2 + 1) + 1),) * dims
        skips = (*reversed(trunk.channels[:-1]), 0)
        self.up = nn.ModuleList(
            UpBlock(given, skip, wanted, dims=dims, squeeze=squeeze)
            for (given, wanted), skip in zip(
                pairwise((trunk.channels[-1], *widths)), skips, strict=True
            )
        )
        self.head = CONV[dims](widths[-1], out_channels, 3, padding=1)
        for part in (self.up, self.head):
            initialise(part)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space"]
    ) -> Float[Tensor, "batch channel_out *space"]:
        self.check_images(images)
        if not self.trunk.frozen:
            check_batch(self, images)
        *skips, features = self.trunk(torch.cat([images] * self.repeat, dim=1))
        for up in self.up:
            features = up(features, skips.pop() if skips else None)
        return self.head(features)

    @classmethod
    def frozen_2d(cls, *, in_channels: int = 1, out_channels: int = 1) -> "ResNetUNet":
        """ResNet-34 that learns nothing, for images of one or three channels.

        24,436,369 weights, of which 3,151,697 learn.
        """
        return cls(2, in_channels, out_channels, repeat=3 // in_channels, frozen=True)

    @classmethod
    def distance_3d(
        cls, *, depth: int = 18, shortcut: Shortcut = "A", out_channels: int = 1
    ) -> "ResNetUNet":
        """The volume-to-distance-map network on a trunk of MedicalNet: 40,261,777 weights.

        MedicalNet's depth 34 also has shortcut "A" (70,571,409 weights); 10 and 50 have "B"
        (21,631,121 and 67,673,233).
        """
        return cls(3, 1, out_channels, depth=depth, shortcut=shortcut, squeeze=True)


class UpBlock(nn.Module):
    """Twice the size, the skip before it, two convolutions of kernel 3."""

    def __init__(
        self, in_channels: int, skip: int, out_channels: int, *, dims: int, squeeze: bool
    ) -> None:
        super().__init__()
        # Without a skip there is nothing to make room for.
        narrow = squeeze and skip > 0
        up = in_channels // 2 if narrow else in_channels
        self.squeeze = CONV[dims](in_channels, up, 1) if narrow else nn.Identity()
        layers: list[nn.Module] = []
        for given in (up + skip, out_channels):
            layers += [
                CONV[dims](given, out_channels, 3, padding=1, bias=False),
                NORM["batch"][dims](out_channels),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers)

    def forward(
        self,
        features: Float[Tensor, "batch channel_in *space_in"],
        skip: Float[Tensor, "batch channel_skip *space_out"] | None,
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        up = functional.interpolate(self.squeeze(features), scale_factor=2.0, mode="nearest")
        return self.body(up if skip is None else torch.cat((skip, up), dim=1))
