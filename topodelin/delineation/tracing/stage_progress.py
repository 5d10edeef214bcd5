"""How far a job of several stages is: a live line in a terminal, a plain line for each stage."""

import time
from collections.abc import Callable
from pathlib import Path

from topodelin.delineation.progress import SearchProgress, Stream

APART_S = 0.2  # between two changes of the live line


class StageProgress:
    """Tells of stages on a stream and, when each is finished, in a log file.

    Args:
        stream: a terminal gets one line that is written over; anything else one line a stage.
            None says nothing.
        log: file that a line is appended to for each stage, with the time of day.
        clock: seconds.
    """

    def __init__(
        self,
        stream: Stream | None = None,
        log: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._clock, self._told, self._width = stream, clock, 0.0, 0
        self._plain = SearchProgress(stream, log)
        self._live = stream is not None and stream.isatty()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell that `done` of `total` parts of a stage are finished."""
        line, now = f"{what}: {done} of {total}", self._clock()
        if self._live and self._stream is not None and now - self._told >= APART_S:
            self._stream.write("\r" + line.ljust(self._width))
            self._stream.flush()
            self._told, self._width = now, len(line)
        if done == total:
            if self._width and self._stream is not None:
                self._stream.write("\r" + " " * self._width + "\r")
                self._width = 0
            self._plain.say(line)
