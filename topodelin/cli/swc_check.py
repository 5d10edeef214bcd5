"""What `topodelin swc check` answers: the problems of each file by line, and a summary."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from topodelin.graphs import SwcError, SwcProblem, check_swc


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file and its problems, in the order of the lines."""

    path: Path
    problems: Sequence[SwcProblem]

    def count(self, severity: str) -> int:
        return sum(problem.severity == severity for problem in self.problems)

    def lines(self, most: int) -> list[str]:
        """One line for each problem, at most so many; 0 for all."""
        shown = self.problems[:most] if most else self.problems
        lines = [f"{self.path}:{p.line}: {p.severity}: {p.message}" for p in shown]
        left = len(self.problems) - len(shown)
        return lines + ([f"{self.path}: {left:,} more; --most 0 shows all"] if left else [])


def checked(path: Path) -> CheckedFile:
    """Check a file; what cannot be read as lines is one error."""
    try:
        return CheckedFile(path, check_swc(path))
    except SwcError as error:
        place, _, message = str(error).removeprefix(f"{path}, line ").partition(": ")
        return CheckedFile(path, [SwcProblem(int(place), "error", message)])


def summary(files: Sequence[CheckedFile]) -> str:
    """How many files are clean, and how many problems the others have."""
    errors, warnings = (sum(file.count(kind) for file in files) for kind in ("error", "warning"))
    clean = sum(not file.problems for file in files)
    counts = ", ".join(
        f"{number:,} {word}{'' if number == 1 else 's'}"
        for number, word in ((errors, "error"), (warnings, "warning"))
    )
    word = "file" if len(files) == 1 else "files"
    remedy = "; topodelin swc fix mends them" if errors else ""
    return f"{len(files):,} {word}, {clean:,} clean: {counts}{remedy}"


def answer(files: Sequence[CheckedFile]) -> dict[str, Any]:
    """Everything, ready for JSON."""
    return {
        "files": [
            {"path": str(file.path), "problems": [asdict(problem) for problem in file.problems]}
            for file in files
        ],
        "errors": sum(file.count("error") for file in files),
        "warnings": sum(file.count("warning") for file in files),
    }
