"""Where a run stands: one live line in a terminal, a line now and then in a file."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, runtime_checkable

from topodelin.training.loop import Step


@runtime_checkable
class Report(Protocol):
    """Gets what happens during a run."""

    def event(self, text: str) -> None:
        """Something worth a line of its own."""

    def status(self, text: str, share: float) -> None:
        """Where the run stands, after every step; `share` of it is done, in [0, 1]."""


class LineReport:
    """Writes events at once, and the status every few per cent of the run or once a minute.

    Args:
        write: takes a line without its end.
        every_share: of the run between two status lines.
        every_seconds: likewise, whichever comes first.
        clock: for tests.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        every_share: float = 0.05,
        every_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._every_share, self._every_seconds = every_share, every_seconds
        self._share, self._time = -1.0, clock()

    def event(self, text: str) -> None:
        self._write(text)

    def status(self, text: str, share: float) -> None:
        now = self._clock()
        due = share - self._share >= self._every_share or share >= 1
        if due or now - self._time >= self._every_seconds:
            self._write(text)
            self._share, self._time = share, now


class LiveReport:
    """One line at the foot of a terminal that follows the run; events scroll above it.

    Nothing is drawn before the first event: of several processes one alone has any.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(highlight=False), refresh_per_second=4, transient=False)

    def __enter__(self) -> "LiveReport":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def event(self, text: str) -> None:
        from rich.text import Text

        self._live.start()
        self._live.console.print(Text(text))

    def status(self, text: str, share: float) -> None:
        from rich.text import Text

        self._live.start()
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"))


class Pace:
    """How long a step takes: a mean that follows changes within some 20 steps.

    The first step warms caches up; it counts until the second one is there.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last = clock, clock()
        self._count, self.seconds_per_step = 0, 0.0

    def start(self) -> None:
        """Begin to time a step; what happened before does not count."""
        self._last = self._clock()

    def stop(self) -> float:
        """Seconds that the step took."""
        taken = self._clock() - self._last
        self._count += 1
        rate = max(0.05, 1 / max(1, self._count - 1))
        self.seconds_per_step += rate * (taken - self.seconds_per_step)
        return taken


def status_line(step: Step, steps: int, seconds_per_step: float) -> str:
    """`step 120 of 1000 (12 %)  loss 3.21 = mse 3.10, conn 22.1  0.52 steps/s  28 min left`."""
    terms = ", ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
    left = duration((steps - step.number) * seconds_per_step)
    pace = f"{1 / seconds_per_step:.3g} steps/s" if seconds_per_step else ""
    share = 100 * step.number // steps
    return (
        f"step {step.number} of {steps} ({share} %)  loss {step.loss:.4g} ({terms})  "
        f"{pace}  {left} left"
    )


def duration(seconds: float) -> str:
    """A time as people say it: `42 s`, `7 min`, `3 h 05 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = minutes // 60
    return f"{hours // 24} d {hours % 24} h"
