r"""Networks that look at a cube and tell the class of the voxel in its middle.

    cube --[trunk: convolutions and pools]--> few voxels --[head: one kernel as large]--> classes

The plans, a number being a convolution block (convolution of kernel 3, normalisation, activation)
with that many channels:

    3layer    16 - 32 - 64 - mean                                       8 voxels to 1, no padding
    4conv     16 - max - 32 - max - 64 - 128 - mean                    32 voxels to 1, no padding
    4res      16 - max - 32 - R - max - 64 - R - max - 128 - R - mean  32 voxels to 2, zero padding
    dil       16 - max - D32 - mean                                    32 voxels to 1, no padding
    dil16     16 - D32 - mean                                          16 voxels to 1, no padding

    R    x + block(block(x)), nothing after the sum
    D32  [block 32, dilation 3]--[block 32, dilation 3] beside [convolution 32, kernel 5,
         dilation 3]; their channels are laid one after the other

Pools of 2 voxels leave the last of an odd number out: at a side of 32, 4conv and dil see the first
30 voxels along each axis, and the middle of what they see is not the voxel that they judge.

References:
    Y. LeCun et al. Backpropagation applied to handwritten zip code recognition. Neural Computation
    1989. (Convolution and pooling.)
    D. Ciresan, A. Giusti, L. Gambardella, J. Schmidhuber. Deep neural networks segment neuronal
    membranes in electron microscopy images. NIPS 2012. (The class of a pixel from its window.)
    K. He, X. Zhang, S. Ren, J. Sun. Deep residual learning for image recognition. CVPR 2016.

Weights start as PyTorch has them: uniform, $\pm 1 / \sqrt n$ for $n$ values summed.
"""

from dataclasses import dataclass
from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.models.cube import CentreVoxel

Features = Float[Tensor, "batch channel *space"]

NORMS = ("batch", "layer")
ACTIVATION: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
}


@dataclass(frozen=True)
class Plan:
    """A trunk, layer by layer.

    Args:
        layers: "16" a convolution block of that many channels, "max" and "mean" pools of 2, "res" a
            residual pair of blocks, "dilated32" the two dilated branches of that many channels.
        window: side of its cube.
        activation: after each normalisation.
        padded: whether its convolutions keep the size.
    """

    layers: str
    window: int
    activation: str
    padded: bool = False

    def left(self, window: int) -> int:
        """The side of what the trunk leaves of a cube; 0 where nothing is left."""
        side = window
        for layer in self.layers.split():
            if layer in ("max", "mean"):
                side //= 2
            elif layer.startswith("dilated"):
                side -= 12
            elif not self.padded:
                side -= 2
            side = max(0, side)
        return side


PLANS = {
    "3layer": Plan("16 32 64 mean", 8, "relu"),
    "4conv": Plan("16 max 32 max 64 128 mean", 32, "gelu"),
    "4res": Plan("16 max 32 res max 64 res max 128 res mean", 32, "gelu", padded=True),
    "dil": Plan("16 max dilated32 mean", 32, "relu"),
    "dil16": Plan("16 dilated32 mean", 16, "relu"),
}


class CentreVoxelNet(CentreVoxel):
    """A plain, residual or dilated classifier of the middle of a cube.

    Args:
        plan: "3layer", "4conv", "4res", "dil" or "dil16", see above. With one channel and 6 classes
            they have 70,278, 292,230, 1,460,166, 106,566 and 106,566 weights; "4res" with a window
            of 16 has 1,454,790.
        in_channels, out_channels: of the cube; and the classes.
        window: side of the cube; the plan's own by default. The kernel of the head is what the
            trunk leaves of it.
        norm: "batch", or "layer": over the channels of each voxel.
        activation: "relu", "leaky_relu" (slope 0.01) or "gelu"; by default ReLU for 3layer, dil
            and dil16, GELU for 4conv and 4res.
    """

    def __init__(
        self,
        plan: str = "4conv",
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        window: int | None = None,
        norm: str = "batch",
        activation: str | None = None,
    ) -> None:
        if plan not in PLANS:
            raise ValueError(f"`plan` must be one of {', '.join(PLANS)}, got {plan!r}")
        chosen = PLANS[plan]
        window = chosen.window if window is None else window
        activation = chosen.activation if activation is None else activation
        for name, value, known in (
            ("norm", norm, NORMS),
            ("activation", activation, tuple(ACTIVATION)),
        ):
            if value not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {value!r}")
        left = chosen.left(window)
        if not left:
            least = next(side for side in count(1) if chosen.left(side))
            raise ValueError(f"`window` must be at least {least} for plan {plan!r}, got {window}")
        super().__init__(
            {
                "plan": plan,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "window": window,
                "norm": norm,
                "activation": activation,
            },
            window=window,
            in_channels=in_channels,
            out_channels=out_channels,
        )
        self.trunk, channels = _trunk(chosen, in_channels, norm, activation)
        self.head = nn.Conv3d(channels, out_channels, left)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each voxel on its own.

    References:
        J. Ba, J. Kiros, G. Hinton. Layer normalization. 2016. arXiv:1607.06450.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, input: Features) -> Features:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class Residual(nn.Sequential):
    """What goes in plus what the layers make of it."""

    def forward(self, input: Features) -> Features:
        return input + super().forward(input)


class MeanPool(nn.Module):
    """The mean of blocks of `size` voxels a side, also in half precision on the CPU.

    What is left at the far side when a length is no multiple of `size` is not looked at.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.kernel_size = self.stride = size

    def forward(
        self, features: Float[Tensor, "batch channel *space_in"]
    ) -> Float[Tensor, "batch channel *space_out"]:
        for axis in range(2, features.ndim):
            blocks = features.shape[axis] // self.stride
            whole = features.narrow(axis, 0, blocks * self.stride)
            features = whole.unflatten(axis, (blocks, self.stride)).mean(axis + 1)
        return features


class Concat(nn.ModuleList):
    """Branches that see the same; their channels are laid one after the other."""

    def forward(
        self, features: Float[Tensor, "batch channel_in *space_in"]
    ) -> Float[Tensor, "batch channel_out *space_out"]:
        return torch.cat([branch(features) for branch in self], dim=1)


def _trunk(plan: Plan, in_channels: int, norm: str, activation: str) -> tuple[nn.Sequential, int]:
    """The layers of a plan, and how many channels come out."""

    def block(given: int, out: int, dilation: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv3d(given, out, 3, padding=int(plan.padded), dilation=dilation),
            nn.BatchNorm3d(out) if norm == "batch" else ChannelNorm(out),
            ACTIVATION[activation](),
        )

    layers: list[nn.Module] = []
    channels = in_channels
    for name in plan.layers.split():
        if name in ("max", "mean"):
            layers.append(nn.MaxPool3d(2) if name == "max" else MeanPool(2))
        elif name == "res":
            layers.append(Residual(block(channels, channels), block(channels, channels)))
        elif name.startswith("dilated"):
            out = int(name.removeprefix("dilated"))
            fine = nn.Sequential(block(channels, out, 3), block(out, out, 3))
            layers.append(Concat([fine, nn.Conv3d(channels, out, 5, dilation=3)]))
            channels = 2 * out
        else:
            layers.append(block(channels, int(name)))
            channels = int(name)
    return nn.Sequential(*layers), channels
