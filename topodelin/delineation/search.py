"""The search itself: cube after cube, outwards from the seeds, until nothing is left to visit."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from topodelin.delineation.crews.crew import MAX_ATTEMPTS, Crew, End, Outcome
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.visit import StoreUnwritable, Visit
from topodelin.volumes import Box, Index

Report = Callable[[int, int, int], None]

FAILURES_IN_A_ROW = 100  # of different cubes, and none done in between: nothing works any more


@dataclass(frozen=True)
class Budget:
    """When a search stops before it is finished.

    Args:
        cubes: done, in this and former runs.
        hours: of this run.
    """

    cubes: int | None = None
    hours: float | None = None

    def __post_init__(self) -> None:
        if self.cubes is not None and self.cubes < 1:
            raise ValueError(f"`budget_cubes` must be 1 or more, got {self.cubes}")
        if self.hours is not None and not (math.isfinite(self.hours) and self.hours > 0):
            raise ValueError(f"`budget_hours` must be positive, got {self.hours}")


class NothingWorks(OSError):
    """The search was stopped because it could only have failed every cube."""


def search(
    frontier: Frontier,
    crew: Crew,
    lattice: Lattice,
    *,
    within: Box | None = None,
    budget: Budget = Budget(),
    max_attempts: int = MAX_ATTEMPTS,
    check_image: Callable[[], None] = lambda: None,
    report: Report = lambda visited, total, waiting: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Visit every cube that can be reached from those in the frontier.

    Whoever visits a cube stores its distance map first; then, in one transaction, the cube is
    marked done and the neighbours it reaches are queued. A cube whose visit raises, whose worker
    dies or that takes too long is tried again later, and is failed after `max_attempts`.

    Args:
        frontier: holds the first cubes.
        crew: visits cubes; its results are of type `Visit`.
        lattice: the cubes.
        within: voxels of the working grid; cubes that share none with it are skipped.
        budget: when to stop.
        max_attempts: before a cube is failed.
        check_image: called after an error; raises if the image cannot be read at all any more.
        report: called with cubes visited, cubes in the lattice, cubes waiting.
        clock: seconds.

    Raises:
        StoreUnwritable: the distance map cannot be written.
        NothingWorks: the image is gone, or `FAILURES_IN_A_ROW` cubes failed one after the other.
        WorkersLost: of the crew.

    However it ends, cubes in hand are back in the queue.
    """
    ledger = _Ledger(frontier, lattice, within, max_attempts, check_image)
    end = math.inf if budget.hours is None else clock() + 3600 * budget.hours
    outcomes: Sequence[Outcome] = ()
    try:
        while True:
            with frontier.transaction():
                for outcome in outcomes:
                    ledger.enter(outcome)
                counts = frontier.counts
                room = crew.room(counts.todo) if clock() < end else 0
                if budget.cubes is not None:
                    room = min(room, budget.cubes - counts.done - crew.in_hand)
                cubes = frontier.lease(room)
            if ledger.reason_to_stop:
                raise ledger.reason_to_stop
            report(counts.done, lattice.total, counts.waiting)
            for cube in cubes:
                crew.submit(cube)
            if not crew.in_hand:
                return
            outcomes = crew.wait()
    finally:
        with suppress(OSError):  # what stopped the search is told; the next start releases too
            frontier.release()


class _Ledger:
    """Writes down what became of each cube, and notices when nothing works any more."""

    def __init__(
        self,
        frontier: Frontier,
        lattice: Lattice,
        within: Box | None,
        max_attempts: int,
        check_image: Callable[[], None],
    ) -> None:
        self._frontier, self._lattice, self._within = frontier, lattice, within
        self._max_attempts, self._check_image = max_attempts, check_image
        self._failing: set[Index] = set()  # since a cube was last done
        self.reason_to_stop: OSError | None = None

    def enter(self, outcome: Outcome) -> None:
        if outcome.end is End.DONE:
            self._failing.clear()
            self._finish(outcome.result)
        elif outcome.end is End.RETURNED:
            self._frontier.give_back([outcome.cube])
        else:
            self._fail(outcome)

    def _finish(self, visit: Visit) -> None:
        z, y, x = visit.cube
        reached = {
            neighbour: sure
            for (dz, dy, dx), sure in visit.directions.items()
            if (neighbour := (z + dz, y + dy, x + dx)) in self._lattice
        }
        outside = [cube for cube in reached if not self._wanted(cube)]
        for cube in outside:
            del reached[cube]
        self._frontier.finish(visit.cube, reached, visit.foreground, skipped=visit.blank)
        self._frontier.leave_out(outside)

    def _wanted(self, cube: Index) -> bool:
        return self._within is None or (self._lattice.core(cube) & self._within).size > 0

    def _fail(self, outcome: Outcome) -> None:
        error = outcome.error or RuntimeError("failed without a reason")
        if isinstance(error, StoreUnwritable):
            self._stop(outcome.cube, error)
            return
        try:
            self._check_image()
        except Exception as gone:
            message = f"the image cannot be read any more ({_one_line(gone)}); what is done so far "
            remedy = "is safe: see to it and start the same command again"
            self._stop(outcome.cube, NothingWorks(message + remedy))
            return
        attempts = 1 if outcome.final else self._max_attempts
        self._frontier.fail(outcome.cube, _described(error), max_attempts=attempts)
        self._failing.add(outcome.cube)
        if len(self._failing) >= FAILURES_IN_A_ROW:
            self.reason_to_stop = NothingWorks(
                f"{len(self._failing)} cubes in a row failed, the last one because: "
                f"{_described(error)}; what is done so far is safe: mend that and start the same "
                "command again"
            )

    def _stop(self, cube: Index, reason: OSError) -> None:
        self._frontier.give_back([cube])
        self.reason_to_stop = reason


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {_one_line(error)}"[:300]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
