"""A list of errors as a file: a table (.csv), markers for Vaa3D (.apo), or its cable (.swc)."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from topodelin.graphs.apo import Marker, write_apo
from topodelin.graphs.error_costs import ErrorCosts
from topodelin.graphs.find_errors import KINDS, TracingError
from topodelin.graphs.forest import spanning_forest
from topodelin.graphs.neurite_graph import joined
from topodelin.graphs.swc import write_swc

COLOURS = {
    "gap": (255, 0, 0),
    "bridge": (255, 0, 255),
    "missing_branch": (255, 160, 0),
    "spurious_branch": (0, 160, 255),
    "displaced": (255, 255, 0),
}
SWC_KINDS = {kind: 10 + number for number, kind in enumerate(KINDS)}  # custom structure types
CSV_HEADER = "rank,kind,z_um,y_um,x_um,length_um,cable_um,parts_um,cost_um,cost_connectivity".split(
    ","
)
SUFFIXES = (".csv", ".apo", ".swc")


def write_errors(
    path: str | PathLike[str],
    ranked: ErrorCosts,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> None:
    """The errors of a tracing from the most expensive on, in the format that the name ends with.

    Args:
        path: ends with .csv, .apo or .swc.
        ranked: from `error_costs`.
        spacing: of the markers, as in `write_errors_apo`.
    """
    suffix = Path(path).suffix.lower()
    both = {"costs": ranked.costs, "connectivity_costs": ranked.connectivity_costs}
    if suffix == ".csv":
        write_errors_csv(path, ranked.errors, **both)
    elif suffix == ".apo":
        write_errors_apo(path, ranked.errors, costs=ranked.costs, spacing=spacing)
    elif suffix == ".swc":
        write_errors_swc(path, ranked.errors, **both)
    else:
        raise ValueError(
            f"the name of a list of errors must end with {', '.join(SUFFIXES)}, got {Path(path)}"
        )


def write_errors_csv(
    path: str | PathLike[str],
    errors: Sequence[TracingError],
    *,
    costs: Sequence[float] = (),
    connectivity_costs: Sequence[float] = (),
) -> None:
    """One row for each error: rank, kind, place in µm, length, cable, parts, and costs where known.

    Args:
        path: the file to write.
        errors: in the order of the rows, of `TracingErrors` or `ErrorCosts`.
        costs, connectivity_costs: for each error, from `ErrorCosts`.

    `parts_um` holds the lengths of `TracingError.parts` with spaces between.
    """
    both = zip(
        _for_each(errors, costs, "costs"),
        _for_each(errors, connectivity_costs, "connectivity_costs"),
        strict=True,
    )
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(CSV_HEADER)
        for rank, (error, (cost, share)) in enumerate(zip(errors, both, strict=True), 1):
            numbers = (f"{um:.3f}" for um in (*error.position, error.length, error.cable))
            parts = " ".join(f"{um:.3f}" for um in error.parts)
            own = "" if cost is None else f"{cost:.3f}"
            table.writerow(
                [rank, error.kind, *numbers, parts, own, "" if share is None else f"{share:.9f}"]
            )


def write_errors_apo(
    path: str | PathLike[str],
    errors: Sequence[TracingError],
    *,
    costs: Sequence[float] = (),
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> None:
    """One marker for each error, numbered by rank, named by its kind and coloured by it.

    Args:
        path: the file to write.
        errors: what to mark, of `TracingErrors` or `ErrorCosts`.
        costs: for each error, from `ErrorCosts`, for the comment.
        spacing: µm per voxel `(z, y, x)` of the image that the markers are shown on; with the
            default they stand in µm.
    """
    known = _for_each(errors, costs, "costs")
    markers = [
        Marker(
            error.position,
            error.kind,
            f"{error.length:.1f} um" + ("" if cost is None else f" costs {cost:.1f} um"),
            COLOURS[error.kind],
        )
        for error, cost in zip(errors, known, strict=True)
    ]
    write_apo(path, markers, spacing=spacing)


def write_errors_swc(
    path: str | PathLike[str],
    errors: Sequence[TracingError],
    *,
    costs: Sequence[float] = (),
    connectivity_costs: Sequence[float] = (),
) -> None:
    """The cable of each error in µm, to be opened beside the tracing; its type tells the kind.

    Args:
        path: the file to write.
        errors: in the order of the file, of `TracingErrors` or `ErrorCosts`.
        costs, connectivity_costs: for each error, from `ErrorCosts`.

    The cable is that of the truth, or for bridges and spurious branches of the tracing; loops are
    cut open. The types are those of `SWC_KINDS`, from 10 on. A comment line at the top tells of
    each error its rank, kind, place, costs, and which ids are its.
    """
    known = zip(
        _for_each(errors, costs, "costs"),
        _for_each(errors, connectivity_costs, "connectivity_costs"),
        strict=True,
    )
    header = ["types: " + ", ".join(f"{number} {kind}" for kind, number in SWC_KINDS.items())]
    trees, last = [], 0
    for rank, (error, (cost, share)) in enumerate(zip(errors, known, strict=True), 1):
        tree = spanning_forest(error.stretch)
        trees.append(replace(tree, kinds=np.full(len(tree), SWC_KINDS[error.kind])))
        z, y, x = error.position
        words = f"{rank} {error.kind} at x {x:.3f} y {y:.3f} z {z:.3f}, {error.length:.3f} um long"
        words += f", concerns {error.cable:.3f} um"
        words += "" if cost is None else f", costs {cost:.3f} um"
        words += "" if share is None else f", connectivity {share:.9f}"
        header.append(f"{words}; ids {last + 1} to {last + len(tree)}")
        last += len(tree)
    write_swc(path, joined(trees), header=header)


def _for_each(
    errors: Sequence[TracingError], costs: Sequence[float], name: str
) -> Iterator[float | None]:
    """The cost of each error, or None for each."""
    if len(costs) not in (0, len(errors)):
        raise ValueError(
            f"`{name}` must hold one number for each of {len(errors)} errors, or none, "
            f"got {len(costs)}"
        )
    return iter(costs if len(costs) else [None] * len(errors))
