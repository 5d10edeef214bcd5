import pytest

from topodelin.training import LineReport, LiveReport, Step
from topodelin.training.progress import Pace, duration, status_line


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_every_few_per_cent() -> None:
    lines: list[str] = []
    report = LineReport(lines.append, every_share=0.25, clock=Clock())
    for step in range(1, 101):
        report.status(f"{step}", step / 100)
    assert lines == ["1", "26", "51", "76", "100"]


def test_a_slow_run_gets_a_line_every_minute() -> None:
    lines: list[str] = []
    clock = Clock()
    report = LineReport(lines.append, every_share=0.5, clock=clock)
    for step in range(1, 8):
        clock.now += 25
        report.status(f"{step}", step / 1000)
    assert lines == ["1", "4", "7"]


def test_events_are_written_at_once() -> None:
    lines: list[str] = []
    LineReport(lines.append).event("rendering")
    assert lines == ["rendering"]


def test_the_live_line_shows_the_last_status_and_events(capsys: pytest.CaptureFixture) -> None:
    with LiveReport() as report:
        report.status("step [1] of 2", 0.5)
        report.event("quality 0.9 [best]")
    shown = capsys.readouterr().out
    assert "quality 0.9 [best]" in shown
    assert "step [1] of 2" in shown


def test_the_status_names_step_terms_pace_and_time_left() -> None:
    step = Step(120, 3.2, {"mse": 3.1, "conn": 25.0}, 1e-3, 1.0)
    assert status_line(step, 1000, 2.0) == (
        "step 120 of 1000 (12 %)  loss 3.2 (mse 3.1, conn 25)  0.5 steps/s  29 min left"
    )


def test_the_pace_forgets_the_first_step() -> None:
    clock = Clock()
    pace = Pace(clock)
    for seconds in (100, 2, 2, 2):
        pace.start()
        clock.now += seconds
        assert pace.stop() == seconds
    assert pace.seconds_per_step == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(42, "42 s"), (420, "7 min"), (11_100, "3 h 05 min"), (190_000, "2 d 4 h")],
)
def test_times_read_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
