"""The cubes that a run has seen and what became of each, in a file that survives a kill."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from topodelin.volumes import Index

SCHEMA = """
CREATE TABLE IF NOT EXISTS cubes (
    z INTEGER, y INTEGER, x INTEGER,
    state INTEGER NOT NULL,
    arrival INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    foreground INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (z, y, x)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON cubes (state, arrival, z, y, x);
"""
VERSION = 1


class State(IntEnum):
    """What became of a cube. Only one coordinator moves cubes between states."""

    TODO = 0
    LEASED = 1
    DONE = 2
    FAILED = 3


class RunInUse(OSError):
    """Another process is working on the same run."""


@dataclass(frozen=True)
class Counts:
    """Cubes in each state."""

    todo: int
    leased: int
    done: int
    failed: int

    @property
    def waiting(self) -> int:
        """Cubes found and not yet finished."""
        return self.todo + self.leased


class Frontier:
    """A breadth-first queue of cubes in one sqlite file, held by one process at a time.

    The rule that makes a kill harmless: the result of a cube is on disk before `finish` marks it
    done, and `finish` adds the neighbours in the same transaction. A cube that was leased when
    the process died is todo again when the file is next opened; predicting it a second time
    writes the same bytes.

    Args:
        path: the sqlite file; created when absent.

    Raises:
        RunInUse: another process holds the file.
        ValueError: the file is not a frontier, or a later version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._database = sqlite3.connect(
            self.path, timeout=0.5, isolation_level=None, check_same_thread=False
        )
        try:
            self._open()
        except BaseException as error:
            self._database.close()
            if isinstance(error, sqlite3.OperationalError) and "lock" in str(error):
                raise RunInUse(
                    f"{self.path.parent} is in use by another process; "
                    "wait for it to end or give another folder with -o"
                ) from None
            if isinstance(error, sqlite3.DatabaseError):
                raise ValueError(
                    f"{self.path} is not the state of a run ({error}); start afresh with --restart"
                ) from None
            raise

    def _open(self) -> None:
        database = self._database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # held until the process ends
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("BEGIN EXCLUSIVE")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise ValueError(
                f"{self.path} was written by a later topodelin (state version {version}, "
                f"known up to {VERSION}); update topodelin or start afresh with --restart"
            )
        for statement in SCHEMA.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("UPDATE cubes SET state = ? WHERE state = ?", (State.TODO, State.LEASED))
        (self._arrivals,) = database.execute(
            "SELECT COALESCE(MAX(arrival), 0) FROM cubes"
        ).fetchone()
        database.execute("COMMIT")
        self._count()

    def __enter__(self) -> "Frontier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @property
    def counts(self) -> Counts:
        """How many cubes are in each state; kept up to date, so asking costs nothing."""
        return Counts(*(self._numbers[state] for state in State))

    def add(self, cubes: Iterable[Index]) -> None:
        """Put cubes in the queue; those already known stay as they are."""
        with self._transaction():
            self._insert(cubes)

    def lease(self, count: int) -> list[Index]:
        """Take up to `count` cubes from the queue, first found first."""
        with self._transaction():
            cubes = self._database.execute(
                "SELECT z, y, x FROM cubes WHERE state = ? ORDER BY arrival, z, y, x LIMIT ?",
                (State.TODO, count),
            ).fetchall()
            self._move(cubes, State.LEASED)
        self._shift(State.TODO, State.LEASED, len(cubes))
        return cubes

    def give_back(self, cubes: Sequence[Index]) -> None:
        """Put leased cubes back in the queue without holding anything against them."""
        with self._transaction():
            self._move(cubes, State.TODO)
        self._shift(State.LEASED, State.TODO, len(cubes))

    def finish(self, cube: Index, neighbours: Iterable[Index], foreground: int) -> None:
        """Mark a leased cube done and put its neighbours in the queue, both or neither.

        Call it after the cube's chunk is on disk.
        """
        with self._transaction():
            self._database.execute(
                "UPDATE cubes SET state = ?, foreground = ?, error = '' "
                "WHERE z = ? AND y = ? AND x = ?",
                (State.DONE, foreground, *cube),
            )
            self._insert(neighbours)
        self._shift(State.LEASED, State.DONE, 1)

    def fail(self, cube: Index, error: str, *, max_attempts: int) -> bool:
        """Count a failed attempt at a leased cube; True when it has used up `max_attempts`.

        It is failed then; otherwise it goes to the end of the queue.
        """
        with self._transaction():
            self._arrivals += 1
            self._database.execute(
                "UPDATE cubes SET attempts = attempts + 1, error = ?, arrival = ? "
                "WHERE z = ? AND y = ? AND x = ?",
                (error, self._arrivals, *cube),
            )
            (attempts,) = self._database.execute(
                "SELECT attempts FROM cubes WHERE z = ? AND y = ? AND x = ?", cube
            ).fetchone()
            state = State.FAILED if attempts >= max_attempts else State.TODO
            self._move([cube], state)
        self._shift(State.LEASED, state, 1)
        return state is State.FAILED

    def retry(self, cubes: Iterable[Index]) -> None:
        """Put cubes back in the queue with all their attempts before them."""
        with self._transaction():
            self._database.executemany(
                "UPDATE cubes SET state = ?, attempts = 0 WHERE z = ? AND y = ? AND x = ?",
                ((State.TODO, *cube) for cube in cubes),
            )
        self._count()

    def done(self, *, with_foreground: bool = False) -> Iterator[Index]:
        """The finished cubes in (z, y, x) order; only those that hold a neurite if asked."""
        yield from self._database.execute(
            "SELECT z, y, x FROM cubes WHERE state = ? AND foreground >= ? ORDER BY z, y, x",
            (State.DONE, int(with_foreground)),
        )

    def failed(self) -> tuple[tuple[Index, str], ...]:
        """`(cube, what went wrong)` of each failed cube, in (z, y, x) order."""
        rows = self._database.execute(
            "SELECT z, y, x, error FROM cubes WHERE state = ? ORDER BY z, y, x", (State.FAILED,)
        )
        return tuple(((z, y, x), error) for z, y, x, error in rows)

    def clear(self) -> None:
        """Forget every cube."""
        with self._transaction():
            self._database.execute("DELETE FROM cubes")
        self._count()

    def _insert(self, cubes: Iterable[Index]) -> None:
        self._arrivals += 1
        before = self._database.total_changes
        self._database.executemany(
            "INSERT OR IGNORE INTO cubes (z, y, x, state, arrival) VALUES (?, ?, ?, ?, ?)",
            ((*cube, State.TODO, self._arrivals) for cube in cubes),
        )
        self._numbers[State.TODO] += self._database.total_changes - before

    def _move(self, cubes: Iterable[Index], state: State) -> None:
        self._database.executemany(
            "UPDATE cubes SET state = ? WHERE z = ? AND y = ? AND x = ?",
            ((state, *cube) for cube in cubes),
        )

    def _count(self) -> None:
        rows = self._database.execute("SELECT state, COUNT(*) FROM cubes GROUP BY state")
        self._numbers = dict.fromkeys(State, 0) | {State(state): n for state, n in rows}

    def _shift(self, start: State, end: State, number: int) -> None:
        self._numbers[start] -= number
        self._numbers[end] += number

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._database, self.path)


class _Transaction:
    """All that is written inside, or nothing of it."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database, self._path = database, path

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if error is None:
                self._database.execute("COMMIT")
        except sqlite3.Error as refused:
            error = refused
        if error is not None and self._database.in_transaction:
            self._database.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise OSError(
                f"{self._path} cannot be written ({error}); what is done so far is safe: "
                "make room and start the same command again"
            ) from error
