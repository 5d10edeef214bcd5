r"""Mean squared error and connectivity of a volume in one loss.

References:
    D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
    using their 2D projections. MICCAI 2022. arXiv:2207.06832.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.conn import conn_loss
from topodelin.losses.min_projection import AXES, check_projection
from topodelin.losses.mse import mse_loss
from topodelin.losses.topo import TopoLoss
from topodelin.losses.topology_rule import TopologyRule

Scalar = Float[Tensor, ""]


def l3d_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    conn_weight: float = 1e-3,
    axes: Sequence[int] = AXES,
    slab: int | None = None,
    **constants: Any,
) -> Scalar:
    r"""Add the weighted connectivity loss to the mean squared error.

    $$L(y, \hat y) = \operatorname{mean}(y - \hat y)^2 + \alpha\, L_{conn}(y, \hat y)$$

    Args:
        prediction, target: $y, \hat y$, distance maps `(batch, channel, depth, height, width)`.
        conn_weight: $\alpha$. The published program sums over windows with a weight of 1e-4 and
            batches of four cubes of 96 voxels, 16 windows along each axis, which is 1.6e-3 for
            the mean over windows used here.
        axes, slab, constants: see [`conn_loss`][].
    """
    connectivity = conn_loss(prediction, target, axes=axes, slab=slab, **constants)
    return mse_loss(prediction, target) + conn_weight * connectivity


class L3DLoss(nn.Module):
    """[`l3d_loss`][] with its constants fixed; `topo` as in [`ConnLoss`][].

    To log the two terms apart, or to let the second start late, add a `MSELoss` and a `ConnLoss`
    in a `WeightedSum`.
    """

    def __init__(
        self,
        *,
        conn_weight: float = 1e-3,
        axes: Sequence[int] = AXES,
        slab: int | None = None,
        topo: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_projection(axes, slab)
        if not 0 <= conn_weight < float("inf"):
            raise ValueError(f"`conn_weight` must be 0 or more, got {conn_weight}")
        self.conn_weight = conn_weight
        self.axes = tuple(axes)
        self.slab = slab
        self.rule = TopologyRule(**(topo or {}))

    @classmethod
    def paper(cls, **changes: Any) -> "L3DLoss":
        """The published program; `changes` are constants of the topology loss, by name."""
        return cls(conn_weight=1.0, topo=vars(TopoLoss.paper("proj48", **changes).rule))

    def forward(self, prediction: Tensor, target: Tensor) -> Scalar:
        return l3d_loss(
            prediction,
            target,
            conn_weight=self.conn_weight,
            axes=self.axes,
            slab=self.slab,
            **vars(self.rule),
        )
