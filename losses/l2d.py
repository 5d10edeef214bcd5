r"""Mean squared error and connectivity of a volume, learnt from two-dimensional annotations.

Tracing a neurite in three projections of a volume takes a fraction of the time that tracing it in
space does. Projections are all that this loss needs: one distance map for each of them.

References:
    D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
    using their 2D projections. MICCAI 2022. arXiv:2207.06832.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_ignored
from topodelin.losses.l3d import check_conn_weight
from topodelin.losses.min_projection import AXES, check_projection, min_projections
from topodelin.losses.mse import mse_loss
from topodelin.losses.prepared import check_prediction, check_target, moved_record
from topodelin.losses.topo import TopoLoss, penalties
from topodelin.losses.topology.backend import check_backend
from topodelin.losses.topology.prepared import (
    PreparedImages,
    check_rule,
    prepare_images,
    refuse_ignored,
)
from topodelin.losses.topology.rule import TopologyRule

Scalar = Float[Tensor, ""]


def l2d_loss(
    prediction: Tensor,
    target: Sequence[Tensor],
    *,
    conn_weight: float = 1e-3,
    axes: Sequence[int] = AXES,
    ignored: Sequence[Tensor] | None = None,
    backend: str = "auto",
    **constants: Any,
) -> Scalar:
    r"""Compare the minimum projections of a volume with an annotation of each.

    $$L(y, \hat y_1, \hat y_2, \dots) = \sum_{a \in A}
        \operatorname{mean}(\min\nolimits_a y - \hat y_a)^2
        + \alpha \sum_{a \in A} L_{topo}(\min\nolimits_a y,\; \hat y_a)$$

    Args:
        prediction: $y$, predicted distance maps `(batch, channel, depth, height, width)`.
        target: $\hat y_a$, one annotated distance map for each of `axes`, in their order:
            `(batch, channel, rows, columns)`, the axes of space that are left, in their order. 0
            on the projected centreline, clipped at `d_max`. They need not agree with each other.
        conn_weight: $\alpha$, see [`l3d_loss`][].
        axes: $A$, of 2 (depth), 3 (height) and 4 (width).
        ignored: bool maps like those of `target`, True where a pixel is left out.
        backend: see [`topology_weights`][].
        constants: the fields of [`TopologyRule`][], by name.

    For the crop of a larger volume annotate the projection of the crop: structures before and
    behind it are not in its prediction.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    loss = L2DLoss(conn_weight=conn_weight, axes=axes, topo=constants, backend=backend)
    return loss(prediction, target, ignored=ignored)


@dataclass(frozen=True)
class PreparedAnnotations:
    """One prepared annotation for each axis. Can be pickled."""

    axes: tuple[int, ...]
    images: tuple[PreparedImages, ...]

    def to(self, device: torch.device | str) -> "PreparedAnnotations":
        """The same on another device."""
        return moved_record(self, device)


class L2DLoss(nn.Module):
    """[`l2d_loss`][] with its constants fixed; `topo` as in [`ConnLoss`][].

    `prepare` does what depends on the annotation only, in the worker of a data loader for example;
    its result takes the place of the target.
    """

    takes: ClassVar[str] = "projections"

    def __init__(
        self,
        *,
        conn_weight: float = 1e-3,
        axes: Sequence[int] = AXES,
        topo: Mapping[str, Any] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_projection(axes, None)
        check_backend(backend)
        check_conn_weight(conn_weight)
        self.conn_weight = conn_weight
        self.axes = tuple(axes)
        self.rule = TopologyRule(**(topo or {}))
        self.backend = backend

    @classmethod
    def paper(
        cls, *, axes: Sequence[int] = AXES, backend: str = "auto", **changes: Any
    ) -> "L2DLoss":
        """The published program; `changes` are constants of the topology loss, by name."""
        rule = TopoLoss.paper("proj48", **changes).rule
        return cls(conn_weight=1.0, axes=axes, topo=vars(rule), backend=backend)

    def prepare(
        self, target: Sequence[Tensor], *, ignored: Sequence[Tensor] | None = None
    ) -> PreparedAnnotations:
        """The annotations with their windows and regions.

        Args:
            target, ignored: as in [`l2d_loss`][].
        """
        maps = _one_each("target", target, self.axes)
        masks = (None,) * len(maps)
        if ignored is not None:
            masks = _one_each("ignored", ignored, self.axes)
        for image, mask in zip(maps, masks, strict=True):
            check_target(image, d_max=self.rule.d_max, dims=2)
            check_ignored(mask, image)
        images = (
            prepare_images(image, self.rule, mask, self.backend)
            for image, mask in zip(maps, masks, strict=True)
        )
        return PreparedAnnotations(self.axes, tuple(images))

    def forward(
        self,
        prediction: Tensor,
        target: Sequence[Tensor] | PreparedAnnotations,
        *,
        ignored: Sequence[Tensor] | None = None,
    ) -> Scalar:
        if not isinstance(target, PreparedAnnotations):
            target = self.prepare(target, ignored=ignored)
        else:
            refuse_ignored(ignored)
        if target.axes != self.axes:
            raise ValueError(
                f"`target` must be prepared for the axes {self.axes}, got {target.axes}; call "
                "`prepare` of this loss"
            )
        check_rule(target.images[0], self.rule)
        device = target.images[0].target.device
        check_prediction(prediction, tuple(prediction.shape), device, dims=3)
        for axis, image in zip(self.axes, target.images, strict=True):
            _check_fits(prediction, axis, image.target)
        images = min_projections(prediction, self.axes)
        squares = [
            mse_loss(image, part.target, ignored=part.ignored)
            for image, part in zip(images, target.images, strict=True)
        ]
        connectivity = penalties(images, target.images, self.backend)
        return torch.stack(squares).sum() + self.conn_weight * torch.stack(connectivity).sum()


def _one_each(name: str, maps: Sequence[Tensor], axes: Sequence[int]) -> tuple[Tensor, ...]:
    if isinstance(maps, Tensor):
        raise TypeError(
            f"`{name}` must be a sequence of one 2-D map for each axis, got one tensor "
            f"{tuple(maps.shape)}; with a 3-D annotation use L3DLoss, or give "
            "min_projections(annotation)"
        )
    if len(maps) != len(axes):
        raise ValueError(
            f"`{name}` must hold one map for each of the axes {tuple(axes)}, got {len(maps)}; "
            "give `axes` those that are annotated"
        )
    return tuple(maps)


def _check_fits(prediction: Tensor, axis: int, annotation: Tensor) -> None:
    fitting = tuple(length for a, length in enumerate(prediction.shape) if a != axis)
    if tuple(annotation.shape) != fitting:
        raise ValueError(
            f"`target` must have the shape {fitting} for axis {axis} of a prediction "
            f"{tuple(prediction.shape)}, got {tuple(annotation.shape)}; axes keep their order"
        )
