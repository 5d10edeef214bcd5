"""What the search makes of what its crew tells it."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from topodelin.delineation import search as module
from topodelin.delineation.crews.crew import Crew, End, Outcome
from topodelin.delineation.frontier import Counts, Frontier
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.search import Budget, NothingWorks, search
from topodelin.delineation.visit import StoreUnwritable, Visit
from topodelin.volumes import Box, Index

LATTICE = Lattice((4, 4, 40), (4, 4, 4))
ALONG_X = {(0, 0, -1): 0.5, (0, 0, 1): 0.5}


class Script(Crew):
    """Answers each cube as a function says, the first handed over first."""

    def __init__(self, answer: Callable[[Index], Outcome], count: int = 1) -> None:
        self.answer, self._count = answer, count
        self.cubes: deque[Index] = deque()
        self.seen: list[Index] = []
        self.most = 0

    @property
    def count(self) -> int:
        return self._count

    @property
    def in_hand(self) -> int:
        return len(self.cubes)

    def submit(self, cube: Index) -> None:
        self.cubes.append(cube)
        self.most = max(self.most, len(self.cubes))

    def wait(self) -> list[Outcome]:
        cube = self.cubes.popleft()
        self.seen.append(cube)
        return [self.answer(cube)]

    def close(self) -> None:
        pass


def done(cube: Index) -> Outcome:
    return Outcome(cube, End.DONE, Visit(cube, 1, ALONG_X))


def failing(cube: Index, end: End = End.RAISED, error: Exception | None = None) -> Outcome:
    return Outcome(cube, end, error=error or ValueError("no good"))


def test_every_cube_that_can_be_reached_is_visited_once(tmp_path: Path) -> None:
    crew = Script(done, count=3)
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([(0, 0, 4)])
        search(frontier, crew, LATTICE)
        assert list(frontier.done()) == list(LATTICE)
    assert sorted(crew.seen) == list(LATTICE)
    assert crew.most <= 3


def test_a_cube_fails_after_three_attempts_of_any_kind_and_is_listed(tmp_path: Path) -> None:
    ends = iter([End.RAISED, End.DIED, End.EXPIRED])

    def answer(cube: Index) -> Outcome:
        return failing(cube, next(ends)) if cube == (0, 0, 2) else done(cube)

    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([(0, 0, 0)])
        search(frontier, Script(answer), LATTICE)
        assert frontier.failed() == (((0, 0, 2), "ValueError: no good"),)
        assert frontier.counts == Counts(todo=0, leased=0, done=2, failed=1)


def test_a_returned_cube_is_not_held_against_anybody(tmp_path: Path) -> None:
    returned: set[Index] = set()

    def answer(cube: Index) -> Outcome:
        if cube in returned:
            return done(cube)
        returned.add(cube)
        return Outcome(cube, End.RETURNED)

    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([(0, 0, 0)])
        search(frontier, Script(answer), LATTICE, max_attempts=1)
        assert frontier.counts.done == LATTICE.total


def test_what_a_cluster_has_tried_often_enough_is_not_tried_again(tmp_path: Path) -> None:
    def answer(cube: Index) -> Outcome:
        return Outcome(cube, End.DIED, error=RuntimeError("all died"), final=True)

    crew = Script(answer)
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([(0, 0, 0)])
        search(frontier, crew, LATTICE)
        assert frontier.counts.failed == len(crew.seen) == 1


def test_cubes_outside_the_part_asked_for_are_skipped(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([(0, 0, 4)])
        search(frontier, Script(done), LATTICE, within=Box((0, 0, 12), (4, 4, 21)))
        assert list(frontier.done()) == [(0, 0, 3), (0, 0, 4), (0, 0, 5)]
        assert frontier.counts == Counts(todo=0, leased=0, done=3, failed=0, skipped=2)


def test_a_budget_of_cubes_or_hours_leaves_the_rest_waiting(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([(0, 0, 0)])
        search(frontier, Script(done, count=2), LATTICE, budget=Budget(cubes=3))
        assert frontier.counts == Counts(todo=1, leased=0, done=3, failed=0)
        hours = iter(range(0, 100))
        clock = lambda: 3600.0 * next(hours)  # noqa: E731
        search(frontier, Script(done), LATTICE, budget=Budget(hours=2.5), clock=clock)
        assert frontier.counts == Counts(todo=1, leased=0, done=5, failed=0)
    for wrong in (Budget, lambda **_: Budget(hours=0)):
        with pytest.raises(ValueError, match="`budget_"):
            wrong(cubes=0)


def test_an_image_that_is_gone_fails_no_cube_and_stops_at_once(tmp_path: Path) -> None:
    def gone() -> None:
        raise OSError("brain.zarr: is gone")

    crew = Script(lambda cube: done(cube) if cube[2] < 3 else failing(cube))
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([(0, 0, 0)])
        with pytest.raises(
            NothingWorks, match="image cannot be read any more .brain.zarr: is gone"
        ):
            search(frontier, crew, LATTICE, check_image=gone)
        assert frontier.counts == Counts(todo=1, leased=0, done=3, failed=0)
        search(frontier, Script(done), LATTICE)
        assert frontier.counts.done == LATTICE.total


def test_when_nothing_works_the_search_stops_before_it_has_failed_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILURES_IN_A_ROW", 4)
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add(LATTICE)
        with pytest.raises(NothingWorks, match="4 cubes in a row failed, .*: no good"):
            search(frontier, Script(failing), LATTICE)
        assert frontier.counts == Counts(todo=10, leased=0, done=0, failed=0)


def test_a_disk_that_is_full_is_no_fault_of_the_cube(tmp_path: Path) -> None:
    full = StoreUnwritable("map cannot be written (No space left on device)")
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add(LATTICE)
        with pytest.raises(StoreUnwritable, match="No space left"):
            search(frontier, Script(lambda cube: failing(cube, error=full)), LATTICE)
        attempts = frontier._database.execute("SELECT MAX(attempts) FROM cubes").fetchone()
        assert attempts == (0,)


def test_after_an_interruption_nothing_is_leased(tmp_path: Path) -> None:
    def interrupted(cube: Index) -> Outcome:
        raise KeyboardInterrupt

    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add(LATTICE)
        with pytest.raises(KeyboardInterrupt):
            search(frontier, Script(interrupted, count=3), LATTICE)
        assert frontier.counts == Counts(todo=10, leased=0, done=0, failed=0)
