"""What the topology loss can know before there is a prediction: the regions of the annotation."""

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Float32, Int32
from torch import Tensor

from topodelin.losses.kernels.host_threads import over_ranges
from topodelin.losses.prepared import moved_record
from topodelin.losses.topology.backend import on_host, region_constants
from topodelin.losses.topology.regions import label_windows
from topodelin.losses.topology.regions_torch import label_windows_by_torch
from topodelin.losses.topology.rule import TopologyRule
from topodelin.losses.topology.windows import cut

WORTH_A_THREAD = 8  # windows
Record = TypeVar("Record", bound=Any)


@dataclass(frozen=True)
class PreparedImages:
    """Annotated images with their windows and regions, for a loss of the same `rule`.

    Can be pickled, so the workers of a data loader can make it.
    """

    rule: TopologyRule
    target: Float[Tensor, "batch channel height width"]
    windows: Float32[Tensor, "windows rows columns"]
    """The target in windows."""
    outside: Bool[Tensor, "windows rows columns"]
    """Pixels that are ignored, or beyond the image."""
    labels: Int32[Tensor, "windows rows columns"]
    """Region of each pixel, from 1; 0 on the separator and where `outside`."""
    ignored: Bool[Tensor, "batch channel height width"] | None
    """Pixels that are left out."""

    def to(self, device: torch.device | str) -> "PreparedImages":
        """The same on another device."""
        return moved_record(self, device)


def prepare_images(
    target: Float[Tensor, "batch channel height width"],
    rule: TopologyRule,
    ignored: Bool[Tensor, "batch channel height width"] | None = None,
    backend: str = "auto",
) -> PreparedImages:
    """Cut annotated images, checked before, into windows and label their regions.

    Args:
        ignored: True where a pixel is left out; it belongs to no region.
        backend: see [`topology_weights`][].
    """
    images = target.detach().flatten(0, 1).float()
    windows = cut(images, rule, rule.d_max)
    left_out = torch.zeros_like(images, dtype=torch.bool)
    outside = cut(left_out if ignored is None else ignored.flatten(0, 1), rule, True)
    constants = region_constants(rule)
    if on_host(backend, target.device):
        labels = torch.empty(windows.shape, dtype=torch.int32)
        arrays = windows.cpu().numpy(), outside.cpu().numpy()

        def work(begin: int, end: int) -> None:
            label_windows(*arrays, **constants, begin=begin, end=end, labels=labels.numpy())

        over_ranges(work, len(windows), WORTH_A_THREAD)
        labels = labels.to(target.device)
    else:
        labels = label_windows_by_torch(windows, outside, **constants)
    return PreparedImages(rule, target.detach(), windows, outside, labels, ignored)


def check_rule(prepared: PreparedImages, rule: TopologyRule) -> None:
    """Refuse what was prepared for other windows, regions or edges."""
    if prepared.rule != rule:
        different = [
            name for name, value in vars(rule).items() if getattr(prepared.rule, name) != value
        ]
        raise ValueError(
            "`target` must be prepared by a loss of the same constants, got others in "
            f"{', '.join(different)}; call `prepare` of this loss"
        )


def refuse_ignored(ignored: object) -> None:
    """Refuse a mask that comes too late."""
    if ignored is not None:
        raise ValueError(
            "`ignored` must be None with a prepared target, got a mask; give it to `prepare`"
        )
