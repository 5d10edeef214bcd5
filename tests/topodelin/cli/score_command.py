"""`topodelin score` in this process, which starts at once; and small files for it."""

import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from topodelin.cli import main

LINE = "1 2 0 0 0 1 -1\n2 2 100 0 0 1 1\n"
FORK = "1 2 0 0 0 1 -1\n2 2 50 0 0 1 1\n3 2 100 0 0 1 2\n4 2 50 60 0 1 2\n"
CUT = "1 2 0 0 0 1 -1\n2 2 30 0 0 1 1\n3 2 40 0 0 1 -1\n4 2 100 0 0 1 3\n5 2 50 0 0 1 3\n"


@dataclass(frozen=True)
class Done:
    """What a finished command left: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str | Path) -> Done:
    """`topodelin score` with these arguments."""
    command = ["topodelin", "score", *map(str, arguments)]
    with (
        patch.object(sys, "argv", command),
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
    ):
        try:
            main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code or 0
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def refused(*arguments: str | Path) -> str:
    """The one line that answers a mistake; nothing else is printed and the exit code is 2."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    return done.stderr.removeprefix("error: ").strip()


def written(folder: Path, **texts: str) -> list[Path]:
    """SWC files of these names and texts."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.swc" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    return paths
