"""The topology loss of minimum projections, with what the annotation alone decides done ahead."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from topodelin.losses.min_projection import min_projections
from topodelin.losses.prepared import moved_record
from topodelin.losses.topo import penalties
from topodelin.losses.topology.prepared import (
    PreparedImages,
    check_rule,
    prepare_images,
)
from topodelin.losses.topology.rule import TopologyRule

Volumes = Float[Tensor, "batch channel depth height width"]
Voxels = Bool[Tensor, "batch channel depth height width"]
Images = Float[Tensor, "batch images rows columns"]
Scalar = Float[Tensor, ""]


@dataclass(frozen=True)
class PreparedProjections:
    """The projections of annotated volumes, along some axes. Can be pickled."""

    shape: tuple[int, ...]
    """Of the volumes."""
    axes: tuple[int, ...]
    slab: int | None
    ignored: Voxels | None
    """Voxels that are left out."""
    images: tuple[PreparedImages, ...]
    """One for each axis."""

    def to(self, device: torch.device | str) -> "PreparedProjections":
        """The same on another device."""
        return moved_record(self, device)


def prepare_projections(
    target: Volumes,
    rule: TopologyRule,
    axes: Sequence[int],
    slab: int | None,
    ignored: Voxels | None,
    backend: str,
) -> PreparedProjections:
    """Project annotated volumes, checked before, and prepare each projection."""
    blank: list[Tensor] | list[None] = [None] * len(axes)
    if ignored is None:
        images = min_projections(target, axes, slab)
    else:
        images = min_projections(target.masked_fill(ignored, torch.inf), axes, slab)
        blank = [image.isinf() for image in images]
        images = [
            image.masked_fill(mask, rule.d_max) for image, mask in zip(images, blank, strict=True)
        ]
    prepared = [
        prepare_images(image, rule, mask, backend)
        for image, mask in zip(images, blank, strict=True)
    ]
    return PreparedProjections(tuple(target.shape), tuple(axes), slab, ignored, tuple(prepared))


def projected_penalties(
    prediction: Volumes, prepared: PreparedProjections, backend: str
) -> list[Scalar]:
    """The topology loss of each projection of volumes that were checked before."""
    if prepared.ignored is None:
        images = min_projections(prediction, prepared.axes, prepared.slab)
    else:
        seen = prediction.masked_fill(prepared.ignored, torch.inf)
        images = [
            # A ray of ignored voxels is an ignored pixel: any finite value will do.
            image if part.ignored is None else image.where(~part.ignored, part.target.to(image))
            for image, part in zip(
                min_projections(seen, prepared.axes, prepared.slab), prepared.images, strict=True
            )
        ]
    return penalties(images, prepared.images, backend)


def check_projected_alike(
    prepared: PreparedProjections, rule: TopologyRule, axes: Sequence[int], slab: int | None
) -> None:
    """Refuse what was prepared for other projections or other constants."""
    if prepared.axes != tuple(axes) or prepared.slab != slab:
        raise ValueError(
            f"`target` must be prepared for axes={tuple(axes)} and slab={slab}, got "
            f"{prepared.axes} and {prepared.slab}; call `prepare` of this loss"
        )
    check_rule(prepared.images[0], rule)
