r"""ResNet: layers that learn what to add to their input; the trunk of other networks.

    image --[conv 7, /2]-- stem --pool, /2--[layer 1]--[layer 2, /2]--[layer 3, /2]--[layer 4, /2]
                            |                   |           |              |              |
                          1/2                 1/4         1/8            1/16           1/32

A layer is a row of blocks, each $\max(0, f(x) + s(x))$ with $f$ a few convolutions and $s$ the
identity, where sizes and channels stay, or a shortcut. A smaller output stride keeps the maps of
the last layers larger: their convolutions, instead of stepping over voxels, spread their taps.

The names of the weights are those of torchvision and MedicalNet, whose files can be loaded
(`load_pretrained`).

References:
    K. He, X. Zhang, S. Ren, J. Sun. Deep residual learning for image recognition. CVPR 2016.
    arXiv:1512.03385.
    S. Chen, K. Ma, Y. Zheng. Med3D: transfer learning for 3D medical image analysis. 2019.
    arXiv:1904.00625. (Volumes, dilated layers: the networks of MedicalNet.)
    L.-C. Chen, G. Papandreou, F. Schroff, H. Adam. Rethinking atrous convolution for semantic image
    segmentation. 2017. arXiv:1706.05587. (The multi-grid.)

Departures: a bottleneck steps in its convolution of kernel 3, as the programs do, not in the first
one; no classifier; weights start as `initialise` says.
"""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from topodelin.models.blocks import CONV, NORM, POOL, initialise

Shortcut = Literal["A", "B"]

