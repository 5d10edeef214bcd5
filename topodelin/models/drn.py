"""DRN: a dilated residual network that never becomes smaller than an eighth of the image.

    image --[0]--[1]--[2, /2]--[3, /2]--[4, /2]--[5, d 2]--[6, d 4]--[7, d 2]--[8]--> 1/8
                 conv          |        residual blocks             convolutions
                              1/4

Where a ResNet steps over voxels, layers 5 and 6 spread their taps (d voxels apart). A pattern of
isolated points that wide taps leave behind is smoothed by layers 7 and 8, plain convolutions with
ever closer taps.

The names of the weights are those of the published program.

References:
    F. Yu, V. Koltun, T. Funkhouser. Dilated residual networks. CVPR 2017. arXiv:1705.09914.

Departures: no classifier; volumes; weights start as `initialise` says.
"""

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.models.blocks import CONV, NORM, initialise
from topodelin.models.resnet import BasicBlock, Bottleneck

BLOCKS = {22: (2, 2, 2, 2), 38: (3, 4, 6, 3), 54: (3, 4, 6, 3), 105: (3, 4, 23, 3)}
WIDTHS = (4, 8, 16, 32)  # of layers 3 to 6, in units of `base`
STRIDES, DILATIONS = (2, 2, 1, 1), (1, 1, 2, 4)


class DRN(nn.Module):
    """The trunk of a DRN-D: an image becomes a map of a quarter and one of an eighth of its size.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels: of the image.
        depth: 22 or 38 with two convolutions a block; 54 or 105 with bottlenecks of three.
        base: channels of the first layer.

    Attributes:
        channels: of the two maps.
        strides: voxels of the image a voxel of each map; voxel `i` lies at `i * stride`.
    """

    channels: tuple[int, int]
    strides = (4, 8)

    def __init__(
        self, dims: int = 2, in_channels: int = 3, *, depth: int = 54, base: int = 16
    ) -> None:
        super().__init__()
        for name, value, known in (("dims", dims, CONV), ("depth", depth, BLOCKS)):
            if value not in known:
                listed = ", ".join(map(str, known))
                raise ValueError(f"`{name}` must be one of {listed}, got {value!r}")
        if base < 1:
            raise ValueError(f"`base` must be at least 1, got {base}")
        block = Bottleneck if depth >= 54 else BasicBlock

        def conv(given: int, wanted: int, kernel: int, stride: int, rate: int) -> nn.Sequential:
            around = rate * (kernel // 2)
            return nn.Sequential(
                CONV[dims](given, wanted, kernel, stride, around, dilation=rate, bias=False),
                NORM["batch"][dims](wanted),
                nn.ReLU(inplace=True),
            )

        layers = [
            conv(in_channels, base, 7, 1, 1),
            conv(base, base, 3, 1, 1),
            conv(base, 2 * base, 3, 2, 1),
        ]
        given = 2 * base
        for count, width, stride, dilation in zip(
            BLOCKS[depth], WIDTHS, STRIDES, DILATIONS, strict=True
        ):
            blocks = []
            for position in range(count):
                step = 1 if position else stride
                blocks.append(block(given, width * base, dims=dims, stride=step, dilation=dilation))
                given = width * base * block.expansion
            layers.append(nn.Sequential(*blocks))
        layers += [conv(given, 32 * base, 3, 1, 2), conv(32 * base, 32 * base, 3, 1, 1)]
        for index, layer in enumerate(layers):
            self.add_module(f"layer{index}", layer)
        self.channels = (WIDTHS[0] * base * block.expansion, 32 * base)
        initialise(self)

    def forward(
        self, images: Float[Tensor, "batch channel_in *space"]
    ) -> list[Float[Tensor, "batch _ *_"]]:
        """What layers 3 and 8 make of the images; sizes are rounded up."""
        features, maps = images, []
        for name, layer in self.named_children():
            features = layer(features)
            if name in ("layer3", "layer8"):
                maps.append(features)
        return maps
