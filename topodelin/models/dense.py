"""A network of middle voxels turned into one that judges every voxel of a volume at once.

Looking at one cube after another computes nearly everything again and again. Without padding,
a network gives the same for all cubes in one go when no layer skips a voxel: every stride becomes
1, and the layers after it look `stride` times as far apart instead.

    pool 2, stride 2 --> conv 3          becomes    pool 2, stride 1 --> conv 3, dilation 2

References:
    A. Giusti, D. Ciresan, J. Masci, L. Gambardella, J. Schmidhuber. Fast image scanning with deep
    max-pooling convolutional neural networks. ICIP 2013. arXiv:1302.1700.
    H. Li, R. Zhao, X. Wang. Highly efficient forward and backward propagation of convolutional
    neural networks for pixelwise classification. 2014. arXiv:1412.4526. (The dilations.)
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from topodelin.models.centre_voxel import ChannelNorm, Concat, MeanPool
from topodelin.models.cube import CentreVoxel
from topodelin.models.network import Network

VOXELWISE = (nn.BatchNorm3d, ChannelNorm, nn.ReLU, nn.LeakyReLU, nn.GELU)
POOLS = (nn.MaxPool3d, MeanPool)
EXACT = (nn.Sequential, Concat, nn.Conv3d, *POOLS, *VOXELWISE)


class DenseNetwork(Network):
    """What a network of middle voxels tells of all cubes of a volume.

    The output at $(z, y, x)$ is that of the cube that begins there, the judgement of voxel
    $(z, y, x)$ + `before`; it is smaller than the volume by `window - 1`. The weights are the
    network's own, not copies, and so are the normalisations: judge in evaluation mode, as
    statistics of a batch of cubes are not those of a volume. `arguments` are the network's.

    Attributes:
        before: voxels lost on the near side, `window // 2` along each axis.
    """

    before: tuple[int, int, int]

    def __init__(self, network: CentreVoxel) -> None:
        super().__init__(
            network.arguments,
            dims=3,
            in_channels=network.in_channels,
            out_channels=network.out_channels,
            shrink=network.shrink,
            reach=network.reach,
        )
        self.before = network.before
        trunk, step = _dense(network.trunk, 1)
        head, _ = _dense(network.head, step)
        self.layers = nn.Sequential(trunk, head)

    def forward(
        self, images: Shaped[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        self.check_images(images)
        # Pools that leave a last voxel out see less than the window: as many cubes as windows.
        z, y, x = (n - lost for n, lost in zip(images.shape[2:], self.shrink, strict=True))
        return self.layers(images)[..., :z, :y, :x]


def dense_version(network: nn.Module) -> DenseNetwork | None:
    """The same judgement for every voxel at once; None where there is no exact form.

    There is none for layers that pad (4res, ConvNeXt): they see the border of the cube.
    """
    if not isinstance(network, CentreVoxel):
        return None
    layers = [layer for part in (network.trunk, network.head) for layer in part.modules()]
    if all(type(layer) in EXACT and not _pads(layer) for layer in layers):
        return DenseNetwork(network)
    return None


class DilatedPool(nn.Module):
    """The mean or maximum of `kernel` voxels that lie `dilation` apart, along each axis."""

    def __init__(self, kernel: int, dilation: int, *, mean: bool) -> None:
        super().__init__()
        self.kernel, self.dilation, self.mean = kernel, dilation, mean

    def forward(
        self, features: Float[Tensor, "batch channel *space_in"]
    ) -> Float[Tensor, "batch channel *space_out"]:
        for axis in range(2, features.ndim):
            length = features.shape[axis] - (self.kernel - 1) * self.dilation
            pooled = features.narrow(axis, 0, length)
            for number in range(1, self.kernel):
                shifted = features.narrow(axis, number * self.dilation, length)
                pooled = pooled + shifted if self.mean else torch.maximum(pooled, shifted)
            features = pooled / self.kernel if self.mean else pooled
        return features


def _pads(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv3d) and any(layer.padding)


def _dense(layer: nn.Module, step: int) -> tuple[nn.Module, int]:
    """A layer whose input has become `step` times as dense, and how dense its output is."""
    if isinstance(layer, nn.Conv3d):
        return _dilated(layer, step), step * layer.stride[0]
    if isinstance(layer, POOLS):
        pool = DilatedPool(layer.kernel_size, step, mean=isinstance(layer, MeanPool))  # type: ignore[arg-type]
        return pool, step * int(layer.stride)  # type: ignore[arg-type]
    if isinstance(layer, nn.Sequential):
        layers = []
        for part in layer:
            dense, step = _dense(part, step)
            layers.append(dense)
        return nn.Sequential(*layers), step
    if isinstance(layer, Concat):
        branches = [_dense(branch, step) for branch in layer]
        return Concat(branch for branch, _ in branches), branches[0][1]
    return layer, step


def _dilated(layer: nn.Conv3d, step: int) -> nn.Conv3d:
    """The same convolution at stride 1, its taps `step` times as far apart; it shares weights."""
    dense = nn.Conv3d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        dilation=tuple(step * apart for apart in layer.dilation),  # type: ignore[arg-type]
        groups=layer.groups,
        device="meta",
    )
    dense.weight, dense.bias = layer.weight, layer.bias
    return dense
