"""Writes to a sqlite file that are stored together."""

import sqlite3
from collections.abc import Callable
from pathlib import Path


class Transaction:
    """All that is written inside, or nothing of it; one within another is part of the outer.

    Args:
        database: in autocommit mode.
        path: its file, for messages.
        undone: called after the writes were taken back.

    Raises:
        OSError: the file could not be written, for example on a full disk.
    """

    def __init__(
        self, database: sqlite3.Connection, path: Path, undone: Callable[[], None]
    ) -> None:
        self._database, self._path, self._undone = database, path, undone
        self._inner = False

    def __enter__(self) -> None:
        self._inner = self._database.in_transaction
        if not self._inner:
            self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._inner:
            return
        try:
            if error is None:
                self._database.execute("COMMIT")
        except sqlite3.Error as refused:
            error = refused
        if error is not None:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self._undone()
        if isinstance(error, sqlite3.Error):
            raise OSError(
                f"{self._path} cannot be written ({error}); what is done so far is safe: "
                "make room and start the same command again"
            ) from error
