r"""Atrous spatial pyramid pooling: one place seen at several widths at once.

              +--[conv, rate 1]---+
    image ----+--[conv, rate 6]---+--(sum or concat)--[1x1]--> map
              +--[conv, rate 12]--+
              +--[mean of all]----+   (only with `image_pool`)

A dilated ("atrous") convolution of kernel 3 and rate $r$ takes its three taps $r$ voxels apart, so
it sees $2r + 1$ voxels for the price of 3.

References:
    L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. L. Yuille. DeepLab: semantic image
    segmentation with deep convolutional nets, atrous convolution, and fully connected CRFs.
    IEEE TPAMI 40(4), 2018. arXiv:1606.00915. (The sum.)
    L.-C. Chen, G. Papandreou, F. Schroff, H. Adam. Rethinking atrous convolution for semantic image
    segmentation. 2017. arXiv:1706.05587. (The concatenation and the mean of the image.)
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.models.blocks import CONV, NORM

Fuse = Literal["sum", "concat"]

MEAN: dict[int, type[nn.Module]] = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


class ASPP(nn.Module):
    """Dilated convolutions side by side, fused by a convolution of kernel 1. Keeps the size.

    Args:
        rates: spacing of the taps, in voxels, one branch each. A rate beyond the size of the map
            leaves a branch nothing but its middle tap: in volumes, whose maps are small, choose
            smaller ones.
        fuse: "sum" as in ResUNet++: convolution and batch normalisation, their sum, a convolution.
            "concat" as in DeepLab v3: a ReLU ends every branch and the fusion as well,
            convolutions have no bias, and the branch of rate 1 has kernel 1.
        image_pool: one more branch, the mean over all voxels, everywhere the same. Its batch
            normalisation sees one value an image, so that training needs two images a batch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int,
        rates: Sequence[int],
        fuse: Fuse,
        image_pool: bool = False,
    ) -> None:
        super().__init__()
        if fuse not in ("sum", "concat"):
            raise ValueError(f"`fuse` must be sum or concat, got {fuse!r}")
        if not rates or min(rates) < 1:
            raise ValueError(f"`rates` must be one or more numbers of at least 1, got {rates}")
        self.fuse = fuse

        def layers(channels: int, *, kernel: int = 1, rate: int = 1) -> list[nn.Module]:
            around, bias = rate * (kernel // 2), fuse == "sum"
            conv = CONV[dims](
                channels, out_channels, kernel, padding=around, dilation=rate, bias=bias
            )
            norm = NORM["batch"][dims](out_channels)
            return [conv, norm] if fuse == "sum" else [conv, norm, nn.ReLU(inplace=True)]

        self.branches = nn.ModuleList(
            nn.Sequential(
                *layers(in_channels, kernel=1 if (fuse, rate) == ("concat", 1) else 3, rate=rate)
            )
            for rate in rates
        )
        self.mean = nn.Sequential(MEAN[dims](1), *layers(in_channels)) if image_pool else None
        seen = out_channels * (len(rates) + image_pool)
        self.project = (
            CONV[dims](out_channels, out_channels, 1)
            if fuse == "sum"
            else nn.Sequential(*layers(seen))
        )

    def forward(
        self, features: Float[Tensor, "batch channel_in *space"]
    ) -> Float[Tensor, "batch channel_out *space"]:
        seen = [branch(features) for branch in self.branches]
        if self.mean is not None:
            seen.append(self.mean(features).expand_as(seen[0]))
        return self.project(torch.cat(seen, dim=1) if self.fuse == "concat" else sum(seen))
