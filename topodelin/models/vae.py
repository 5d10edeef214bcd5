r"""Variational autoencoder of cubes: what a trunk learns when no labels are at hand.

    cube --[trunk]--+--[mean m]-----------(+)--> code --[double, 2 blocks] x5--[conv 3]--> cube
                    +--[log variance v]----^ random * exp(v / 2)

The code is drawn from a normal distribution around $m$ while learning and is $m$ itself otherwise.
The trunk is that of a classifier of middle voxels, with the same names of its weights, so that a
file of this network starts the classifier.

References:
    D. P. Kingma, M. Welling. Auto-encoding variational Bayes. ICLR 2014. arXiv:1312.6114.

Departures: the decoder doubles by repeating voxels, not by transposed convolutions. Weights start
as PyTorch has them, those of the trunk as its own file says.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.centre_voxel import PLANS, CentreVoxelNet
from topodelin.models.convnext import ConvNeXt3D
from topodelin.models.cube import CentreVoxel, CubeNetwork

DECODERS = {32: (256, 128, 64, 32, 16), 16: (256, 128, 32, 16)}  # published, by the cube's side
CONVNEXT = "convnext3d"


class VAE(CubeNetwork):
    r"""A trunk, a code of two vectors, and a decoder: 39,177,713 weights for cubes of 32.

    With `trunk_arguments={"window": 16, "patch": 2}` they are 38,895,473. The output is a dict:
    "main", the cube given back, and "code" `(batch, 2, latent)`, mean and logarithm of the
    variance.

    Args:
        trunk: "convnext3d", or a plan of [`CentreVoxelNet`][].
        in_channels, out_channels: of the cube, and of the cube given back.
        latent: length of the code.
        decoder: channels after each doubling; a cube of side $S$ needs $\log_2 S$ of them. The
            published ones by default, for 32 and 16.
        trunk_arguments: the trunk's other arguments, e.g. its `window`.
    """

    heads: ClassVar[tuple[str, ...]] = ("main", "code")

    def __init__(
        self,
        trunk: str = CONVNEXT,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        latent: int = 512,
        decoder: Sequence[int] | None = None,
        trunk_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        if latent < 1:
            raise ValueError(f"`latent` must be at least 1, got {latent}")
        encoder = _encoder(trunk, in_channels, trunk_arguments or {})
        widths = _decoder_widths(decoder, encoder.window)
        super().__init__(
            {
                "trunk": trunk,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "latent": latent,
                "decoder": widths,
                "trunk_arguments": trunk_arguments or {},
            },
            side=encoder.window,
            in_channels=in_channels,
            out_channels=out_channels,
            reach=encoder.window,
        )
        self.trunk = encoder.trunk
        features = encoder.head.in_channels * math.prod(encoder.head.kernel_size)
        self.mean = nn.Linear(features, latent)
        self.log_variance = nn.Linear(features, latent)
        doublings = [_doubling(a, b) for a, b in zip((latent, *widths), widths, strict=False)]
        self.decoder = nn.Sequential(*doublings, nn.Conv3d(widths[-1], out_channels, 3, padding=1))

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space"]
    ) -> dict[str, Float[Tensor, "batch ..."]]:
        self.check_images(images)
        features = self.trunk(images).flatten(1)
        mean, log_variance = self.mean(features), self.log_variance(features)
        code = mean
        if self.training:
            code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        main = self.decoder(code[:, :, None, None, None])
        return {"main": main, "code": torch.stack((mean, log_variance), dim=1)}


def _encoder(name: str, in_channels: int, arguments: Mapping[str, Any]) -> CentreVoxel:
    """A classifier, of which only the trunk is used."""
    own = {"plan", "in_channels", "out_channels"} & arguments.keys()
    if own:
        raise ValueError(f"`trunk_arguments` must leave {min(own)} to the network, got it")
    try:
        if name == CONVNEXT:
            return ConvNeXt3D(in_channels, **arguments)
        if name in PLANS:
            return CentreVoxelNet(name, in_channels, **arguments)
    except TypeError:
        given = ", ".join(arguments)
        raise ValueError(f"`trunk_arguments` must be those of {name!r}, got {given}") from None
    raise ValueError(f"`trunk` must be one of {', '.join((CONVNEXT, *PLANS))}, got {name!r}")


def _decoder_widths(widths: Sequence[int] | None, side: int) -> tuple[int, ...]:
    if widths is None and side not in DECODERS:
        raise ValueError(
            f"`decoder` must be told for cubes of {side}: the channels after each doubling"
        )
    chosen = DECODERS[side] if widths is None else tuple(widths)
    if not chosen or 2 ** len(chosen) != side or min(chosen) < 1:
        raise ValueError(
            f"`decoder` must hold one number of channels for each doubling from 1 voxel to {side}, "
            f"got {len(chosen)}: {chosen}"
        )
    return chosen


def _doubling(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice the side, then two convolutions with batch normalisation and GELU."""
    layers: list[nn.Module] = [nn.Upsample(scale_factor=2, mode="nearest")]
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv3d(channels, out_channels, 3, padding=1),
            nn.BatchNorm3d(out_channels),
            nn.GELU(),
        ]
    return nn.Sequential(*layers)
