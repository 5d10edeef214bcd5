"""What a person sees of a running search."""

import io
from pathlib import Path

import pytest

from topodelin.delineation.progress import (
    SearchProgress,
    format_range,
    format_seconds,
    remaining,
    visited_line,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Goes on by one second with every look."""

    def __init__(self, step: float = 1.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_the_line_says_how_much_is_visited_and_how_much_waits() -> None:
    assert visited_line(31, 240, 4) == "31 of 240 cubes visited (13 %), 4 waiting"
    assert visited_line(0, 240, 1) == "0 of 240 cubes visited (0 %), 1 waiting"
    assert visited_line(3, 10_000, 9) == "3 of 10000 cubes visited (0.03 %), 9 waiting"


def test_a_terminal_gets_one_line_that_is_written_over() -> None:
    screen = Terminal()
    progress = SearchProgress(screen, clock=Clock())
    progress.cubes(10, 240, 14)
    progress.cubes(12, 240, 4)
    progress.cubes(16, 240, 0, last=True)
    text = screen.getvalue()
    assert text.count("\r") == 3
    assert text.count("\n") == 1
    assert "12 of 240 cubes visited (5 %), 4 waiting, 2.0 cubes/s, 2 s to 2 min left" in text
    assert text.rstrip().endswith("16 of 240 cubes visited (7 %), 0 waiting, 3.0 cubes/s")


def test_a_file_gets_a_plain_line_for_every_percent_of_growth_and_the_log_a_stamp(
    tmp_path: Path,
) -> None:
    stream, log = io.StringIO(), tmp_path / "log.txt"
    progress = SearchProgress(stream, log, apart_s=0.02, clock=Clock(0.01))
    for visited in range(1000, 1100):
        progress.cubes(visited, 10**6, 5)
    progress.cubes(1100, 10**6, 0, last=True)
    lines = stream.getvalue().splitlines()
    told = [int(line.split()[0]) for line in lines]
    assert told[:4] == [1000, 1010, 1021, 1032]
    assert told[-1] == 1100
    assert "\r" not in stream.getvalue()
    assert [line.split(" ", 2)[2] for line in log.read_text().splitlines()] == lines


def test_the_estimate_is_a_range_that_narrows_with_what_was_seen() -> None:
    few = remaining(visited=20, waiting=10, found=10, visits=20, limit=10**6)
    many = remaining(visited=2000, waiting=10, found=1000, visits=2000, limit=10**6)
    assert few.least < many.least < 20 < many.most < few.most
    growing = remaining(visited=100, waiting=50, found=150, visits=100, limit=1000)
    assert growing.most == 900, "the whole volume, as each cube brings more than one"
    assert remaining(visited=100, waiting=50, found=150, visits=100, limit=120).most == 20
    assert remaining(visited=100, waiting=0, found=10, visits=100, limit=1000).most == 0


def test_a_range_of_times_is_told_in_one_unit_where_that_serves() -> None:
    assert format_range(7560, 12_240) == "2.1 to 3.4 h"
    assert format_range(720, 12_240) == "12 min to 3.4 h"
    assert format_range(45.1, 45.2) == "45 s"


def test_a_fast_search_does_not_flood_a_file() -> None:
    stream = io.StringIO()
    progress = SearchProgress(stream, clock=Clock(0.01))
    for visited in range(100):
        progress.cubes(visited, 100, 1)
    progress.cubes(100, 100, 0, last=True)
    assert len(stream.getvalue().splitlines()) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (720, "12 min"), (12_600, "3.5 h"), (354_240, "4.1 days")],
)
def test_times_are_told_in_the_unit_one_thinks_in(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
