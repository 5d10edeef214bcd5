"""Run `python killed_run.py FOLDER POINT...`: for each point, a run that kills itself there.

Each run is a forked process with a folder of its own under FOLDER. A point is `NAME:COUNT`: the
process sends itself SIGKILL when the named function is about to be called for the COUNTth time.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.topodelin.delineation.stand_in import Inverse, card, fork_in_space
from topodelin.delineation import delineate
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.tracing import forest_files
from topodelin.volumes import OmeZarrWriter

pipeline = sys.modules["topodelin.delineation.delineate"]  # the name itself is the function's

POINTS: dict[str, tuple[Any, str]] = {
    "before_a_chunk": (OmeZarrWriter, "write"),
    "before_a_mark": (Frontier, "finish"),
    "before_settings": (pipeline, "write_whole"),
    "before_tracing": (pipeline, "trace"),
    "before_a_swc_file": (forest_files, "write_swc"),
    "before_the_swap": (forest_files.os, "replace"),
    "before_the_table": (forest_files, "write_whole"),
}


def dying(function: Callable, count: int) -> Callable:
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return call


def main(folder: Path, points: list[str]) -> None:
    for point in points:
        child = os.fork()
        if not child:
            name, count = point.split(":")
            owner, attribute = POINTS[name]
            setattr(owner, attribute, dying(getattr(owner, attribute), int(count)))
            run = folder / point.replace(":", "_")
            delineate(fork_in_space(), run, Inverse(), card(), progress=None)
            os._exit(0)  # was not killed
        _, status = os.waitpid(child, 0)
        print(point, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
