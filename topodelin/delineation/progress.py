"""How far the search is: one live line in a terminal, a few plain lines in a file."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

LIVE_S = 0.1  # between two looks of the live line
MARKS, MARK_S = 600, 1.0  # pace and growth are those of the last ten minutes


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


@dataclass(frozen=True)
class Remaining:
    """How many cubes are likely to be left.

    Args:
        least, most: the truth is expected between these.
    """

    least: float
    most: float


def remaining(visited: int, waiting: int, found: int, visits: int, limit: int) -> Remaining:
    """An estimate of the cubes left from how fast the frontier grows.

    Of late, `visits` visited cubes have brought `found` new ones, so `g = found / visits` each. If
    that goes on, `waiting / (1 - g)` are left, or all there are if `g` reaches 1, as it does while
    a search still follows long neurites. Both ends of the range are taken two standard errors away,
    `s = sqrt(g (1 + g) / visits)`.

    Args:
        visited, waiting: cubes now.
        found: cubes that came to be known during the last visits.
        visits: how many these were.
        limit: cubes that may be visited in all.
    """
    left = max(0, limit - visited)
    if not waiting or not left:
        return Remaining(0, 0)
    growth = found / visits
    spread = 2 * math.sqrt(growth * (1 + growth) / visits + 1 / visits**2)
    ends = [
        waiting / (1 - g) if (g := max(0.0, growth + side)) < 1 else math.inf
        for side in (-spread, spread)
    ]
    return Remaining(*(min(float(left), end) for end in ends))


class SearchProgress:
    """Tells of the search on a stream and, more sparingly, in a log file.

    Nobody knows beforehand how many cubes a search will visit. The log therefore gets a line with
    every per cent by which the visited cubes have grown, not nearer to the last than `apart_s`, and
    one after a hundred times that pause in any case.

    Args:
        stream: a terminal gets one line that is written over; anything else gets the lines of the
            log. None says nothing.
        log: file that plain lines are appended to, with the time of day.
        apart_s: seconds between two plain lines at the least.
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
        self._shown_at = -math.inf
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=MARKS)  # seconds, visited, known
        self._told: tuple[float, int] | None = None

    def cubes(
        self,
        visited: int,
        total: int,
        waiting: int,
        *,
        budget: int | None = None,
        last: bool = False,
    ) -> None:
        """Tell how far the search is.

        Args:
            visited: cubes done, in this run and before.
            total: cubes in the volume.
            waiting: cubes found and not done.
            budget: cubes after which the search stops.
            last: ends the live line.
        """
        now = self._clock()
        if not self._marks or now - self._marks[-1][0] >= MARK_S:
            self._marks.append((now, visited, visited + waiting))
        told_at, told = self._told or (-math.inf, visited)
        pause, grown = now - told_at, visited >= told + max(1.0, told / 100)
        due = last or pause >= self._apart_s * (1 if grown else 100)
        show = self._live and (last or now - self._shown_at >= LIVE_S)
        if not (due or show):
            return
        limit = total if budget is None else min(budget, total)
        line = visited_line(visited, total, waiting) + self._pace(now, visited, waiting, limit)
        if show:
            self._shown_at = now
            self._write_over(line, last=last)
        if due:
            self._told = now, visited
            self._plain(line, stream=not self._live)

    def scan(self, done: int, total: int) -> None:
        """Tell how much of the volume the scan for seeds has seen."""
        now = self._clock()
        if self._live and (done == total or now - self._shown_at >= LIVE_S):
            self._shown_at = now
            self._write_over(f"looking for seeds: {done} of {total} cubes", last=done == total)

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._width and self._stream is not None:
            self._stream.write("\n")
            self._width = 0
        self._plain(text, stream=True)

    def _write_over(self, line: str, *, last: bool) -> None:
        if self._stream is not None:
            self._stream.write("\r" + line.ljust(self._width) + ("\n" if last else ""))
            self._stream.flush()
            self._width = 0 if last else len(line)

    def _pace(self, now: float, visited: int, waiting: int, limit: int) -> str:
        began, before, known = self._marks[0]
        if visited <= before or now <= began:
            return ""
        visits = visited - before
        rate = visits / (now - began)
        pace = f", {rate:.1f} cubes/s" if rate >= 1 else f", {1 / rate:.1f} s/cube"
        found = max(0, visited + waiting - known)
        left = remaining(visited, waiting, found, visits, limit)
        if not left.most:
            return pace
        return f"{pace}, {format_range(left.least / rate, left.most / rate)} left"

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


def format_range(least: float, most: float) -> str:
    """`"2.1 to 3.4 h"`, `"12 min to 3.5 h"`; one time where both read the same."""
    low, high = format_seconds(least), format_seconds(most)
    if low == high:
        return high
    number, unit = low.split()
    return f"{number if high.endswith(unit) else low} to {high}"
