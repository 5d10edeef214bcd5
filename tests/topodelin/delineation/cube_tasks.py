"""Tasks for crews that do not need an image; importable by worker processes."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from topodelin.volumes import Index

FINE, RAISES, DIES, HANGS = range(4)


@dataclass(frozen=True)
class Trouble:
    """Does what the first number of a cube says; trouble comes once for each cube, if `once`."""

    marks: Path
    once: bool = True

    def __call__(self, cube: Index) -> tuple[Index, int]:
        mark = self.marks / "-".join(map(str, cube))
        if not (self.once and mark.exists()):
            mark.touch()
            if cube[0] == RAISES:
                raise ValueError(f"cube {cube} is no good")
            if cube[0] == DIES:
                os._exit(7)
            if cube[0] == HANGS:
                time.sleep(600)
        return cube, os.getpid()


@dataclass(frozen=True)
class CannotBegin:
    """A worker that looks around and finds that it cannot do anything."""

    def check(self) -> None:
        raise OSError("/elsewhere: is not mounted here")

    def __call__(self, cube: Index) -> None:
        return None


class DiesAtOnce:
    """Kills the process that unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (5,)

    def __call__(self, cube: Index) -> None:
        return None
