"""2D-3D+3x3x3: a U-Net that looks within slices, and a small pyramid that looks across them.

    volume --[U-Net, mostly 1x3x3]--> features --+--[1x1x1]--> "aux2d"
                                                 |               |
                                                 +---(concat)<---+
                                                        |
              +----[3x3x3 x3]------------------(+)<-----+
              |                                 ^       |
           [1x1x1]                              |     pool
              |           [up]--[1x1x1]--[3x3x3 x5]<----+
              v
            "main"

Volumes of few, thick slices hold most of their detail within the slices: pools are 1x2x2, so that
any depth will do. The first convolution of each outer block of the U-Net is 3x3x3; the "2-D"
prediction is trained by a loss of its own and shown to the pyramid.

References:
    M. Guay, Z. Emam, A. Anderson, M. Aronova, I. Pokrovskaya, B. Storrie, R. Leapman. Dense
    cellular segmentation for EM using 2D-3D neural network ensembles. Scientific Reports 11:2561,
    2021.
    X. Glorot, Y. Bengio. Understanding the difficulty of training deep feedforward neural networks.
    AISTATS 2010. (The weights at the start.)

Departures: predictions are raw logits by default, where the published ones pass a ReLU, which
gives a class below 0 no gradient; sizes are multiples of 8 by default, as the published 300 to 296
voxels shifts skipped features against those that came up (see `crop`).
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.blocks import POOL, ConvBlock, centre_crop, up_convolution
from topodelin.models.network import Network

Maps = Float[Tensor, "batch channel_out z *plane"]

FLAT, DEEP, HALVE = (1, 3, 3), (3, 3, 3), (1, 2, 2)
HALVINGS = 3
LOOKS = (3, 3, 2)  # convolutions of the blocks of each level, on the way down and on the way up
BOTTOM, FINE, COARSE = 2, 3, 5  # convolutions at the bottom, and of the pyramid's two scales


class Hybrid2D3D(Network):
    """The hybrid network: 10,267,022 weights for one channel and 7 classes.

    The output is a dict, "main" and "aux2d", the prediction of the 2-D part. The published loss is
    that of "main" plus 0.33 times that of "aux2d"; with 0 it is the ablation "No Multi-Loss". The
    weights are named `flat.*`, `pyramid.*` and `predictors.*`, the three groups of the published
    weight decay.

    Args:
        in_channels, out_channels: of the volume; and the classes.
        base: channels of the first convolution; every other width is a multiple of it.
        deep: False looks within slices also where the U-Net would look across: the ablation "No
            3x3x3", 9,916,238 weights.
        pyramid: False leaves the pyramid out: "No 3D Pyramid", 7,882,311 weights. The output is
            then a single tensor, that of the 2-D part.
        relu_logits: pass the predictions through a ReLU, as published.
        crop: 0 to 7 voxels by which height and width exceed a multiple of 8; the pools drop them
            at the far side, the map is smaller by as many, and what is skipped is cropped around
            its centre, up to half of them away from what comes up. 4 for the published 300 to 296.
    """

    heads: tuple[str, ...]

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        base: int = 32,
        deep: bool = True,
        pyramid: bool = True,
        relu_logits: bool = False,
        crop: int = 0,
    ) -> None:
        if base < 1:
            raise ValueError(f"`base` must be at least 1, got {base}")
        if not 0 <= crop < 2**HALVINGS:
            raise ValueError(f"`crop` must be 0 to {2**HALVINGS - 1}, got {crop}")
        divisor = 2**HALVINGS
        across, within = _reach(deep, pyramid)
        super().__init__(
            {
                "in_channels": in_channels,
                "out_channels": out_channels,
                "base": base,
                "deep": deep,
                "pyramid": pyramid,
                "relu_logits": relu_logits,
                "crop": crop,
            },
            dims=3,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=(1, divisor, divisor),
            remainder=(0, crop, crop),
            shrink=(0, crop, crop),
            reach=(across, within + crop, within + crop),
        )
        self.heads = ("main", "aux2d") if pyramid else ("main",)
        self.flat = FlatUNet(in_channels, base, kernel=DEEP if deep else FLAT)
        width = self.flat.out_channels
        # The main prediction is the last of the network's weights.
        predictors = {name: nn.Conv3d(width, out_channels, 1) for name in reversed(self.heads)}
        if pyramid:
            self.pyramid = Pyramid(width + out_channels, width)
        self.predictors = nn.ModuleDict(predictors)
        self.final = nn.ReLU() if relu_logits else nn.Identity()
        self.apply(_initialise)

    def forward(self, images: Shaped[Tensor, "batch channel_in *space"]) -> Maps | dict[str, Maps]:
        self.check_images(images)
        features = self.flat(images)
        if len(self.heads) == 1:
            return self.final(self.predictors["main"](features))
        flat = self.final(self.predictors["aux2d"](features))
        deep = self.pyramid(torch.cat((features, flat), dim=1))
        return {"main": self.final(self.predictors["main"](deep)), "aux2d": flat}


class FlatUNet(nn.Module):
    """The 2-D part: a U-Net of three halvings within slices.

    A block of the two outer levels begins with a convolution of half its channels, which may look
    across slices; the up-convolution before such a block gives as few.

    Args:
        kernel: of those first convolutions.
    """

    def __init__(self, in_channels: int, base: int, *, kernel: tuple[int, int, int]) -> None:
        super().__init__()
        self.out_channels = 2 * base
        width = [2 * base, 4 * base, 8 * base, 16 * base]
        half = [base, 2 * base]
        self.down = nn.ModuleList(
            (
                _outer_block(in_channels, half[0], width[0], kernel),
                _outer_block(width[0], half[1], width[1], kernel),
                _convolutions(width[1], width[2], 2),
                _convolutions(width[2], width[3], BOTTOM),
            )
        )
        self.pool = POOL[3](HALVE)
        self.ups = nn.ModuleList(
            (_up(width[1], half[0]), _up(width[2], half[1]), _up(width[3], width[2]))
        )
        self.up = nn.ModuleList(
            (
                _outer_block(width[0] + half[0], half[0], width[0], kernel),
                _outer_block(width[1] + half[1], half[1], width[1], kernel),
                _convolutions(2 * width[2], width[2], 2),
            )
        )

    def forward(
        self, images: Float[Tensor, "batch channel_in z *plane_in"]
    ) -> Float[Tensor, "batch channel_out z *plane_out"]:
        features, skips = self.down[0](images), []
        for block in self.down[1:]:
            skips.append(features)
            features = block(self.pool(features))
        for up, block in zip(reversed(self.ups), reversed(self.up), strict=True):
            features = up(features)
            skip = centre_crop(skips.pop(), features.shape[2:])
            features = block(torch.cat((skip, features), dim=1))
        return features


class Pyramid(nn.Module):
    """The 3-D part: the sum of what three convolutions see, and five at half the resolution."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.fine = _convolutions(in_channels, width, FINE, DEEP)
        self.coarse = nn.Sequential(
            POOL[3](HALVE),
            _convolutions(in_channels, 2 * width, COARSE, DEEP),
            _convolutions(2 * width, width, 1, (1, 1, 1)),
            _up(width, width),
        )

    def forward(
        self, features: Float[Tensor, "batch channel_in z y x"]
    ) -> Float[Tensor, "batch channel_out z y x"]:
        return self.fine(features) + self.coarse(features)


def _convolutions(
    in_channels: int, out_channels: int, number: int, kernel: tuple[int, int, int] = FLAT
) -> ConvBlock:
    return ConvBlock(
        in_channels, out_channels, dims=3, kernel=kernel, convolutions=number, norm="none"
    )


def _outer_block(
    in_channels: int, half: int, out_channels: int, kernel: tuple[int, int, int]
) -> nn.Sequential:
    first = _convolutions(in_channels, half, 1, kernel)
    return nn.Sequential(first, _convolutions(half, out_channels, 2))


def _up(in_channels: int, out_channels: int) -> nn.Module:
    return up_convolution(in_channels, out_channels, dims=3, stride=HALVE, kernel=HALVE)


def _reach(deep: bool, pyramid: bool) -> tuple[int, int]:
    """Voxels on one side that matter, across slices and within, whatever the place in a pool."""
    within = BOTTOM
    for looks in reversed(LOOKS):
        within = 2 * looks + 1 + 2 * within
    across = 4 * deep  # one convolution in each of the four outer blocks
    return across + COARSE * pyramid, within + (1 + 2 * COARSE) * pyramid


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
