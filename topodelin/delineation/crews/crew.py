"""Who does something with each cube of a lattice: what every kind of crew has in common."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from topodelin.volumes import Index

CubeTask = Callable[[Index], Any]
"""What is done with a cube. A task that other processes get must be picklable. If it has a method
`check()`, each worker calls it once at the start; with a method `to(device)` it is put there."""

MAX_ATTEMPTS = 3


class End(Enum):
    """How an attempt at a cube ended."""

    DONE = "done"
    RAISED = "raised"  # an error
    DIED = "died"  # the worker process, with this cube in hand
    EXPIRED = "expired"  # it took too long, and was taken away
    RETURNED = "returned"  # nobody began with it


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one cube that was handed to a crew.

    Args:
        cube: place in the lattice.
        end: how it ended.
        result: what the task returned, if it is done.
        error: what went wrong, if it is not.
        final: another attempt makes no sense, since the crew has made several itself.
    """

    cube: Index
    end: End
    result: Any = None
    error: Exception | None = None
    final: bool = False


class Crew(ABC):
    """Does one task with cubes, one or several at a time.

    `submit` hands over a cube, `wait` gives what has become of some. A crew is closed with `with`;
    cubes in hand are dropped then.
    """

    ahead: int = 0  # cubes that may be handed over beyond those worked on, to keep all hands busy

    @property
    @abstractmethod
    def count(self) -> int:
        """Cubes that are worked on at the same time."""

    @property
    @abstractmethod
    def in_hand(self) -> int:
        """Cubes handed over whose outcome is not known."""

    @abstractmethod
    def submit(self, cube: Index) -> None:
        """Hand over a cube."""

    @abstractmethod
    def wait(self) -> list[Outcome]:
        """Wait until something became of at least one cube.

        Raises:
            OSError: there are no workers any more, or they cannot be started.
        """

    @abstractmethod
    def close(self) -> None:
        """Let the workers go."""

    def room(self, waiting: int) -> int:
        """Cubes to hand over now, if that many wait. The last few are not queued behind others."""
        return self.count + (self.ahead if waiting > self.count else 0) - self.in_hand

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class InProcess(Crew):
    """This process does the task, one cube at a time, within `wait`. It cannot be interrupted."""

    def __init__(self, task: CubeTask) -> None:
        self._task = task
        self._cubes: deque[Index] = deque()

    @property
    def count(self) -> int:
        return 1

    @property
    def in_hand(self) -> int:
        return len(self._cubes)

    def submit(self, cube: Index) -> None:
        self._cubes.append(cube)

    def wait(self) -> list[Outcome]:
        if not self._cubes:
            return []
        cube = self._cubes.popleft()
        try:
            return [Outcome(cube, End.DONE, self._task(cube))]
        except Exception as error:
            return [Outcome(cube, End.RAISED, error=error)]

    def close(self) -> None:
        self._cubes.clear()


def over_cubes(
    crew: Crew, cubes: Iterable[Index], *, max_attempts: int = MAX_ATTEMPTS
) -> Iterator[tuple[Index, Any]]:
    """`(cube, result)` of each cube in order of completion.

    A cube whose worker dies or hangs is tried again, `max_attempts` times in all.

    Raises:
        Exception: what the task raised, or what ended the last attempt.
    """
    waiting, attempts = iter(cubes), dict[Index, int]()
    again: deque[Index] = deque()
    more = True
    while more or again or crew.in_hand:
        while crew.count + crew.ahead > crew.in_hand:
            cube = again.popleft() if again else next(waiting, None)
            if cube is None:
                more = False
                break
            crew.submit(cube)
        for outcome in crew.wait():
            if outcome.end is End.DONE:
                attempts.pop(outcome.cube, None)
                yield outcome.cube, outcome.result
                continue
            if outcome.end is not End.RETURNED:
                attempts[outcome.cube] = attempts.get(outcome.cube, 0) + 1
            used_up = attempts.get(outcome.cube, 0) >= max_attempts
            if outcome.error and (outcome.end is End.RAISED or outcome.final or used_up):
                raise outcome.error
            again.append(outcome.cube)
