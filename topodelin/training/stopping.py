"""What a validation means for the rest of a run: a lower learning rate, or an early end."""

import math

from topodelin.training.checkpoint import Progress
from topodelin.training.config import TrainingConfig


def advance(progress: Progress, score: float, config: TrainingConfig) -> None:
    """Take note of a validation with that score; higher is better, NaN never is.

    An improvement counts where it exceeds the last score that counted by more than
    `stopping.min_delta`, so that slow progress counts now and then. With the plateau schedule the
    learning rate drops each time that `optimizer.decay_every` validations in a row brought none.
    """
    known, counted = not math.isnan(score), progress.counted_score
    counts = known and (counted is None or score > counted + config.stopping.min_delta)
    still = 0 if counts else progress.stood_still + 1
    every = config.optimizer.decay_every
    drop = config.optimizer.schedule == "plateau" and still > 0 and still % every == 0
    if counts:
        progress.counted_score = score
    if known and is_better(score, progress):
        progress.best_score, progress.best_step = score, progress.step
    progress.last_score, progress.stood_still = score, still
    progress.drops += drop


def is_better(score: float, progress: Progress) -> bool:
    """Whether it is the best so far; the first one always is."""
    return progress.best_score is None or score > progress.best_score


def stopped(progress: Progress, config: TrainingConfig) -> str:
    """Why a run ends before its last step; empty where it goes on."""
    rules = config.stopping
    if progress.validated != progress.step or progress.last_score is None:
        return ""
    name, score = config.score_name, progress.last_score
    if rules.floor is not None and progress.step >= rules.floor_from and not score >= rules.floor:
        return f"{name} {score:.3f} is below the floor of {rules.floor:g}"
    if rules.patience is not None and progress.stood_still >= rules.patience:
        return (
            f"{progress.stood_still} validations without an improvement of "
            f"{rules.min_delta:g} in {name}"
        )
    return ""
