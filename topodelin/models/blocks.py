"""Building blocks shared by the networks, in two and in three dimensions.

A block takes `dims=2|3` and looks its layers up in the tables below, so that no network needs a
second file for the second dimension.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["batch", "instance", "none"]
Padding = Literal["same", "valid"]

CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
UP_CONV: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOL: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
DROPOUT: dict[int, type[nn.Module]] = {2: nn.Dropout2d, 3: nn.Dropout3d}
NORM: dict[str, dict[int, type[nn.Module]]] = {
    "batch": {2: nn.BatchNorm2d, 3: nn.BatchNorm3d},
    "instance": {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d},
}


class ConvBlock(nn.Sequential):
    """Convolution, normalisation, ReLU, several times, then dropout: one level of a U-Net.

    "same" padding (zeros) keeps the spatial shape; "valid" removes `convolutions * (kernel - 1)`
    voxels along each axis. Convolutions keep their bias before a normalisation, as in the
    published programs, although it has no effect there. Dropout switches whole channels off:
    neighbouring voxels of one channel say nearly the same, so dropping single ones drops nothing.

    References:
        O. Ronneberger, P. Fischer, T. Brox. U-Net: convolutional networks for biomedical image
        segmentation. MICCAI 2015. arXiv:1505.04597.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int,
        kernel: Sequence[int],
        convolutions: int = 2,
        padding: Padding = "same",
        norm: Norm = "batch",
        dropout: float = 0.0,
    ) -> None:
        around = tuple(size // 2 if padding == "same" else 0 for size in kernel)
        layers: list[nn.Module] = []
        for index in range(convolutions):
            channels = out_channels if index else in_channels
            layers.append(CONV[dims](channels, out_channels, tuple(kernel), padding=around))
            if norm != "none":
                layers.append(NORM[norm][dims](out_channels, affine=True))
            layers.append(nn.ReLU(inplace=True))
        if dropout:
            layers.append(DROPOUT[dims](dropout))
        super().__init__(*layers)

    def forward(
        self, input: Float[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        return super().forward(input)


def up_convolution(
    in_channels: int,
    out_channels: int,
    *,
    dims: int,
    stride: Sequence[int],
    kernel: Sequence[int],
) -> nn.Module:
    """A transposed convolution that makes each axis exactly `stride` times longer.

    `kernel` must be at least `stride` on each axis. Where it is larger, the surplus is cut off at
    the borders, at the far one first.
    """
    surplus = [k - s for k, s in zip(kernel, stride, strict=True)]
    cut = [math.ceil(extra / 2) for extra in surplus]
    back = [2 * c - extra for c, extra in zip(cut, surplus, strict=True)]
    return UP_CONV[dims](
        in_channels,
        out_channels,
        tuple(kernel),
        stride=tuple(stride),
        padding=tuple(cut),
        output_padding=tuple(back),
    )


def centre_crop(
    images: Float[Tensor, "batch channel *space_in"], size: Sequence[int]
) -> Float[Tensor, "batch channel *space_out"]:
    """The central part of that spatial size; where the rest is odd, the far side loses one more."""
    for axis, wanted in enumerate(size, start=2):
        images = images.narrow(axis, (images.shape[axis] - wanted) // 2, wanted)
    return images


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    r"""Draw the weights from $N(0, g^2 / n)$ and set the biases to 0.

    $n$ is the number of values that are summed into one output value: `in_channels * kernel` for a
    convolution, `in_channels * kernel / stride` for a transposed one. $g^2$ = 2 before a ReLU,
    which silences half of its input, and 1 for the layers that no ReLU follows: transposed
    convolutions, and the convolution of kernel 1 that ends a network.

    References:
        K. He, X. Zhang, S. Ren, J. Sun. Delving deep into rectifiers. ICCV 2015. arXiv:1502.01852.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            taps = math.prod(layer.kernel_size)
            gain, summed = 1 if taps == 1 else 2, layer.in_channels * taps
        elif isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
            taps = math.prod(layer.kernel_size) / math.prod(layer.stride)
            gain, summed = 1, layer.in_channels * taps
        else:
            continue
        layer.weight.normal_(0.0, math.sqrt(gain / summed))
        if layer.bias is not None:
            layer.bias.zero_()
