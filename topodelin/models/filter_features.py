r"""Eight numbers about a pixel and its neighbours, for classifiers of single pixels.

Along an axis, with neighbours $a$ (before), $b$ (the pixel), $c$ (after):

    derivative  c - a            Sobel     the derivative, smoothed a + 2 b + c across it
    second      a - 2 b + c      Prewitt   the derivative, smoothed a +   b + c across it

The magnitude of a gradient is the root of the sum of both squares; the Laplacian is the sum of both
second differences. Images are filtered in the plane, volumes slice by slice. Beyond its border an
image goes on with the pixels of the border.

References:
    I. Sobel, G. Feldman. A 3x3 isotropic gradient operator for image processing. 1968.
    J. Prewitt. Object enhancement and extraction. Picture Processing and Psychopictorics, 1970.

Every value comes from the same few additions in the same order wherever it lies, so that a tile
gives bit for bit what the whole image gives, and a tree decides the same.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor

FEATURES = (
    "intensity",
    "sobel_y",
    "sobel_x",
    "sobel_magnitude",
    "laplace",
    "prewitt_y",
    "prewitt_x",
    "prewitt_magnitude",
)
REACH = 1  # pixels on either side that a feature depends on


def filter_features(
    images: Float[Tensor, "*batch y x"], names: Sequence[str] = FEATURES
) -> Float32[Tensor, "*batch feature y x"]:
    """The named features of every pixel, in the order of the names.

    Args:
        images: images, or volumes whose slices are filtered one by one.
        names: among `FEATURES`.

    Raises:
        ValueError: for an unknown name, one given twice, or none.
    """
    check_features(names)
    plane = images.float()
    found = {"intensity": plane, "laplace": _second(plane, -2) + _second(plane, -1)}
    for name, middle in (("sobel", 2), ("prewitt", 1)):
        if any(wanted.startswith(name) for wanted in names):
            down = _smooth(_derivative(plane, -2), -1, middle)
            along = _smooth(_derivative(plane, -1), -2, middle)
            found[f"{name}_y"], found[f"{name}_x"] = down, along
            found[f"{name}_magnitude"] = (down * down + along * along).sqrt()
    return torch.stack([found[name] for name in names], dim=-3)


def check_features(names: Sequence[str]) -> None:
    """Refuse names that are not those of features."""
    unknown = [name for name in names if name not in FEATURES]
    if unknown or not names or len(set(names)) < len(names):
        raise ValueError(
            f"`features` must name one or more of {', '.join(FEATURES)}, each once, got "
            f"{list(names)}"
        )


def _derivative(plane: Tensor, axis: int) -> Tensor:
    before, after = _neighbours(plane, axis)
    return after - before


def _second(plane: Tensor, axis: int) -> Tensor:
    before, after = _neighbours(plane, axis)
    return before - 2 * plane + after


def _smooth(plane: Tensor, axis: int, middle: int) -> Tensor:
    before, after = _neighbours(plane, axis)
    return before + middle * plane + after


def _neighbours(plane: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The pixels before and after each along an axis; at the border the pixel itself."""
    size = plane.shape[axis]
    before = torch.cat([plane.narrow(axis, 0, 1), plane.narrow(axis, 0, size - 1)], dim=axis)
    after = torch.cat([plane.narrow(axis, 1, size - 1), plane.narrow(axis, size - 1, 1)], dim=axis)
    return before, after
