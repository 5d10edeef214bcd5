"""How far the search is: one live line in a terminal, a few plain lines in a file."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable


def visited_line(visited: int, total: int, waiting: int) -> str:
    """`"31 of 240 cubes visited (13 %), 4 waiting"`."""
    share = 100 * visited / total if total else 0.0
    percent = f"{share:.0f}" if share >= 1 or visited == 0 else f"{share:.1g}"
    return f"{visited} of {total} cubes visited ({percent} %), {waiting} waiting"


@runtime_checkable
class Stream(Protocol):
    """Where text is written to, such as `sys.stderr`."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...

    def isatty(self) -> bool: ...


class SearchProgress:
    """Tells of each cube on a stream and, more sparingly, in a log file.

    Args:
        stream: a terminal gets one line that is written over; anything else gets plain lines.
            None says nothing.
        log: file that plain lines are appended to, with the time of day.
        apart_s: seconds between two plain lines at the least. They come with every percent of
            the lattice, or after ten times that pause.
        clock: seconds.
    """

    def __init__(
        self,
        stream: Stream | None = None,
        log: Path | None = None,
        *,
        apart_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._log, self._apart_s, self._clock = stream, log, apart_s, clock
        self._live = stream is not None and stream.isatty()
        self._width = 0
        self._start: tuple[float, int] | None = None
        self._told: tuple[float, int] | None = None

    def cubes(self, visited: int, total: int, waiting: int, *, last: bool = False) -> None:
        """Tell how many cubes are visited; `last` ends the live line."""
        now = self._clock()
        if self._start is None:
            self._start = now, visited
        line = visited_line(visited, total, waiting) + self._pace(now, visited, waiting)
        if self._live and self._stream is not None:
            self._stream.write("\r" + line.ljust(self._width) + ("\n" if last else ""))
            self._stream.flush()
            self._width = 0 if last else len(line)
        told_at, told = self._told or (-math.inf, visited)
        pause, percents = now - told_at, 100 * (visited - told) / total
        due = pause >= self._apart_s and (percents >= 1 or pause >= 10 * self._apart_s)
        if last or due:
            self._told = now, visited
            self._plain(line, stream=not self._live)

    def scan(self, done: int, total: int) -> None:
        """Tell how much of the volume the scan for seeds has seen."""
        if self._live and self._stream is not None:
            line = f"looking for seeds: {done} of {total} cubes"
            self._stream.write("\r" + line.ljust(self._width) + ("\n" if done == total else ""))
            self._stream.flush()
            self._width = 0 if done == total else len(line)

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._width and self._stream is not None:
            self._stream.write("\n")
            self._width = 0
        self._plain(text, stream=True)

    def _pace(self, now: float, visited: int, waiting: int) -> str:
        began, before = self._start or (now, visited)
        if visited <= before or now <= began:
            return ""
        rate = (visited - before) / (now - began)
        pace = f"{rate:.1f} cubes/s" if rate >= 1 else f"{1 / rate:.1f} s/cube"
        return (
            f", {pace}, at least {format_seconds(waiting / rate)} left" if waiting else f", {pace}"
        )

    def _plain(self, line: str, *, stream: bool) -> None:
        if stream and self._stream is not None:
            self._stream.write(line + "\n")
            self._stream.flush()
        if self._log is not None:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {line}\n")


def format_seconds(seconds: float) -> str:
    """`"45 s"`, `"12 min"`, `"3.5 h"`, `"4.1 days"`."""
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            digits = 1 if unit == "h" else 0
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
