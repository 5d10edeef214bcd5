"""The cubes that a run has seen and what became of each, in a file that survives a kill."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from topodelin.delineation.transactions import Transaction
from topodelin.volumes import Index


class State(IntEnum):
    """What became of a cube. Only one coordinator moves cubes between states."""

    TODO = 0
    LEASED = 1
    DONE = 2
    FAILED = 3
    SKIPPED = 4


TABLE = """
CREATE TABLE IF NOT EXISTS cubes (
    z INTEGER, y INTEGER, x INTEGER,
    state INTEGER NOT NULL,
    arrival INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    foreground INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    confidence REAL NOT NULL DEFAULT 1,
    priority REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (z, y, x)
) WITHOUT ROWID
"""
# Only the few cubes that are not finished are indexed, so that the table may grow to any size.
SCHEMA = (
    "DROP INDEX IF EXISTS waiting",
    TABLE,
    "CREATE INDEX IF NOT EXISTS todo ON cubes (priority, arrival, z, y, x) "
    f"WHERE state = {State.TODO:d}",
    f"CREATE INDEX IF NOT EXISTS leased ON cubes (state) WHERE state = {State.LEASED:d}",
    f"CREATE INDEX IF NOT EXISTS failed ON cubes (state) WHERE state = {State.FAILED:d}",
    "CREATE TABLE IF NOT EXISTS scans (z INTEGER, y INTEGER, seeds TEXT, PRIMARY KEY (z, y))",
    "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT)",
)
SINCE_VERSION_1 = (
    "ALTER TABLE cubes ADD COLUMN confidence REAL NOT NULL DEFAULT 1",
    "ALTER TABLE cubes ADD COLUMN priority REAL NOT NULL DEFAULT 0",
)
VERSION = 2

Rank = Callable[[Sequence[Index], Sequence[float]], Sequence[float]]
Found = Mapping[Index, float] | Iterable[Index]


class RunInUse(OSError):
    """Another process is working on the same run."""


@dataclass(frozen=True)
class Counts:
    """Cubes in each state."""

    todo: int
    leased: int
    done: int
    failed: int
    skipped: int = 0

    @property
    def waiting(self) -> int:
        """Cubes found and not yet finished."""
        return self.todo + self.leased


def by_arrival(cubes: Sequence[Index], confidences: Sequence[float]) -> Sequence[float]:
    """First found, first visited: all cubes rank the same."""
    return [0.0] * len(cubes)


class Frontier:
    """A queue of cubes in one sqlite file, held by one process at a time.

    The rule that makes a kill harmless: the result of a cube is on disk before `finish` marks it
    done, and `finish` adds the neighbours in the same transaction. A cube that was leased when
    the process died is todo again when the file is next opened; predicting it a second time
    writes the same bytes. A lease ends with the process that gave it; how long a worker may keep
    a cube is its crew's to watch.

    Args:
        path: the sqlite file; created when absent. A file of version 1 is brought up to date.

    Raises:
        RunInUse: another process holds the file.
        ValueError: the file is not a frontier, or a later version wrote it.
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._rank: Rank = by_arrival
        try:
            self._database = sqlite3.connect(
                self.path, timeout=0.5, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _unwritable(self.path, error) from None
        try:
            self._open()
        except BaseException as error:
            self._database.close()
            if isinstance(error, sqlite3.OperationalError) and "lock" in str(error):
                raise RunInUse(
                    f"{self.path.parent} is in use by another process; "
                    "wait for it to end or give another folder with -o"
                ) from None
            if isinstance(error, sqlite3.OperationalError):
                raise _unwritable(self.path, error) from None
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
        for statement in (*(SINCE_VERSION_1 if version == 1 else ()), *SCHEMA):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")
        self._release()
        (self._arrivals,) = database.execute(
            f"SELECT COALESCE(MAX(arrival), 0) FROM cubes WHERE state = {State.TODO:d}"
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

    def transaction(self) -> AbstractContextManager[None]:
        """All that is done inside is stored at once, or nothing of it."""
        return Transaction(self._database, self.path, self._count)

    def order(self, rank: Rank) -> None:
        """Visit the cubes of least rank first, from now on and also those that wait already.

        Args:
            rank: takes cubes, and how sure it is that a neurite enters each; gives a number for
                each. Among equals the first found comes first.
        """
        self._rank = rank
        waiting = self._database.execute(
            f"SELECT z, y, x, confidence FROM cubes WHERE state = {State.TODO:d}"
        ).fetchall()
        ranks = rank([row[:3] for row in waiting], [row[3] for row in waiting])
        with self.transaction():
            self._database.executemany(
                "UPDATE cubes SET priority = ? WHERE z = ? AND y = ? AND x = ?",
                ((float(value), *row[:3]) for value, row in zip(ranks, waiting, strict=True)),
            )

    def add(self, cubes: Found) -> None:
        """Put cubes in the queue, with confidences if known; those already known stay."""
        with self.transaction():
            self._insert(cubes)

    def lease(self, count: int) -> list[Index]:
        """Take up to `count` cubes from the queue, those of least rank first."""
        if count <= 0 or not self._numbers[State.TODO]:
            return []
        with self.transaction():
            cubes = self._database.execute(
                f"SELECT z, y, x FROM cubes WHERE state = {State.TODO:d} "
                "ORDER BY priority, arrival, z, y, x LIMIT ?",
                (count,),
            ).fetchall()
            self._move(cubes, State.LEASED)
            self._shift(State.TODO, State.LEASED, len(cubes))
        return cubes

    def give_back(self, cubes: Sequence[Index]) -> None:
        """Put leased cubes back in the queue without holding anything against them."""
        with self.transaction():
            self._move(cubes, State.TODO)
            self._shift(State.LEASED, State.TODO, len(cubes))

    def finish(
        self, cube: Index, neighbours: Found, foreground: int, *, skipped: bool = False
    ) -> None:
        """Mark a leased cube done and put its neighbours in the queue, both or neither.

        Call it after the cube's chunk is on disk; a skipped cube has none.
        """
        state = State.SKIPPED if skipped else State.DONE
        with self.transaction():
            self._database.execute(
                "UPDATE cubes SET state = ?, foreground = ?, error = '' "
                "WHERE z = ? AND y = ? AND x = ?",
                (state, foreground, *cube),
            )
            self._insert(neighbours)
            self._shift(State.LEASED, state, 1)

    def leave_out(self, cubes: Iterable[Index]) -> None:
        """Remember cubes that are not to be visited; those already known stay as they are."""
        with self.transaction():
            self._insert(cubes, State.SKIPPED)

    def fail(self, cube: Index, error: str, *, max_attempts: int) -> bool:
        """Count a failed attempt at a leased cube; True when it has used up `max_attempts`.

        It is failed then; otherwise it goes behind the cubes of its rank.
        """
        with self.transaction():
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
        with self.transaction():
            self._database.executemany(
                "UPDATE cubes SET state = ?, attempts = 0 WHERE z = ? AND y = ? AND x = ?",
                ((State.TODO, *cube) for cube in cubes),
            )
        self._count()

    def release(self) -> None:
        """Put every leased cube back in the queue."""
        with self.transaction():
            self._release()
            self._shift(State.LEASED, State.TODO, self._numbers[State.LEASED])

    def done(self, *, with_foreground: bool = False) -> Iterator[Index]:
        """The finished cubes in (z, y, x) order; only those that hold a neurite if asked."""
        yield from self._database.execute(
            "SELECT z, y, x FROM cubes WHERE state = ? AND foreground >= ? ORDER BY z, y, x",
            (State.DONE, int(with_foreground)),
        )

    def failed(self) -> tuple[tuple[Index, str], ...]:
        """`(cube, what went wrong)` of each failed cube, in (z, y, x) order."""
        rows = self._database.execute(
            f"SELECT z, y, x, error FROM cubes WHERE state = {State.FAILED:d} ORDER BY z, y, x"
        )
        return tuple(((z, y, x), error) for z, y, x, error in rows)

    def clear(self, *, scans: bool = True) -> None:
        """Forget every cube, and what scans have found unless that is to be kept."""
        with self.transaction():
            for table in ("cubes", "scans", "notes") if scans else ("cubes",):
                self._database.execute(f"DELETE FROM {table}")
        self._count()

    def scanned(self, about: str) -> dict[tuple[int, int], str]:
        """The rows of cubes that were scanned for seeds, and what was found in each.

        Args:
            about: what the scan depends on; a scan of anything else is forgotten.
        """
        with self.transaction():
            note = self._database.execute("SELECT value FROM notes WHERE name = 'scan'").fetchone()
            if note != (about,):
                self._database.execute("DELETE FROM scans")
                self._database.execute("INSERT OR REPLACE INTO notes VALUES ('scan', ?)", (about,))
        rows = self._database.execute("SELECT z, y, seeds FROM scans")
        return {(z, y): seeds for z, y, seeds in rows}

    def store_scan(self, z: int, y: int, seeds: str) -> None:
        """Remember what the scan found in a row of cubes."""
        with self.transaction():
            self._database.execute("INSERT OR REPLACE INTO scans VALUES (?, ?, ?)", (z, y, seeds))

    def _insert(self, found: Found, state: State = State.TODO) -> None:
        known = found if isinstance(found, Mapping) else dict.fromkeys(found, 1.0)
        if not known:
            return
        cubes, sure = list(known), list(known.values())
        ranks = self._rank(cubes, sure)
        rows = list(zip(cubes, sure, ranks, strict=True))
        self._arrivals += 1
        before = self._database.total_changes
        self._database.executemany(
            "INSERT OR IGNORE INTO cubes (z, y, x, state, arrival, confidence, priority) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((*cube, state, self._arrivals, sure, float(rank)) for cube, sure, rank in rows),
        )
        added = self._database.total_changes - before
        self._numbers[state] += added
        if added < len(rows) and isinstance(found, Mapping):
            self._database.executemany(
                "UPDATE cubes SET confidence = ?, priority = ? WHERE z = ? AND y = ? AND x = ? "
                f"AND state = {State.TODO:d} AND confidence < ?",
                ((sure, float(rank), *cube, sure) for cube, sure, rank in rows),
            )

    def _release(self) -> None:
        self._database.execute(
            f"UPDATE cubes SET state = {State.TODO:d} WHERE state = {State.LEASED:d}"
        )

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


def _unwritable(path: Path, error: sqlite3.Error) -> OSError:
    return OSError(
        f"{path.parent} cannot be written to ({error}); give another folder with -o, or make room"
    )
