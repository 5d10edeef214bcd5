"""Deep multilevel contextual network: three depths of one trunk, each brought up to full size.

    image --[64 x2]-pool-[128 x2]--pool--[256 x3]--pool--[512 x3]
                            |               |               |
                         [branch]        [branch]        [branch]     up 2, 4 and 8 times
                            |               |               |
                            +------------(concat)-----------+--[1x1]--> map

A ReLU follows every layer but the last. Shallow branches place a border, deep ones know what it is
the border of. 16 convolutions (10 in the trunk, 2 in each branch), 3 poolings and 3 transposed
convolutions.

References:
    H. Chen, Q. Dou, X. Qi, J.-Z. Cheng, P.-A. Heng. Deep multilevel contextual networks for
    biomedical image segmentation. Handbook of Medical Image Computing and Computer Assisted
    Intervention, pp. 231-247, 2020.
    H. Chen, X. Qi, J.-Z. Cheng, P.-A. Heng. Deep contextual networks for neuronal structure
    segmentation. AAAI 2016. (The auxiliary classifiers; it adds the branches up instead.)

Departures: no width of the branches is published; 16 channels meet the total that is, 7.7 million
weights. The output is a raw map without the final sigmoid; weights start as `initialise` says.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.blocks import CONV, POOL, ConvBlock, initialise, up_convolution
from topodelin.models.network import Network

Maps = Float[Tensor, "batch channel_out *space"]

CONVOLUTIONS = (2, 2, 3, 3)  # of each stage of the trunk
SCALES = (1, 2, 4, 8)  # of each stage: so many times smaller, so many times as many channels


class DMCN(Network):
    """The deep multilevel contextual network, in 2-D and 3-D; sizes are multiples of 8.

    `DMCN(2)` is the published one, with 7,741,569 weights.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        base: channels of the first stage.
        branch: channels of each branch.
        auxiliary: give each branch a classifier of its own, so that a loss reaches the depth of
            the trunk directly. The output is then a dict: "main", and "auxiliary_2",
            "auxiliary_4", "auxiliary_8", named after the pooling that they undo. Give them weights
            that fall while training; their maps are not needed afterwards.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        base: int = 64,
        branch: int = 16,
        auxiliary: bool = False,
    ) -> None:
        for name, value in (("base", base), ("branch", branch)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}")
        super().__init__(
            {
                "dims": dims,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "base": base,
                "branch": branch,
                "auxiliary": auxiliary,
            },
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=8,
            reach=[_reach()] * dims,
        )
        width = [base * times for times in SCALES]
        self.trunk = nn.ModuleList(
            ConvBlock(given, out, dims=dims, kernel=(3,) * dims, convolutions=n, norm="none")
            for given, out, n in zip((in_channels, *width), width, CONVOLUTIONS, strict=False)
        )
        self.pool = POOL[dims](2)
        self.branches = nn.ModuleDict(
            {
                str(times): _branch(channels, branch, dims=dims, times=times)
                for channels, times in zip(width[1:], SCALES[1:], strict=True)
            }
        )
        self.head = CONV[dims](3 * branch, out_channels, 1)
        self.auxiliary = nn.ModuleDict(
            {times: CONV[dims](branch, out_channels, 1) for times in self.branches if auxiliary}
        )
        self.heads = ("main", *(f"auxiliary_{times}" for times in self.auxiliary))
        initialise(self)

    def forward(self, images: Shaped[Tensor, "batch channel_in *space"]) -> Maps | dict[str, Maps]:
        self.check_images(images)
        features, seen = self.trunk[0](images), {}
        for block, (times, branch) in zip(self.trunk[1:], self.branches.items(), strict=True):
            features = block(self.pool(features))  # half the size, twice the channels
            seen[times] = branch(features)
        main = self.head(torch.cat(list(seen.values()), dim=1))
        if not self.auxiliary:
            return main
        heads = {f"auxiliary_{t}": head(seen[t]) for t, head in self.auxiliary.items()}
        return {"main": main, **heads}


def _branch(in_channels: int, out_channels: int, *, dims: int, times: int) -> nn.Sequential:
    """Fewer channels, `times` the size, one look at the result."""
    stride, kernel = (times,) * dims, (2 * times,) * dims
    return nn.Sequential(
        CONV[dims](in_channels, out_channels, 1),
        nn.ReLU(inplace=True),
        up_convolution(out_channels, out_channels, dims=dims, stride=stride, kernel=kernel),
        nn.ReLU(inplace=True),
        CONV[dims](out_channels, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
    )


def _reach() -> int:
    """Voxels on one side that matter: those of the deepest branch.

    Its transposed convolution, with the convolution after it, reaches 3/2 of a voxel of the last
    stage; each convolution of the trunk reaches one voxel of its stage.
    """
    return 3 * SCALES[-1] // 2 + sum(n * s for n, s in zip(CONVOLUTIONS, SCALES, strict=True))
