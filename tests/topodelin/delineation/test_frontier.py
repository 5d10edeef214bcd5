"""The frontier remembers every cube through kills, and belongs to one process."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from topodelin.delineation.frontier import Counts, Frontier, RunInUse

A, B, C = (0, 0, 0), (0, 0, 1), (0, 1, 0)


def test_cubes_come_out_in_the_order_in_which_they_were_found(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([C])
        frontier.add([A, B])
        frontier.add([B, C])
        assert frontier.lease(2) == [C, A]
        assert frontier.lease(2) == [B]
        assert frontier.counts == Counts(todo=0, leased=3, done=0, failed=0)


def test_a_finished_cube_queues_its_neighbours_and_is_never_queued_again(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([A])
        frontier.lease(1)
        frontier.finish(A, [B, C], foreground=7)
        frontier.add([A])
        assert frontier.lease(9) == [B, C]
        assert list(frontier.done()) == [A]
        assert list(frontier.done(with_foreground=True)) == [A]


def test_a_cube_that_was_leased_when_the_process_died_is_waiting_again(tmp_path: Path) -> None:
    code = (
        "import os, sys; from topodelin.delineation.frontier import Frontier\n"
        f"frontier = Frontier({str(tmp_path / 'state.sqlite')!r}); frontier.add([(0, 0, 0)])\n"
        "frontier.lease(1); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == -9
    with Frontier(tmp_path / "state.sqlite") as frontier:
        assert frontier.counts == Counts(todo=1, leased=0, done=0, failed=0)


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with Frontier(path), pytest.raises(RunInUse, match="in use by another process"):
        Frontier(path)
    Frontier(path).close()


def test_a_cube_fails_after_its_last_attempt_and_goes_to_the_end_before(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([A, B])
        assert frontier.lease(1) == [A]
        assert not frontier.fail(A, "broken once", max_attempts=2)
        assert frontier.lease(2) == [B, A]
        assert frontier.fail(A, "broken twice", max_attempts=2)
        assert frontier.failed() == ((A, "broken twice"),)
        frontier.retry([A])
        assert frontier.counts == Counts(todo=1, leased=1, done=0, failed=0)


def test_counts_kept_in_memory_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with Frontier(path) as frontier:
        frontier.add([A, B, C])
        frontier.lease(3)
        frontier.finish(A, [B, (5, 5, 5), (5, 5, 6)], foreground=0)
        frontier.give_back([B])
        frontier.fail(C, "no", max_attempts=1)
        before = frontier.counts
    with Frontier(path) as frontier:
        assert frontier.counts == before == Counts(todo=3, leased=0, done=1, failed=1)


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_text("not a database " * 100)
    with pytest.raises(ValueError, match="is not the state of a run"):
        Frontier(path)


def test_the_state_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ValueError, match="written by a later topodelin"):
        Frontier(path)


def test_a_full_disk_ends_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([A])
        frontier.lease(1)
        pages = frontier._database.execute("PRAGMA page_count").fetchone()[0]
        frontier._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(
            OSError, match="cannot be written .*full.*; what is done so far is safe"
        ):
            frontier.finish(A, [(z, y, 9) for z in range(99) for y in range(99)], foreground=1)
    with Frontier(tmp_path / "state.sqlite") as frontier:
        assert frontier.counts == Counts(todo=1, leased=0, done=0, failed=0)


def test_cubes_of_least_rank_come_first_and_a_better_reason_moves_one_forward(
    tmp_path: Path,
) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add({A: 0.5, B: 0.9, C: 0.2})
        frontier.order(lambda cubes, sure: [-value for value in sure])
        assert frontier.lease(1) == [B]
        frontier.finish(B, {C: 0.8, A: 0.1}, foreground=1)
        assert frontier.lease(2) == [C, A]


def test_a_lasting_order_is_that_of_arrival_where_ranks_are_equal(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.order(lambda cubes, sure: [float(cube[2]) for cube in cubes])
        frontier.add([C])
        frontier.add([A, B])
        assert frontier.lease(3) == [C, A, B]


def test_skipped_cubes_are_neither_waiting_nor_done(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with Frontier(path) as frontier:
        frontier.add([A])
        frontier.lease(1)
        frontier.finish(A, [], 0, skipped=True)
        frontier.leave_out([A, B])
        frontier.add([B])
        assert frontier.lease(9) == []
        assert list(frontier.done()) == []
    with Frontier(path) as frontier:
        assert frontier.counts == Counts(todo=0, leased=0, done=0, failed=0, skipped=2)


def test_what_an_interrupted_transaction_did_is_undone_also_in_the_counts(tmp_path: Path) -> None:
    with Frontier(tmp_path / "state.sqlite") as frontier:
        frontier.add([A])
        with pytest.raises(KeyboardInterrupt), frontier.transaction():
            frontier.lease(1)
            frontier.finish(A, [B, C], foreground=1)
            raise KeyboardInterrupt
        assert frontier.counts == Counts(todo=1, leased=0, done=0, failed=0)
        assert frontier.lease(9) == [A]


def test_rows_that_were_scanned_are_known_until_the_image_is_another(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with Frontier(path) as frontier:
        assert frontier.scanned("image 1") == {}
        frontier.store_scan(0, 1, "[]")
    with Frontier(path) as frontier:
        frontier.clear(scans=False)
        assert frontier.scanned("image 1") == {(0, 1): "[]"}
        assert frontier.scanned("image 2") == {}


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE cubes (z INTEGER, y INTEGER, x INTEGER, state INTEGER NOT NULL,"
            " arrival INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,"
            " foreground INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '',"
            " PRIMARY KEY (z, y, x)) WITHOUT ROWID;"
            "CREATE INDEX waiting ON cubes (state, arrival, z, y, x);"
            "INSERT INTO cubes (z, y, x, state, arrival) VALUES (0, 0, 0, 2, 1), (0, 0, 1, 1, 2);"
            "PRAGMA user_version = 1"
        )
    database.close()
    with Frontier(path) as frontier:
        assert frontier.counts == Counts(todo=1, leased=0, done=1, failed=0)
        assert frontier.lease(9) == [B]
