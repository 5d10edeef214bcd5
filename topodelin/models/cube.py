"""Networks that take cubes of one size, and those among them that judge the voxel in the middle.

    cube --[trunk]--> few voxels --[head: one kernel as large]--> classes

The middle of a cube of side $S$ is the voxel with index $S / 2$, rounded down, along each axis.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.network import Network


class CubeNetwork(Network):
    """A network that takes cubes of one size only.

    Args:
        given: the arguments of the constructor, plain values.
        side: of the cubes, in voxels.
    """

    side: int

    def __init__(
        self,
        given: Mapping[str, Any],
        *,
        side: int,
        in_channels: int,
        out_channels: int,
        shrink: int = 0,
        reach: int,
    ) -> None:
        super().__init__(
            given,
            dims=3,
            in_channels=in_channels,
            out_channels=out_channels,
            least=side,
            shrink=shrink,
            reach=reach,
        )
        self.side = side

    def next_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """The only size that fits, whether `size` is smaller or larger."""
        return (self.side,) * len(size)

    def check_images(self, images: Tensor) -> None:
        fits = (self.side,) * 3
        if images.ndim == 5 and tuple(images.shape[2:]) != fits:
            raise ValueError(
                "the spatial size of `images` must be that of the network's cube, got "
                f"{tuple(images.shape[2:])}; the next that fits, and the only one, is {fits}"
            )
        super().check_images(images)


class CentreVoxel(CubeNetwork):
    """A trunk, and a head that turns what the trunk leaves of a cube into one vector.

    The output has shape `(batch, out_channels, 1, 1, 1)`. Trunks of the same arguments have weights
    of the same names, `trunk.*`, whatever is on top of them, so that weights learnt in another
    task are found again.

    Args:
        given: the arguments of the constructor, plain values.
        window: side of the cube.

    Attributes:
        window: side of the cube; the voxel judged is `window // 2`.
        before: voxels lost on the near side, `window // 2` along each axis.
        trunk, head: the two parts, for the class of a network to set.
    """

    window: int
    before: tuple[int, int, int]
    trunk: nn.Sequential
    head: nn.Conv3d

    def __init__(
        self,
        given: Mapping[str, Any],
        *,
        window: int,
        in_channels: int,
        out_channels: int,
    ) -> None:
        super().__init__(
            given,
            side=window,
            in_channels=in_channels,
            out_channels=out_channels,
            shrink=window - 1,
            reach=window // 2,
        )
        self.window, self.before = window, (window // 2, window // 2, window // 2)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space"]
    ) -> Float[Tensor, "batch channel_out 1 1 1"]:
        self.check_images(images)
        return self.head(self.trunk(images))
