"""The rows of an SWC file as numbers, each with the line it stands on.

Tabs, several spaces, Windows line ends, a byte order mark, comments anywhere, blank lines, more
than seven columns and ids written as `1.0` are all accepted.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np

COMPRESSED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}

COLUMNS = ("id", "type", "x", "y", "z", "radius", "parent")


class SwcError(ValueError):
    """An SWC file that cannot be read as trees; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class SwcProblem:
    """What is wrong on one line (counted from 1) of an SWC file. An error stops `read_swc`."""

    line: int
    severity: Literal["error", "warning"]
    message: str


@dataclass(frozen=True, eq=False)
class SwcRows:
    """What an SWC file says.

    Args:
        values: (N, 7) float64, the columns `id type x y z radius parent` of each row of numbers.
        lines: the text of the file.
        unreadable: the rows that are not seven numbers; they are not in `values`.
    """

    values: np.ndarray
    lines: list[str]
    unreadable: list[SwcProblem]

    @cached_property
    def line_numbers(self) -> list[int]:
        """The line of each row of `values`, counted from 1."""
        skip = {problem.line for problem in self.unreadable}
        return [number for number, _ in numbered_fields(self.lines) if number not in skip]


def read_rows(path: str | PathLike[str]) -> SwcRows:
    """Read the numbers of an SWC file.

    Raises:
        SwcError: the file is empty, holds only comments, or is no text; or it is a folder.
        OSError: it cannot be opened.
    """
    lines = _text(Path(path)).split("\n")
    if next(numbered_fields(lines), None) is None:
        raise SwcError(
            f"{path}, line {len(lines)}: the file ends without a single node; "
            "an SWC file holds one node a line, `id type x y z radius parent`"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = np.loadtxt(lines, comments="#", usecols=range(7), ndmin=2)
    except (ValueError, UserWarning):  # somewhere a row is not seven numbers: find out where
        return _rows_one_by_one(lines)
    return SwcRows(values, lines, [])


def numbered_fields(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The columns of each line that is neither blank nor a comment, with its number from 1."""
    for number, line in enumerate(lines, 1):
        fields = line.partition("#")[0].split()
        if fields:
            yield number, fields


def _text(path: Path) -> str:
    if path.is_dir():
        raise SwcError(f"{path}: is a folder; give the SWC files in it one by one")
    data = path.read_bytes()
    if not data:
        raise SwcError(f"{path}, line 1: the file is empty (0 bytes); write or copy it again")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SwcError(f"{path}, line 1: the text is UTF-16; save it as UTF-8 or ASCII")
    packed = next((name for start, name in COMPRESSED.items() if data.startswith(start)), None)
    if packed:
        raise SwcError(f"{path}, line 1: the file is compressed ({packed}); unpack it first")
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise SwcError(
            f"{path}, line {line}: byte {zero} is 0, so this is a binary or damaged file, not "
            "the text of an SWC file; choose another file or restore it from a copy"
        )
    text = data.decode("utf-8-sig", errors="replace")  # comments may be in any encoding
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _rows_one_by_one(lines: list[str]) -> SwcRows:
    values: list[list[float]] = []
    unreadable: list[SwcProblem] = []
    for number, fields in numbered_fields(lines):
        if len(fields) < len(COLUMNS):
            message = (
                f"a row has 7 columns, `{' '.join(COLUMNS)}`, separated by spaces or tabs, "
                f"got {len(fields)}: {_shown(' '.join(fields))}; complete or delete the line"
            )
            unreadable.append(SwcProblem(number, "error", message))
            continue
        row: list[float] = []
        for name, field in zip(COLUMNS, fields, strict=False):
            try:
                row.append(float(field))
            except ValueError:
                message = (
                    f"`{name}` must be a number with a decimal point, got {_shown(field)}; "
                    "correct it, or put # before the line if it is a comment"
                )
                unreadable.append(SwcProblem(number, "error", message))
                break
        else:
            values.append(row)
    return SwcRows(np.array(values, dtype=np.float64).reshape(-1, 7), lines, unreadable)


def _shown(text: str, longest: int = 40) -> str:
    return repr(text if len(text) <= longest else text[:longest] + "...")
