"""The unit of the numbers in an SWC file: micrometres, nanometres or voxels."""

import re
from collections.abc import Iterable, Sequence
from math import sqrt

from topodelin.graphs.spacing import Spacing, check_spacing

UNITS = ("um", "voxel", "nm")
IN_UM = "x, y, z and radius in um"
IN_NM = "x, y, z and radius in nm"
NM = (1e-3, 1e-3, 1e-3)  # µm: nanometres are voxels of that size
IN_VOXELS = "x, y, z and radius in voxels; (0, 0, 0) is the centre of the first; um per voxel"
AXES = r"z (\S+) y (\S+) x (\S+)$"


def um_per_unit(unit: str, spacing: Sequence[float] | None) -> Spacing:
    """µm per unit of a file along z, y and x.

    Args:
        unit: one of `UNITS`.
        spacing: µm per voxel `(z, y, x)`, with `"voxel"` only.
    """
    if unit not in UNITS:
        raise ValueError(f"`unit` must be one of {', '.join(UNITS)}, got {unit!r}")
    if unit == "voxel":
        if spacing is None:
            raise ValueError(
                "`spacing` must be given with unit voxel: µm per voxel (z, y, x), "
                "for example (1.0, 0.3, 0.3), on the command line --spacing 1.0,0.3,0.3"
            )
        return check_spacing(spacing)
    if spacing is not None:
        raise ValueError(
            f"`spacing` has no meaning with unit {unit}, got {spacing!r}; "
            "leave it out, or say unit voxel"
        )
    return NM if unit == "nm" else (1.0, 1.0, 1.0)


def in_plane(spacing: Spacing) -> float:
    """µm per unit of a radius: one number for three axes, measured in the plane of the image.

    The geometric mean of the spacing along y and x, so that a disc keeps its area.
    """
    return sqrt(spacing[1] * spacing[2])


def unit_line(spacing: Sequence[float] | None) -> str:
    """The comment that tells the unit of a file: µm, nm, or voxels of a spacing in µm."""
    if spacing is None:
        return IN_UM
    z, y, x = check_spacing(spacing)
    if (z, y, x) == NM:
        return IN_NM
    return f"{IN_VOXELS}: z {z!r} y {y!r} x {x!r}"


def unit_in_comments(lines: Iterable[str]) -> tuple[str, Spacing | None] | None:
    """The unit and spacing that a comment of `write_swc` tells; None where none does.

    Args:
        lines: comments.
    """
    for line in lines:
        text = line.strip().removeprefix("#").strip()
        if text in (IN_UM, IN_NM):
            return text.rsplit(" ", 1)[1], None
        if text.startswith(IN_VOXELS) and (found := re.search(AXES, text)):
            try:
                return "voxel", check_spacing([float(part) for part in found.groups()])
            except ValueError:
                return None
    return None


def without_layout(comments: Iterable[str]) -> list[str]:
    """The comments, without their `#`, that say nothing of units and columns."""
    texts = [comment.lstrip("#").strip() for comment in comments]
    layout = (IN_UM, IN_NM, IN_VOXELS, "id type x y z radius parent", "n,type,x,y,z,radius,parent")
    return [text for text in texts if not text.startswith(layout)]
