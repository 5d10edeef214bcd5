"""Residual units that normalise before they convolve, and the gate that weighs channels.

    features --+--[BN-ReLU]--[conv, stride]--[BN-ReLU]--[conv]--(+)--> twice as abstract
               +--------------[conv 1, stride]--[BN]-------------^

References:
    K. He, X. Zhang, S. Ren, J. Sun. Identity mappings in deep residual networks. ECCV 2016.
    arXiv:1603.05027.
    J. Hu, L. Shen, G. Sun. Squeeze-and-excitation networks. CVPR 2018. arXiv:1709.01507.
"""

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.models.blocks import CONV, NORM


def norm_relu_conv(
    in_channels: int, out_channels: int, *, dims: int, stride: int = 1
) -> nn.Sequential:
    """Batch normalisation, ReLU, convolution of kernel 3: what pre-activated networks are made of.

    An axis comes out `ceil(length / stride)` long.
    """
    return nn.Sequential(
        NORM["batch"][dims](in_channels),
        nn.ReLU(inplace=True),
        CONV[dims](in_channels, out_channels, 3, stride=stride, padding=1),
    )


class ResidualUnit(nn.Module):
    """Two convolutions and, added to what they give, a projection of what they were given.

    Args:
        stride: of the first convolution and of the projection; the unit's way of pooling.
        pre_activation: normalise and rectify the input first. False for the first unit of a
            network: an image is not a feature whose negative half may be dropped.

    Convolutions keep their bias, as in the published programs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int,
        stride: int = 1,
        pre_activation: bool = True,
    ) -> None:
        super().__init__()
        first = norm_relu_conv(in_channels, out_channels, dims=dims, stride=stride)
        second = norm_relu_conv(out_channels, out_channels, dims=dims)
        self.body = nn.Sequential(first if pre_activation else first[-1], second)
        self.projection = nn.Sequential(
            CONV[dims](in_channels, out_channels, 1, stride=stride),
            NORM["batch"][dims](out_channels),
        )

    def forward(
        self, features: Float[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        return self.body(features) + self.projection(features)


class SqueezeExcite(nn.Module):
    r"""Weigh each channel by a gate in (0, 1) that the means of all channels decide.

    $x_c \cdot \sigma(W_2 \max(0, W_1 \bar x))_c$ with $\bar x$ the mean over the image, so that an
    output depends on the whole input. No biases.

    Args:
        reduction: $W_1$ leaves `channels // reduction` values, at least one.
    """

    def __init__(self, channels: int, *, dims: int, reduction: int = 8) -> None:
        super().__init__()
        between = max(1, channels // reduction)
        self.gate = nn.Sequential(
            CONV[dims](channels, between, 1, bias=False),
            nn.ReLU(inplace=True),
            CONV[dims](between, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(
        self, features: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        means = features.mean(dim=tuple(range(2, features.ndim)), keepdim=True)
        return features * self.gate(means)
