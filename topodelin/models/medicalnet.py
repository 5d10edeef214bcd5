"""MedicalNet: a dilated ResNet that keeps an eighth of the size, and a short way back.

    volume --[ResNet, output stride 8]-- 1/8 --[up x2]-- 1/4 --[conv]--[1x1]--[linear, x4]--> map

References:
    S. Chen, K. Ma, Y. Zheng. Med3D: transfer learning for 3D medical image analysis. 2019.
    arXiv:1904.00625.

Departures: the published network compares the map of a quarter of the size with a shrunken
annotation; here it is interpolated to the size of the image, so that losses and predictors need not
know. Images as well as volumes. Weights start as `initialise` says.
"""

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.batch_norm import check_batch
from topodelin.models.blocks import CONV, NORM, initialise, up_convolution
from topodelin.models.network import Network
from topodelin.models.resnet import ResNet, Shortcut
from topodelin.models.upsampling import upsample


class MedicalNet(Network):
    """A ResNet with dilated layers that labels every voxel; sizes are multiples of 8.

    The trunk, `trunk`, takes the published weights by name. Without the rest it has 14,355,520
    weights at depth 10, 32,986,176 at 18 and 63,295,808 at 34.

    Args:
        dims: 2 for images `(batch, channel, y, x)`, 3 for volumes `(batch, channel, z, y, x)`.
        in_channels, out_channels: of the image and of the map.
        depth, base, shortcut, frozen: of the trunk, see [`ResNet`][]; the published weights are
            of shortcut "B" at depth 10, 50 and 101, of "A" at 18 and 34.
        width: channels between trunk and map.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        depth: int = 10,
        base: int = 64,
        shortcut: Shortcut = "B",
        width: int = 32,
        frozen: bool = False,
    ) -> None:
        if width < 1:
            raise ValueError(f"`width` must be at least 1, got {width}")
        super().__init__(
            {
                "dims": dims,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "depth": depth,
                "base": base,
                "shortcut": shortcut,
                "width": width,
                "frozen": frozen,
            },
            dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=8,
        )
        self.trunk = ResNet(
            dims,
            in_channels,
            depth=depth,
            base=base,
            shortcut=shortcut,
            output_stride=8,
            frozen=frozen,
        )
        # The up-convolution takes its value 4 voxels away at worst, the convolution its neighbours
        # 4 away, and the interpolation values less than 4 away.
        self.reach = (float(self.trunk.reaches[-1] + 4 + 4 + 3),) * dims
        two = (2,) * dims
        self.conv_seg = nn.Sequential(
            up_convolution(self.trunk.channels[-1], width, dims=dims, stride=two, kernel=two),
            NORM["batch"][dims](width),
            nn.ReLU(inplace=True),
            CONV[dims](width, width, 3, padding=1, bias=False),
            NORM["batch"][dims](width),
            nn.ReLU(inplace=True),
            CONV[dims](width, out_channels, 1, bias=False),
        )
        initialise(self.conv_seg)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space"]
    ) -> Float[Tensor, "batch channel_out *space"]:
        self.check_images(images)
        if not self.trunk.frozen:
            check_batch(self, images)
        features = self.trunk(images)[-1]
        return upsample(self.conv_seg(features), 4, images.shape[2:])
