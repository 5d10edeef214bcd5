"""A list of errors as a file: CSV for tables, markers (.apo) for Vaa3D and TeraFly."""

import csv
from collections.abc import Sequence
from itertools import zip_longest
from os import PathLike
from pathlib import Path

from topodelin.graphs.find_errors import TracingError

COLOURS = {
    "gap": (255, 0, 0),
    "bridge": (255, 0, 255),
    "missing_branch": (255, 160, 0),
    "spurious_branch": (0, 160, 255),
    "displaced": (255, 255, 0),
}
APO_HEADER = (
    "##n,orderinfo,name,comment,z,x,y,pixmax,intensity,sdev,volsize,mass,,,,color_r,color_g,color_b"
)


def write_errors_csv(
    path: str | PathLike[str], errors: Sequence[TracingError], *, costs: Sequence[float] = ()
) -> None:
    """One row for each error: rank, kind, place and length in µm, and the cost where known.

    Args:
        path: the file to write.
        errors: in the order of the rows, of `TracingErrors` or `ErrorCosts`.
        costs: for each error, from `ErrorCosts`.
    """
    if len(costs) not in (0, len(errors)):
        raise ValueError(f"`costs` must hold one number for each of {len(errors)} errors, or none")
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["rank", "kind", "z_um", "y_um", "x_um", "length_um", "cost_um"])
        for rank, (error, cost) in enumerate(zip_longest(errors, costs), 1):
            place = (f"{value:.3f}" for value in (*error.position, error.length))
            table.writerow([rank, error.kind, *place, "" if cost is None else f"{cost:.3f}"])


def write_errors_apo(
    path: str | PathLike[str],
    errors: Sequence[TracingError],
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> None:
    """One marker for each error, named by its kind and coloured by it.

    Args:
        path: the file to write.
        errors: what to mark, of `TracingErrors` or `ErrorCosts`.
        spacing: µm per voxel `(z, y, x)` of the image that the markers are shown on; with the
            default they stand in µm.
    """
    lines = [APO_HEADER]
    for rank, error in enumerate(errors, 1):
        z, y, x = (p / s for p, s in zip(error.position, spacing, strict=True))
        comment = f"{error.length:.1f} um"
        red, green, blue = COLOURS[error.kind]
        lines.append(
            f"{rank},{rank},{error.kind},{comment},{z:.3f},{x:.3f},{y:.3f},"
            f"0,0,0,50,0,,,,{red},{green},{blue}"
        )
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
