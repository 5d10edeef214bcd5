"""A run to which things happen, each start of it a process that can be killed.

A run is a forked process in a process group of its own; it is forked from a process that holds all
libraries and has never computed anything, so that it starts at once and without threads.
"""

import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from follow_light import THRESHOLD, FollowLight, card
from sparse_brain import SparseBrain

from topodelin.delineation import SearchRule, delineate
from topodelin.delineation.crews import processes
from topodelin.volumes import Index, Spacing, open_volume

CUBE: Index = (16, 16, 16)
MARGIN: Index = (2, 2, 2)
SPACING: Spacing = (1.0, 1.0, 1.0)
DONE, REFUSED, FAILED_CUBES = 0, 1, 3  # how a run ends
PATIENCE_S = 120.0
GROUP_S = 20.0  # for workers to end after their coordinator


class Wrong(Exception):
    """What the engine did that it must not do."""


@dataclass(frozen=True, eq=False)
class Patient:
    """A run to which things happen.

    Args:
        brain: what is delineated.
        run: folder of the run.
        seconds: that an undisturbed run takes.
        cube_seconds: that its network takes for each cube.
        cubes: that an undisturbed run stores.
        started: ids of processes started.
    """

    brain: SparseBrain
    run: Path
    seconds: float
    cube_seconds: float
    cubes: int = 0
    started: list[int] = field(default_factory=list)

    @property
    def hang(self) -> Path:
        """A file whose presence makes one worker hang."""
        return self.brain.path.parent / "hang"

    @property
    def words(self) -> Path:
        """What all runs of this brain print."""
        return self.brain.path.parent / "said.txt"

    def start(self, *, spawn: bool = False, **options: Any) -> int:
        """Go on with the run in a process of its own; its id.

        Args:
            spawn: workers begin as fresh interpreters, as they do for users, and not as copies of
                a warm process.
            options: of `delineate`.
        """
        child = os.fork()
        if child:
            self.started.append(child)
            return child
        code = 99
        try:
            os.setpgid(0, 0)
            said = os.open(self.words, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(said, 1)
            os.dup2(said, 2)
            if not spawn:
                forked = multiprocessing.get_context("fork")
                multiprocessing.get_context = lambda method=None: forked  # type: ignore
                processes.END_S = 0.1  # copies hold each other's pipes, so none sees its close
            code = self._delineate(**options)
        except (OSError, ValueError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            code = REFUSED
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _delineate(self, **options: Any) -> int:
        torch.set_num_threads(1)
        result = delineate(
            open_volume(self.brain.path),
            self.run,
            FollowLight(self.cube_seconds, self.hang),
            card(CUBE, MARGIN, SPACING),
            seeds=self.brain.somata,
            rule=SearchRule(threshold=THRESHOLD, min_voxels=10),
            progress=None,
            **options,
        )
        return FAILED_CUBES if result.failed else DONE

    def wait_at_random(self, rng: np.random.Generator) -> None:
        """Until some moment of a run that was just started, most often while it searches."""
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0, self.seconds))
            return
        wanted = int(rng.integers(min(self.stored(), self.cubes), self.cubes + 1))
        limit = time.monotonic() + self.seconds
        while self.stored() < wanted and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 2 * self.cube_seconds))

    def stored(self) -> int:
        """Cubes whose distance map is there."""
        return sum(1 for _ in (self.run / "distance_map.ome.zarr" / "0").glob("*/*/*"))

    def wait(self, pid: int, allowed: set[int]) -> int:
        """The exit code of a started run.

        Raises:
            Wrong: another code than those allowed, or no end within `PATIENCE_S`.
        """
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                self.end_group(pid)
                if code not in allowed:
                    raise Wrong(f"ended with {code}, not one of {sorted(allowed)}: {self.said()}")
                return code
            time.sleep(0.005)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise Wrong(f"did not end within {PATIENCE_S:g} s: {self.said()}")

    def end_group(self, pid: int) -> None:
        """Workers end with their coordinator, within seconds.

        Raises:
            Wrong: some did not.
        """
        limit = time.monotonic() + GROUP_S
        while time.monotonic() < limit:
            try:
                os.killpg(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.01)
        os.killpg(pid, signal.SIGKILL)
        raise Wrong("worker processes outlive their coordinator")

    def end_all(self) -> None:
        """End what a fault that went wrong has left."""
        for pid in self.started:
            with suppress(ProcessLookupError, ChildProcessError):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def said(self) -> str:
        """The last lines of what runs said."""
        text = self.words.read_text(encoding="utf-8", errors="replace")
        return " | ".join(text.splitlines()[-6:])
