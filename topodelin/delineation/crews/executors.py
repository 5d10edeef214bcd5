"""A crew made of any executor of `concurrent.futures` that a caller has."""

import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from topodelin.delineation.crews.crew import Crew, CubeTask, End, Outcome
from topodelin.delineation.crews.processes import WorkersLost
from topodelin.volumes import Index


class OnExecutor(Crew):
    """Hands cubes to an executor, which is not shut down here.

    The task is sent with every cube. A cube that takes too long is given up, but whoever does it
    cannot be stopped from here.

    Args:
        task: what is done with a cube; picklable if the executor needs that.
        count: cubes in hand at the same time.
        executor: threads, processes, or a cluster's.
        timeout: seconds that one cube may take, waiting included; None waits for ever.
    """

    def __init__(
        self, task: CubeTask, count: int, executor: Executor, *, timeout: float | None = None
    ) -> None:
        self._task, self._count, self._executor, self._timeout = task, count, executor, timeout
        self._futures: dict[Future[Any], tuple[Index, float]] = {}

    @property
    def count(self) -> int:
        return self._count

    @property
    def in_hand(self) -> int:
        return len(self._futures)

    def submit(self, cube: Index) -> None:
        try:
            future = self._executor.submit(self._task, cube)
        except (BrokenExecutor, RuntimeError) as error:
            raise _broken(error) from error
        self._futures[future] = cube, time.monotonic()

    def wait(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while not outcomes and self._futures:
            finished, _ = wait(self._futures, self._pause(), FIRST_COMPLETED)
            for future in finished:
                cube, _ = self._futures.pop(future)
                error = future.exception()
                if isinstance(error, BrokenExecutor):
                    raise _broken(error) from error
                if error is None:
                    outcomes.append(Outcome(cube, End.DONE, future.result()))
                elif isinstance(error, Exception):
                    outcomes.append(Outcome(cube, End.RAISED, error=error))
                else:
                    raise error
            outcomes += self._expire()
        return outcomes

    def close(self) -> None:
        for future in self._futures:
            future.cancel()
        self._futures.clear()

    def _pause(self) -> float | None:
        if self._timeout is None:
            return None
        first = min(since for _, since in self._futures.values())
        return max(0.0, first + self._timeout - time.monotonic())

    def _expire(self) -> list[Outcome]:
        now, limit = time.monotonic(), self._timeout
        late = [
            future
            for future, (_, since) in self._futures.items()
            if limit is not None and now - since >= limit
        ]
        for future in late:
            future.cancel()
        error = TimeoutError(f"took longer than {limit or 0:g} s")
        cubes = [self._futures.pop(future)[0] for future in late]
        return [Outcome(cube, End.EXPIRED, error=error) for cube in cubes]


def _broken(error: BaseException) -> WorkersLost:
    return WorkersLost(
        f"the executor broke ({error}); what is done so far is safe: start a new one and call again"
    )
