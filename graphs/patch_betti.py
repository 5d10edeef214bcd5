"""Betti errors of patches: where topology is wrong, errors in different places do not cancel.

Papers report the Betti error as the mean over patches of an image of the absolute difference of
the Betti numbers. It is another number than that of the whole image: what lies in two patches
counts twice, a loop larger than a patch is none, and a lost component and a false one cancel only
within a patch. Here the patches lie on a lattice, so that nothing is left to chance.

References:
    X. Hu, F. Li, D. Samaras, C. Chen. Topology-preserving deep image segmentation. NeurIPS 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from topodelin.graphs.betti import Connectivity, check_masks, mask_betti_errors
from topodelin.graphs.checks import json_ready


@dataclass(frozen=True)
class PatchBettiErrors:
    """Betti errors of all patches, to be added up over several images.

    Args:
        errors: sum over the patches of the absolute differences, one for each dimension.
        patches: number of patches.
        patch, stride: the parameters, voxels.
    """

    errors: tuple[int, ...]
    patches: int
    patch: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def means(self) -> tuple[float, ...]:
        """Mean error of a patch in each dimension, 0 at best."""
        return tuple(error / self.patches for error in self.errors)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON."""
        names = ("components", "loops", "cavities")
        means = dict(zip(names, self.means, strict=False))
        return json_ready(
            {
                **{f"patch_error_{name}": mean for name, mean in means.items()},
                "patches": self.patches,
            }
        )


def patch_betti_errors(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    patch: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    connectivity: Connectivity = "high",
) -> PatchBettiErrors:
    """Compare the Betti numbers of two masks patch by patch.

    Args:
        truth: (y, x) or (z, y, x), foreground where not 0.
        predicted: the same shape.
        patch: voxels along each axis, or one number for all.
        stride: voxels from one patch to the next; those of the patch by default. The last patch
            along an axis is moved back to end with the image, so that every voxel is in one.
        connectivity: as in `mask_betti_numbers`.

    Outside a patch is background. A patch larger than the image is the image.
    """
    truth, predicted = check_masks(truth, predicted)
    sizes = _per_axis(patch, truth.ndim, "patch")
    strides = sizes if stride is None else _per_axis(stride, truth.ndim, "stride")
    if any(step > size for step, size in zip(strides, sizes, strict=True)):
        raise ValueError(
            f"`stride` must be at most the patch, {sizes}, or voxels are left out, got {strides}"
        )
    axes = [
        [slice(start, start + size) for start in _starts(length, size, step)]
        for length, size, step in zip(truth.shape, sizes, strides, strict=True)
    ]
    errors = np.zeros(truth.ndim, dtype=np.int64)
    patches = 0
    for part in product(*axes):
        patches += 1
        if truth[part].any() or predicted[part].any():
            found = mask_betti_errors(truth[part], predicted[part], connectivity=connectivity)
            errors += found.errors
    return PatchBettiErrors(tuple(errors.tolist()), patches, sizes, strides)


def _starts(length: int, size: int, step: int) -> list[int]:
    last = max(0, length - size)
    return [*range(0, last, step), last]


def _per_axis(value: int | Sequence[int], dims: int, name: str) -> tuple[int, ...]:
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) != dims or not all(number >= 1 for number in values):
        raise ValueError(f"`{name}` must be voxels from 1 up for each of {dims} axes, got {value}")
    return values
