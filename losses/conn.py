r"""The connectivity loss on volumes: the topology loss of their minimum projections.

A curve does not separate space, so the topology loss cannot act on volumes directly; it does on
their projections, where curves enclose regions.

References:
    D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
    using their 2D projections. MICCAI 2022. arXiv:2207.06832.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_distance_map, check_pair
from topodelin.losses.min_projection import AXES, check_projection, sum_over_projections
from topodelin.losses.topo import TopoLoss, weighted_penalty
from topodelin.losses.topology_rule import TopologyRule

Scalar = Float[Tensor, ""]


def conn_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    axes: Sequence[int] = AXES,
    slab: int | None = None,
    **constants: Any,
) -> Scalar:
    r"""Add the topology losses of the minimum projections along each axis.

    $$L(y, \hat y) = \sum_{a \in A} L_{topo}(\min\nolimits_a y,\; \min\nolimits_a \hat y)$$

    Args:
        prediction: $y$, predicted distance maps `(batch, channel, depth, height, width)`.
        target: $\hat y$, annotated distance maps of the same shape: 0 on the centreline, clipped
            at `d_max`.
        axes, slab: see [`over_min_projections`][].
        constants: the fields of [`TopologyRule`][], by name.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    rule = TopologyRule(**constants)
    check_projection(axes, slab)
    check_pair(prediction, target, dims=3)
    check_distance_map(target, rule.d_max)
    image_loss = partial(weighted_penalty, rule=rule)
    return sum_over_projections(image_loss, prediction, target, axes, slab)


class ConnLoss(nn.Module):
    """[`conn_loss`][] with its constants fixed.

    Args:
        axes, slab: see [`over_min_projections`][].
        topo: constants of the topology loss that differ from its defaults, by name, as in
            `ConnLoss(topo={"window": 32})`; [`TopologyRule`][] describes each of them.
    """

    def __init__(
        self,
        *,
        axes: Sequence[int] = AXES,
        slab: int | None = None,
        topo: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_projection(axes, slab)
        self.axes = tuple(axes)
        self.slab = slab
        self.rule = TopologyRule(**(topo or {}))

    @classmethod
    def paper(cls, *, axes: Sequence[int] = AXES, **changes: Any) -> "ConnLoss":
        """The published program: [`TopoLoss.paper`][] on whole projections, summed.

        Args:
            axes: all three, or the first two (2, 3) for its variant with two projections.
            changes: constants of the topology loss that shall differ, by name.
        """
        return cls(axes=axes, topo=vars(TopoLoss.paper("proj48", **changes).rule))

    def forward(self, prediction: Tensor, target: Tensor) -> Scalar:
        return conn_loss(prediction, target, axes=self.axes, slab=self.slab, **vars(self.rule))
