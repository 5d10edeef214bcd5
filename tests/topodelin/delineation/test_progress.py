"""What a person sees of a running search."""

import io
from pathlib import Path

import pytest

from topodelin.delineation.progress import SearchProgress, format_seconds, visited_line


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
    assert "12 of 240 cubes visited (5 %), 4 waiting, 2.0 cubes/s, at least 2 s left" in text
    assert text.rstrip().endswith("16 of 240 cubes visited (7 %), 0 waiting, 3.0 cubes/s")


def test_a_file_gets_a_plain_line_for_every_percent_and_the_log_a_stamp(tmp_path: Path) -> None:
    stream, log = io.StringIO(), tmp_path / "log.txt"
    progress = SearchProgress(stream, log, apart_s=0.02, clock=Clock(0.01))
    for visited in range(31):
        progress.cubes(visited, 1000, 5)
    progress.cubes(31, 1000, 0, last=True)
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines][-4:] == ["10", "20", "30", "31"]
    assert "\r" not in stream.getvalue()
    assert [line.split(" ", 2)[2] for line in log.read_text().splitlines()] == lines


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
