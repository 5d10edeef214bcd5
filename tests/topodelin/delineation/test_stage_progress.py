"""Stages are told sparingly: one live line in a terminal, one plain line each elsewhere."""

import io
from pathlib import Path

from topodelin.delineation.tracing.stage_progress import StageProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, log: Path) -> str:
    """Two stages of three parts, a tenth of a second for each part."""
    times = iter(0.1 * number for number in range(1, 99))
    tell = StageProgress(stream, log, clock=lambda: next(times))
    for what in ("thinning", "linking"):
        for done in (1, 2, 3):
            tell(what, done, 3)
    return stream.getvalue()


def test_a_file_gets_a_line_for_each_finished_stage(tmp_path: Path) -> None:
    assert told(io.StringIO(), tmp_path / "log.txt") == "thinning: 3 of 3\nlinking: 3 of 3\n"
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["thinning: 3 of 3", "linking: 3 of 3"]


def test_a_terminal_sees_one_line_change_and_is_left_clean(tmp_path: Path) -> None:
    text = told(Terminal(), tmp_path / "log.txt")
    assert "\rthinning: 2 of 3" in text and text.endswith("linking: 3 of 3\n")
    assert text.count("\n") == 2
