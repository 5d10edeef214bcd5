"""Suspicious spots: places of a tracing that a person should look at first, as a ranked table."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from topodelin.delineation.run_folder import write_whole

KINDS = ("gap", "weak_bridge", "crossing", "several_seeds", "bright_end", "failed_cube")
COLUMNS = ("rank", "kind", "z_um", "y_um", "x_um", "severity", "size_um", "trees", "note")


@dataclass(frozen=True)
class Spot:
    """One place that may be wrong.

    Args:
        kind: one of `KINDS`. A gap is two ends that face each other and were not joined; a weak
            bridge was joined with little confidence; at a crossing two neurites touch or touched;
            several seeds lie on one tree; a bright end is an end where the image goes on; a failed
            cube could not be predicted.
        position: µm, `(z, y, x)`.
        severity: 0 to 1, what the ranking goes by; the formula of each kind stands in `suspicious`.
        size_um: length of the gap, of the bridge, of what is beyond the end; side of a failed cube.
        trees: numbers of the trees concerned, as in `trees.csv`, from 1.
        note: what was seen, in a few words.
    """

    kind: str
    position: tuple[float, float, float]
    severity: float
    size_um: float
    trees: tuple[int, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {KINDS}, got {self.kind!r}")
        if not 0 <= self.severity <= 1:
            raise ValueError(f"`severity` must lie between 0 and 1, got {self.severity}")


def ranked(spots: Iterable[Spot]) -> list[Spot]:
    """The worst first; among equals the larger, then by kind and place."""
    return sorted(spots, key=lambda s: (-s.severity, -s.size_um, KINDS.index(s.kind), s.position))


def write_spots(path: Path, spots: Sequence[Spot]) -> None:
    """A table `spots.csv`, one line for each spot in the given order; appears whole or not."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for rank, spot in enumerate(spots, 1):
        place = [f"{value:.3f}" for value in spot.position]
        numbers = [f"{spot.severity:.4f}", f"{spot.size_um:.3f}"]
        trees = " ".join(map(str, spot.trees))
        table.writerow([rank, spot.kind, *place, *numbers, trees, spot.note])
    write_whole(path, text.getvalue())


def read_spots(path: Path) -> list[Spot]:
    """What `write_spots` wrote, in its order.

    Raises:
        ValueError: names the line that is not a spot.
    """
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    if not lines or tuple(lines[0]) != COLUMNS:
        raise ValueError(f"{path}, line 1: must be {','.join(COLUMNS)}; trace the run again")
    spots = []
    for number, cells in enumerate(lines[1:], 2):
        try:
            _, kind, z, y, x, severity, size, trees, note = cells
            numbers = tuple(int(tree) for tree in trees.split())
            place = float(z), float(y), float(x)
            spots.append(Spot(kind, place, float(severity), float(size), numbers, note))
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}: is not a spot ({error}); trace the run again"
            ) from None
    return spots
