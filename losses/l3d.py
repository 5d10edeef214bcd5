r"""Mean squared error and connectivity of a volume in one loss.

References:
    D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
    using their 2D projections. MICCAI 2022. arXiv:2207.06832.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from topodelin.losses.conn import ConnLoss, conn_loss
from topodelin.losses.min_projection import AXES
from topodelin.losses.mse import mse_loss
from topodelin.losses.prepared import moved_record
from topodelin.losses.topo import TopoLoss
from topodelin.losses.topology.prepared import refuse_ignored
from topodelin.losses.topology.projected import PreparedProjections
from topodelin.losses.topology.rule import TopologyRule

Scalar = Float[Tensor, ""]


def l3d_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    conn_weight: float = 1e-3,
    axes: Sequence[int] = AXES,
    slab: int | None = None,
    ignored: Tensor | None = None,
    backend: str = "auto",
    **constants: Any,
) -> Scalar:
    r"""Add the weighted connectivity loss to the mean squared error.

    $$L(y, \hat y) = \operatorname{mean}(y - \hat y)^2 + \alpha\, L_{conn}(y, \hat y)$$

    Args:
        prediction, target: $y, \hat y$, distance maps `(batch, channel, depth, height, width)`.
        conn_weight: $\alpha$. The published program sums over windows with a weight of 1e-4 and
            batches of four cubes of 96 voxels, 16 windows along each axis, which is 1.6e-3 for
            the mean over windows used here.
        ignored: bool, same shape, True where a voxel is left out of both terms.
        axes, slab, backend, constants: see [`conn_loss`][].
    """
    connectivity = conn_loss(
        prediction, target, axes=axes, slab=slab, ignored=ignored, backend=backend, **constants
    )
    return mse_loss(prediction, target, ignored=ignored) + conn_weight * connectivity


@dataclass(frozen=True)
class PreparedVolumes:
    """Annotated volumes with their projections. Can be pickled."""

    target: Float[Tensor, "batch channel depth height width"]
    ignored: Bool[Tensor, "batch channel depth height width"] | None
    projections: PreparedProjections

    def to(self, device: torch.device | str) -> "PreparedVolumes":
        """The same on another device."""
        return moved_record(self, device)


class L3DLoss(nn.Module):
    """[`l3d_loss`][] with its constants fixed; `topo` as in [`ConnLoss`][].

    To log the two terms apart, or to let the second start late, add a `MSELoss` and a `ConnLoss`
    in a `WeightedSum`. `prepare` does what depends on the annotation only, in the worker of a data
    loader for example; its result takes the place of the target.
    """

    def __init__(
        self,
        *,
        conn_weight: float = 1e-3,
        axes: Sequence[int] = AXES,
        slab: int | None = None,
        topo: Mapping[str, Any] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_conn_weight(conn_weight)
        self.conn_weight = conn_weight
        self.conn = ConnLoss(axes=axes, slab=slab, topo=topo, backend=backend)

    @property
    def rule(self) -> TopologyRule:
        """The constants of the topology loss."""
        return self.conn.rule

    @classmethod
    def paper(cls, *, backend: str = "auto", **changes: Any) -> "L3DLoss":
        """The published program; `changes` are constants of the topology loss, by name."""
        rule = TopoLoss.paper("proj48", **changes).rule
        return cls(conn_weight=1.0, topo=vars(rule), backend=backend)

    def prepare(self, target: Tensor, *, ignored: Tensor | None = None) -> PreparedVolumes:
        """The annotation and its projections with their windows and regions.

        Args:
            target, ignored: as in [`l3d_loss`][].
        """
        return PreparedVolumes(target, ignored, self.conn.prepare(target, ignored=ignored))

    def forward(
        self,
        prediction: Tensor,
        target: Tensor | PreparedVolumes,
        *,
        ignored: Tensor | None = None,
    ) -> Scalar:
        if isinstance(target, PreparedVolumes):
            refuse_ignored(ignored)
            connectivity = self.conn(prediction, target.projections)
            target, ignored = target.target, target.ignored
        else:
            connectivity = self.conn(prediction, target, ignored=ignored)
        return mse_loss(prediction, target, ignored=ignored) + self.conn_weight * connectivity


def check_conn_weight(conn_weight: float) -> None:
    """Refuse a weight that is negative, infinite or not a number."""
    if not 0 <= conn_weight < float("inf"):
        raise ValueError(f"`conn_weight` must be 0 or more, got {conn_weight}")
