"""Whoever does the work: each cube has one outcome, and the right one is blamed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.topodelin.delineation.cube_tasks import (
    DIES,
    FINE,
    HANGS,
    RAISES,
    CannotBegin,
    DiesAtOnce,
    Trouble,
)
from topodelin.delineation.crews import processes
from topodelin.delineation.crews.crew import Crew, End, InProcess, Outcome, over_cubes
from topodelin.delineation.crews.executors import OnExecutor
from topodelin.delineation.crews.processes import Processes, WorkersLost, sendable
from topodelin.delineation.crews.workers import Workers
from topodelin.volumes import Index


def outcomes(crew: Crew, cubes: list[Index]) -> dict[Index, list[Outcome]]:
    """What became of cubes; one that was returned is handed over again."""
    waiting, found = list(cubes), {cube: [] for cube in cubes}
    while waiting or crew.in_hand:
        for _ in range(min(crew.room(len(waiting)), len(waiting))):
            crew.submit(waiting.pop(0))
        for outcome in crew.wait():
            found[outcome.cube].append(outcome)
            if outcome.end is End.RETURNED:
                waiting.append(outcome.cube)
    return found


def test_each_worker_process_answers_for_its_own_cubes_and_for_no_others(tmp_path: Path) -> None:
    fine = [(FINE, 0, x) for x in range(12)]
    bad = [(RAISES, 0, 0), (DIES, 0, 0), (HANGS, 0, 0)]
    crew = Processes(Trouble(tmp_path), 2, timeout=1.5)
    with crew:
        found = outcomes(crew, [*fine[:3], *bad, *fine[3:]])
        pids = crew.pids
    for cube in fine:
        *returned, last = found[cube]
        assert all(outcome.end is End.RETURNED for outcome in returned)
        assert (last.end, last.result[0]) == (End.DONE, cube)
    blamed = {cube: [o for o in found[cube] if o.end is not End.RETURNED] for cube in bad}
    assert [[o.end for o in blamed[cube]] for cube in bad] == [
        [End.RAISED],
        [End.DIED],
        [End.EXPIRED],
    ]
    messages = [str(blamed[cube][0].error) for cube in bad]
    assert messages[0] == "cube (1, 0, 0) is no good"
    assert "died with exit code 7" in messages[1]
    assert "took longer than 1.5 s, and its worker was killed" in messages[2]
    used = {o.result[1] for cube in fine for o in found[cube] if o.end is End.DONE}
    assert os.getpid() not in used
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_that_cannot_begin_stops_everything_with_its_reason() -> None:
    with Processes(CannotBegin(), 1) as crew, pytest.raises(OSError, match="is not mounted here"):
        outcomes(crew, [(0, 0, 0)])


def test_workers_that_die_while_they_start_are_not_started_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "START_ATTEMPTS", 2)
    with Processes(DiesAtOnce(), 1) as crew, pytest.raises(WorkersLost, match="2 worker processes"):
        outcomes(crew, [(0, 0, 0)])


def test_in_this_process_errors_are_outcomes_too(tmp_path: Path) -> None:
    found = outcomes(InProcess(Trouble(tmp_path)), [(FINE, 0, 0), (RAISES, 0, 0)])
    assert [o.end for cube in found for o in found[cube]] == [End.DONE, End.RAISED]


def test_an_executor_of_the_caller_is_used_and_left_open(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        with OnExecutor(Trouble(tmp_path), 2, threads) as crew:
            found = outcomes(crew, [(FINE, 0, x) for x in range(5)] + [(RAISES, 0, 0)])
        assert threads.submit(int, "3").result() == 3
    assert [o.end for cube in found for o in found[cube]] == [End.DONE] * 5 + [End.RAISED]


def test_an_executor_that_hangs_loses_the_cube_and_a_closed_one_ends_the_run(
    tmp_path: Path,
) -> None:
    class Sleeper(ThreadPoolExecutor):
        """Never begins."""

        def submit(self, *_: object, **__: object):  # type: ignore[override]
            from concurrent.futures import Future

            return Future()

    with Sleeper(1) as never, OnExecutor(Trouble(tmp_path), 1, never, timeout=0.01) as crew:
        (outcome,) = outcomes(crew, [(FINE, 0, 0)])[FINE, 0, 0]
    assert outcome.end is End.EXPIRED
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(WorkersLost, match="the executor broke"):
        OnExecutor(Trouble(tmp_path), 1, closed).submit((0, 0, 0))


def test_over_cubes_gives_every_result_and_raises_what_cannot_be_mended(tmp_path: Path) -> None:
    cubes = [(FINE, 0, x) for x in range(7)]
    found = dict(over_cubes(InProcess(Trouble(tmp_path)), cubes))
    assert list(found) == cubes
    assert {cube for cube, _ in found.values()} == set(cubes)
    with pytest.raises(ValueError, match="is no good"):
        list(over_cubes(InProcess(Trouble(tmp_path)), [(RAISES, 0, 0)]))


def test_the_last_few_cubes_are_not_queued_behind_others() -> None:
    crew = Processes(int, 4)  # type: ignore[arg-type]  # starts nobody before there are cubes
    assert (crew.room(waiting=100), crew.room(waiting=4)) == (8, 4)


def test_an_error_that_cannot_be_pickled_travels_as_text() -> None:
    class Odd(Exception):
        def __init__(self, first: int, second: int) -> None:
            super().__init__(f"{first} and {second}")

    assert str(sendable(Odd(1, 2))) == "Odd: 1 and 2"
    same = ValueError("as it is")
    assert sendable(same) is same


def test_workers_are_counted_by_devices_and_refused_when_they_make_no_sense() -> None:
    assert Workers(1, ("cuda:0", "cuda:1")).count == 2
    assert not Workers(1).elsewhere
    assert Workers(1, timeout=60).elsewhere
    with pytest.raises(ValueError, match="`workers` must be 1 or more, got 0"):
        Workers(0)
    with pytest.raises(ValueError, match="`cube_timeout` must be positive, got -1"):
        Workers(1, timeout=-1)