BLOCKS = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
}
LAYOUT = {  # output stride -> strides and dilations of the four layers
    32: ((1, 2, 2, 2), (1, 1, 1, 1)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
}


class ResNet(nn.Module):
    """The trunk of a residual network; from an image to five maps, each coarser or deeper.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels: of the image.
        depth: 10, 18 or 34 with two convolutions a block; 50 or 101 with bottlenecks of three.
        base: channels of the stem; the layers hold 1, 2, 4 and 8 times as many, and four times
            that with bottlenecks.
        shortcut: where a block changes size or channels, "B" projects its input by a convolution
            of kernel 1 and normalises; "A" takes every second voxel and fills up with channels of
            zeros, without weights. MedicalNet's 18 and 34 have "A", all other programs "B".
        output_stride: 32, or 16 or 8 with dilated last layers; 8 is MedicalNet's.
        multi_grid: factors on the dilation, one for each block of the last layer; (1, 2, 4) in
            DeepLab.
        frozen: the weights learn nothing, and the statistics of the normalisation stay as they
            are, also in training.

    Attributes:
        channels: of the five maps.
        strides: voxels of the image a voxel of each map; voxel `i` lies at `i * stride`.
        reaches: voxels of the image on either side that each map depends on.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    reaches: tuple[int, ...]
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        dims: int = 2,
        in_channels: int = 3,
        *,
        depth: int = 34,
        base: int = 64,
        shortcut: Shortcut = "B",
        output_stride: int = 32,
        multi_grid: Sequence[int] = (),
        frozen: bool = False,
    ) -> None:
        super().__init__()
        _check(dims, depth, base, shortcut, output_stride, multi_grid)
        self.frozen = frozen
        self.conv1 = CONV[dims](in_channels, base, 7, stride=2, padding=3, bias=False)
        self.bn1 = NORM["batch"][dims](base)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = POOL[dims](3, stride=2, padding=1)

        block = Bottleneck if depth >= 50 else BasicBlock
        given, channels, strides, reaches = base, [base], [2], [3]
        step, reach = 4, 3 + 2  # behind the pooling
        for index, (count, stride, dilation) in enumerate(
            zip(BLOCKS[depth], *LAYOUT[output_stride], strict=True)
        ):
            grid = multi_grid if multi_grid and index == 3 else (1,) * count
            layer = []
            for position, factor in enumerate(grid):
                built = block(
                    given,
                    base * 2**index,
                    dims=dims,
                    stride=1 if position else stride,
                    dilation=dilation * factor,
                    shortcut=shortcut,
                )
                reach += step * built.reach
                step *= 1 if position else stride
                given = base * 2**index * block.expansion
                layer.append(built)
            self.add_module(f"layer{index + 1}", nn.Sequential(*layer))
            channels.append(given)
            strides.append(step)
            reaches.append(reach)
        self.channels, self.strides = tuple(channels), tuple(strides)
        self.reaches = tuple(reaches)
        initialise(self)
        if frozen:
            self.requires_grad_(False).eval()

    def forward(
        self, images: Float[Tensor, "batch channel_in *space"]
    ) -> list[Float[Tensor, "batch _ *_"]]:
        """The stem and the four layers, in that order; sizes are rounded up."""
        maps = [self.relu(self.bn1(self.conv1(images)))]
        features = self.maxpool(maps[0])
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
            maps.append(features)
        return maps

    def train(self, mode: bool = True) -> "ResNet":
        return super().train(mode and not self.frozen)


class BasicBlock(nn.Module):
    """Two convolutions of kernel 3 and a shortcut around them; the first one steps.

    Attributes:
        reach: voxels of its input on either side that an output depends on.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        dims: int,
        stride: int = 1,
        dilation: int = 1,
        shortcut: Shortcut = "B",
    ) -> None:
        super().__init__()
        self.reach = dilation * (1 + stride)
        self.conv1 = _conv(in_channels, width, 3, dims=dims, stride=stride, dilation=dilation)
        self.bn1 = NORM["batch"][dims](width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(width, width, 3, dims=dims, dilation=dilation)
        self.bn2 = NORM["batch"][dims](width)
        self.downsample = _shortcut(in_channels, width, dims=dims, stride=stride, kind=shortcut)

    def forward(
        self, features: Float[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        inner = self.relu(self.bn1(self.conv1(features)))
        return self.relu(self.bn2(self.conv2(inner)) + self.downsample(features))


class Bottleneck(nn.Module):
    """A convolution of kernel 3 between two of kernel 1, of which the last widens fourfold.

    Attributes:
        reach: voxels of its input on either side that an output depends on.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        dims: int,
        stride: int = 1,
        dilation: int = 1,
        shortcut: Shortcut = "B",
    ) -> None:
        super().__init__()
        self.reach = dilation
        wide = width * self.expansion
        self.conv1 = _conv(in_channels, width, 1, dims=dims)
        self.bn1 = NORM["batch"][dims](width)
        self.conv2 = _conv(width, width, 3, dims=dims, stride=stride, dilation=dilation)
        self.bn2 = NORM["batch"][dims](width)
        self.conv3 = _conv(width, wide, 1, dims=dims)
        self.bn3 = NORM["batch"][dims](wide)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, wide, dims=dims, stride=stride, kind=shortcut)

    def forward(
        self, features: Float[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        return self.relu(self.bn3(self.conv3(inner)) + self.downsample(features))


class PaddedShortcut(nn.Module):
    """Every `stride`-th voxel, with channels of zeros behind: the shortcut without weights."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(
        self, features: Float[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        axes = features.ndim - 2
        taken = features[(..., *(slice(None, None, self.stride),) * axes)]
        return functional.pad(taken, (0, 0) * axes + (0, self.extra))


def _shortcut(given: int, wanted: int, *, dims: int, stride: int, kind: Shortcut) -> nn.Module:
    if stride == 1 and given == wanted:
        return nn.Identity()
    if kind == "A":
        return PaddedShortcut(wanted - given, stride)
    return nn.Sequential(
        _conv(given, wanted, 1, dims=dims, stride=stride), NORM["batch"][dims](wanted)
    )


def _conv(
    given: int, wanted: int, kernel: int, *, dims: int, stride: int = 1, dilation: int = 1
) -> nn.Module:
    around = dilation * (kernel // 2)
    return CONV[dims](
        given, wanted, kernel, stride=stride, padding=around, dilation=dilation, bias=False
    )


def _check(
    dims: int, depth: int, base: int, shortcut: str, output_stride: int, multi_grid: Sequence[int]
) -> None:
    for name, value, known in (
        ("dims", dims, CONV),
        ("depth", depth, BLOCKS),
        ("shortcut", shortcut, ("A", "B")),
        ("output_stride", output_stride, LAYOUT),
    ):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {', '.join(map(str, known))}, got {value!r}")
    if base < 1:
        raise ValueError(f"`base` must be at least 1, got {base}")
    count = BLOCKS[depth][3]
    if multi_grid and (len(multi_grid) != count or min(multi_grid) < 1):
        raise ValueError(
            f"`multi_grid` must be {count} factors of at least 1, one for each block of the last "
            f"layer of depth {depth}, or none, got {tuple(multi_grid)}"
        )
