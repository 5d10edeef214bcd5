"""When validations lower the learning rate or end a run, by hand-made rows of scores."""

import math

import pytest

from tests.topodelin.training.drawings import config
from topodelin.training import TrainingConfig
from topodelin.training.checkpoint import Progress
from topodelin.training.stopping import advance, stopped


def after(scores: list[float], settings: TrainingConfig) -> Progress:
    """The progress after a validation with each score, 10 steps apart."""
    progress = Progress()
    for number, score in enumerate(scores, start=1):
        progress.step = progress.validated = 10 * number
        advance(progress, score, settings)
    return progress


def test_the_best_score_and_its_step_are_kept() -> None:
    progress = after([0.2, 0.5, 0.4], config())
    assert (progress.best_score, progress.best_step, progress.last_score) == (0.5, 20, 0.4)


def test_a_score_that_is_not_defined_is_no_improvement() -> None:
    progress = after([math.nan, 0.3, math.nan, math.nan], config())
    assert (progress.best_score, progress.best_step, progress.stood_still) == (0.3, 20, 2)


@pytest.mark.parametrize(
    ("scores", "still"),
    [([0.1, 0.2, 0.3], 0), ([0.3, 0.3, 0.3], 2), ([0.3, 0.1, 0.2, 0.4], 0), ([-5.0, -6.0], 1)],
)
def test_validations_without_improvement_are_counted(scores: list[float], still: int) -> None:
    assert after(scores, config()).stood_still == still


def test_slow_progress_counts_once_it_exceeds_the_least_improvement() -> None:
    settings = config(stopping={"min_delta": 0.1})
    assert [after([0.5, 0.56, 0.58][:n], settings).stood_still for n in (1, 2, 3)] == [0, 1, 2]
    progress = after([0.5, 0.56, 0.58, 0.62], settings)
    assert progress.stood_still == 0 and progress.counted_score == 0.62
    assert progress.best_score == 0.62


def test_the_rate_drops_every_so_many_validations_without_improvement() -> None:
    settings = config(optimizer={"schedule": "plateau", "decay_every": 2})
    row = [0.5, 0.4, 0.4, 0.4, 0.4, 0.6, 0.5, 0.5]
    assert [after(row[:n], settings).drops for n in range(1, 9)] == [0, 0, 1, 1, 2, 2, 2, 3]
    assert after(row, config()).drops == 0  # another schedule has none


def test_patience_ends_a_run_and_so_does_a_score_below_the_floor() -> None:
    patient = config(stopping={"patience": 2})
    assert stopped(after([0.5, 0.4], patient), patient) == ""
    assert "2 validations without an improvement" in stopped(
        after([0.5, 0.4, 0.4], patient), patient
    )
    floor = config(stopping={"floor": 0.3, "floor_from": 20})
    assert stopped(after([0.1], floor), floor) == ""
    assert "is below the floor of 0.3" in stopped(after([0.1, 0.2], floor), floor)
    assert "nan is below the floor" in stopped(after([0.1, math.nan], floor), floor)
    assert stopped(after([0.1, 0.3], floor), floor) == ""


def test_nothing_ends_between_two_validations() -> None:
    patient = config(stopping={"patience": 1})
    progress = after([0.5, 0.4], patient)
    progress.step += 1
    assert stopped(progress, patient) == ""
    assert stopped(Progress(), patient) == ""
