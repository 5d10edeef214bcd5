r"""The connectivity loss on volumes: the topology loss of their minimum projections.

A curve does not separate space, so the topology loss cannot act on volumes directly; it does on
their projections, where curves enclose regions.

References:
    D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
    using their 2D projections. MICCAI 2022. arXiv:2207.06832.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_distance_map, check_ignored, check_pair
from topodelin.losses.min_projection import AXES, check_projection
from topodelin.losses.prepared import check_prediction, check_target
from topodelin.losses.topo import TopoLoss
from topodelin.losses.topology.backend import check_backend
from topodelin.losses.topology.prepared import refuse_ignored
from topodelin.losses.topology.projected import (
    PreparedProjections,
    check_projected_alike,
    prepare_projections,
    projected_penalties,
)
from topodelin.losses.topology.rule import TopologyRule

Scalar = Float[Tensor, ""]


def conn_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    axes: Sequence[int] = AXES,
    slab: int | None = None,
    ignored: Tensor | None = None,
    backend: str = "auto",
    **constants: Any,
) -> Scalar:
    r"""Add the topology losses of the minimum projections along each axis.

    $$L(y, \hat y) = \sum_{a \in A} L_{topo}(\min\nolimits_a y,\; \min\nolimits_a \hat y)$$

    Args:
        prediction: $y$, predicted distance maps `(batch, channel, depth, height, width)`.
        target: $\hat y$, annotated distance maps of the same shape: 0 on the centreline, clipped
            at `d_max`.
        axes, slab: see [`over_min_projections`][].
        ignored: bool, same shape, True where a voxel is left out: it is in no projection, and a
            ray without any other voxel is an ignored pixel of the image.
        backend: see [`topology_weights`][].
        constants: the fields of [`TopologyRule`][], by name.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    rule = TopologyRule(**constants)
    check_projection(axes, slab)
    check_backend(backend)
    check_pair(prediction, target, dims=3)
    check_distance_map(target, rule.d_max)
    check_ignored(ignored, target)
    prepared = prepare_projections(target, rule, axes, slab, ignored, backend)
    return torch.stack(projected_penalties(prediction, prepared, backend)).sum()


class ConnLoss(nn.Module):
    """[`conn_loss`][] with its constants fixed.

    `prepare` does what depends on the annotation only, in the worker of a data loader for example;
    its result takes the place of the target.

    Args:
        axes, slab, backend: see [`conn_loss`][].
        topo: constants of the topology loss that differ from its defaults, by name, as in
            `ConnLoss(topo={"window": 32})`; [`TopologyRule`][] describes each of them.
    """

    def __init__(
        self,
        *,
        axes: Sequence[int] = AXES,
        slab: int | None = None,
        topo: Mapping[str, Any] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_projection(axes, slab)
        check_backend(backend)
        self.axes = tuple(axes)
        self.slab = slab
        self.rule = TopologyRule(**(topo or {}))
        self.backend = backend

    @classmethod
    def paper(
        cls, *, axes: Sequence[int] = AXES, backend: str = "auto", **changes: Any
    ) -> "ConnLoss":
        """The published program: [`TopoLoss.paper`][] on whole projections, summed.

        Args:
            axes: all three, or the first two (2, 3) for its variant with two projections.
            changes: constants of the topology loss that shall differ, by name.
        """
        rule = TopoLoss.paper("proj48", **changes).rule
        return cls(axes=axes, topo=vars(rule), backend=backend)

    def prepare(self, target: Tensor, *, ignored: Tensor | None = None) -> PreparedProjections:
        """The projections of the annotation with their windows and regions.

        Args:
            target, ignored: as in [`conn_loss`][].
        """
        check_target(target, d_max=self.rule.d_max, dims=3)
        check_ignored(ignored, target)
        return prepare_projections(target, self.rule, self.axes, self.slab, ignored, self.backend)

    def forward(
        self,
        prediction: Tensor,
        target: Tensor | PreparedProjections,
        *,
        ignored: Tensor | None = None,
    ) -> Scalar:
        if not isinstance(target, PreparedProjections):
            return conn_loss(
                prediction,
                target,
                axes=self.axes,
                slab=self.slab,
                ignored=ignored,
                backend=self.backend,
                **vars(self.rule),
            )
        check_projected_alike(target, self.rule, self.axes, self.slab)
        refuse_ignored(ignored)
        check_prediction(prediction, target.shape, target.images[0].target.device, dims=3)
        return torch.stack(projected_penalties(prediction, target, self.backend)).sum()
