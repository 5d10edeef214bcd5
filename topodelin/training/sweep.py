"""The same run from many seeds: how much of a score is luck, and what the best say together.

SWEEP/seed_0007/       a run of its own, with its seed in the place of the configuration's
SWEEP/summary.json     the best score of every run, and that of the ensemble of the best
SWEEP/histogram.png    of those scores

Runs that are finished are not run again, and one that was stopped goes on.

References:
    M. Guay, Z. Emam, A. Anderson, M. Aronova, R. Leapman. Dense cellular segmentation for EM using
    2D-3D neural network ensembles. Scientific Reports 2021.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.training.checkpoint import replace_durably
from topodelin.training.config import TrainingConfig
from topodelin.training.progress import Report
from topodelin.training.run import train
from topodelin.training.tasks import judge_ensemble

RESAMPLES = 10_000


@dataclass(frozen=True)
class Peak:
    """The best validation of one run.

    Args:
        seed: of the run.
        score: higher is better.
        model: file of its network.
    """

    seed: int
    score: float
    model: Path


@dataclass(frozen=True)
class Sweep:
    """The best scores of all runs of a sweep.

    Args:
        folder: of the sweep.
        score_name: what was measured.
        peaks: of the runs, the best first.
        ensemble: scores of the first `top` networks together, by name.
        top: how many these are.
    """

    folder: Path
    score_name: str
    peaks: tuple[Peak, ...]
    ensemble: dict[str, Any]
    top: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        scores = [peak.score for peak in self.peaks]
        return {
            "score": self.score_name,
            "runs": [{"seed": peak.seed, "score": peak.score} for peak in self.peaks],
            "mean": float(np.mean(scores)),
            "standard_deviation": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
            "top": self.top,
            "ensemble": self.ensemble,
        }


@dataclass(frozen=True)
class Difference:
    """How much better one sweep is than another.

    Args:
        mean: mean score of the first minus that of the second.
        low, high: 95 % of differences of runs drawn again lie between these.
        superiority: probability that a run of the first beats one of the second, ties half.
        runs: of the first and of the second.
    """

    mean: float
    low: float
    high: float
    superiority: float
    runs: tuple[int, int]


def sweep(
    config: TrainingConfig,
    *,
    folder: str | Path,
    seeds: Sequence[int],
    top: int = 4,
    progress: Report | None = None,
) -> Sweep:
    """Train from every seed, then judge the best networks together.

    Args:
        config: of all runs; needs stacks to be judged on.
        folder: of the sweep.
        seeds: one run each.
        top: networks of the ensemble; all where there are fewer.
        progress: gets a line now and then.

    Raises as `train`; what is finished stays.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"`seeds` must be different whole numbers from 0, got {list(seeds)}")
    if not config.data.validation:
        raise ValueError("`data.validation` must hold a stack: a sweep compares scores")
    if any(entry.rendered and entry.rendered.seed is None for entry in config.data.validation):
        raise ValueError(
            "`data.validation.rendered` must have a `seed` of its own in a sweep, or every run "
            "would be judged on other volumes"
        )
    if config.devices * config.nodes > 1:
        raise ValueError("`devices` and `nodes` must be 1 in a sweep: its runs come one by one")
    if top < 1:
        raise ValueError(f"`top` must be at least 1, got {top}")
    place, peaks = Path(folder), []
    for count, seed in enumerate(seeds, start=1):
        if progress is not None:
            progress.event(f"run {count} of {len(seeds)}, seed {seed}")
        own = config.model_copy(update={"seed": seed})
        result = train(own, run_dir=place / f"seed_{seed:04d}", progress=progress)
        if result.best_score is None:
            raise ValueError(
                f"seed {seed}: {config.score_name} is defined in no validation; judge on stacks "
                "that hold the classes it needs"
            )
        peaks.append(Peak(seed, result.best_score, result.model))
    ranked = sorted(peaks, key=lambda peak: (-peak.score, peak.seed))
    best = ranked[:top]
    judgement = judge_ensemble([peak.model for peak in best], config, place)
    found = Sweep(place, config.score_name, tuple(ranked), dict(judgement.chosen), len(best))
    _write(place / "summary.json", found)
    return found


def read_sweep(folder: str | Path) -> tuple[str, dict[int, float]]:
    """What was measured and the best score of every seed, from the summary of a sweep.

    Raises:
        ValueError: where the folder holds no finished sweep.
    """
    path = Path(folder) / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        return summary["score"], {run["seed"]: run["score"] for run in summary["runs"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path}: is no summary of a sweep; run `topodelin sweep` to its end first"
        ) from None


def compare(one: Sequence[float], other: Sequence[float], *, seed: int = 0) -> Difference:
    """The difference of the mean scores of two sweeps, with a bootstrap interval.

    The runs of either are drawn again with replacement, each sweep by itself. With fewer than
    five runs each the interval is too narrow to be trusted.
    """
    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if not len(a) or not len(b):
        raise ValueError(f"both sweeps must hold runs, got {len(a)} and {len(b)}")
    rng = np.random.default_rng(seed)
    drawn = [x[rng.integers(len(x), size=(RESAMPLES, len(x)))].mean(axis=1) for x in (a, b)]
    low, high = np.percentile(drawn[0] - drawn[1], [2.5, 97.5])
    wins = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    return Difference(
        float(a.mean() - b.mean()), float(low), float(high), float(wins), (len(a), len(b))
    )


def _write(path: Path, found: Sweep) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found.as_dict(), indent=2), encoding="utf-8")
    replace_durably(part, path)
