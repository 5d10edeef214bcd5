"""Stopping between two steps: Ctrl-C and a scheduler's SIGTERM are asked to wait for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """A run was stopped on request, after its state was saved; the message says where."""


class Interruption:
    """Remembers the first request to stop; the second one stops at once.

    Inside `with interruption:` the signals SIGINT and SIGTERM set `requested`. Inside
    `with interruption.at_once():` the first one already raises KeyboardInterrupt: for long work
    that changes no state. Signals reach the main thread alone; elsewhere nothing is set up.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Stop here without waiting."""
        self._at_once = True
        try:
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested or self._at_once:
            self.requested = True
            raise KeyboardInterrupt
        self.requested = True
