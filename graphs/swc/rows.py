"""The rows of an SWC file as numbers, each with the line it stands on.

Tabs, several spaces, Windows line ends, a byte order mark, comments anywhere, blank lines, more
than seven columns and ids written as `1.0` are all accepted.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Literal

import numpy as np

from topodelin.graphs.text_files import TextFileError, read_text

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

    @property
    def comments(self) -> list[str]:
        """The lines that are comments, with their `#`."""
        return comment_lines(self.lines)


def read_rows(path: str | PathLike[str]) -> SwcRows:
    """Read the numbers of an SWC file.

    Raises:
        SwcError: the file is empty, holds only comments, or is no text; or it is a folder.
        OSError: it cannot be opened.
    """
    lines = _text(path).split("\n")
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


def read_comments(path: str | PathLike[str]) -> list[str]:
    """The lines of an SWC file that are comments, with their `#`."""
    return comment_lines(_text(path).split("\n"))


def comment_lines(lines: Iterable[str]) -> list[str]:
    """Those of some lines that are comments, with their `#`."""
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line.startswith("#")]


def numbered_fields(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The columns of each line that is neither blank nor a comment, with its number from 1."""
    for number, line in enumerate(lines, 1):
        fields = line.partition("#")[0].split()
        if fields:
            yield number, fields


def _text(path: str | PathLike[str]) -> str:
    try:
        return read_text(path)
    except TextFileError as error:
        raise SwcError(str(error)) from None


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
