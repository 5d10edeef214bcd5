"""The same run from several seeds: what is kept, what is done again, and two sweeps compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.training.drawings import write_run
from tests.topodelin.training.labelled_drawings import write_labelled_run
from topodelin.models import load_model
from topodelin.training import Interrupted, TrainingConfig, load_config
from topodelin.training import sweep as module
from topodelin.training.sweep import compare, read_sweep, sweep
from topodelin.training.tasks import judge_ensemble

scores = st.lists(st.integers(0, 10).map(float), min_size=1, max_size=6)


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_a_sweep_ranks_its_runs_and_judges_the_best_together(tmp_path: Path) -> None:
    config = load_config(write_labelled_run(tmp_path, steps=40, validate_every=40))
    found = sweep(config, folder=tmp_path / "sweep", seeds=[3, 5, 7], top=2)
    told = summary(tmp_path / "sweep")
    assert sorted(run["seed"] for run in told["runs"]) == [3, 5, 7]
    ranked = [run["score"] for run in told["runs"]]
    assert ranked == sorted(ranked, reverse=True) and len(set(ranked)) == 3
    assert told["mean"] == pytest.approx(np.mean(ranked))
    assert told["standard_deviation"] == pytest.approx(np.std(ranked, ddof=1))
    assert told["score"] == "miou" and told["top"] == 2
    best = [tmp_path / "sweep" / f"seed_{p.seed:04d}" / "model.safetensors" for p in found.peaks]
    together = judge_ensemble(best[:2], config, tmp_path)
    assert told["ensemble"] == together.chosen and told["ensemble"]["miou"] == together.score
    alone = judge_ensemble(best[:1], config, tmp_path)
    assert alone.score == pytest.approx(ranked[0], abs=1e-6) and together.score != alone.score
    assert load_model(best[0])[1].provenance["seed"] == found.peaks[0].seed


def test_a_stopped_sweep_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = load_config(write_labelled_run(tmp_path, steps=4)), tmp_path / "sweep"
    train = module.train

    def stopped(own, **given):
        if own.seed == 1:
            raise Interrupted("stopped at step 2 of 4")
        return train(own, **given)

    monkeypatch.setattr(module, "train", stopped)
    with pytest.raises(Interrupted):
        sweep(config, folder=folder, seeds=[0, 1], top=1)
    assert not (folder / "summary.json").exists()
    before = (folder / "seed_0000" / "metrics.jsonl").read_bytes()
    monkeypatch.setattr(module, "train", train)
    sweep(config, folder=folder, seeds=[0, 1], top=1)
    assert (folder / "seed_0000" / "metrics.jsonl").read_bytes() == before
    assert len(summary(folder)["runs"]) == 2


def test_distance_maps_of_a_sweep_are_averaged_too(tmp_path: Path) -> None:
    config = load_config(write_run(tmp_path, steps=4))
    found = sweep(config, folder=tmp_path / "sweep", seeds=[0], top=4)
    assert found.top == 1 and found.score_name == "quality"
    assert summary(tmp_path / "sweep")["standard_deviation"] is None


def test_the_difference_of_two_sweeps_by_hand() -> None:
    found = compare([3.0, 4.0], [1.0, 2.0])
    assert (found.mean, found.superiority, found.runs) == (2.0, 1.0, (2, 2))
    assert (found.low, found.high) == (1.0, 3.0)  # 3, 3 against 2, 2, and 4, 4 against 1, 1
    assert compare([5.0], [3.0, 3.0]).low == compare([5.0], [3.0, 3.0]).high == 2.0
    assert compare([1.0, 2.0], [1.0, 2.0]).superiority == 0.5
    assert compare([1.0, 2.0, 3.0], [2.0]).superiority == pytest.approx(0.5)
    assert compare([1.0, 3.0, 3.0], [2.0]).superiority == pytest.approx(2 / 3)


@given(one=scores, other=scores)
def test_exchanging_the_sweeps_turns_the_difference_round(
    one: list[float], other: list[float]
) -> None:
    there, back = compare(one, other), compare(other, one)
    assert there.mean == pytest.approx(-back.mean)
    assert there.superiority == pytest.approx(1 - back.superiority)
    assert there.low - 1e-9 <= there.mean <= there.high + 1e-9
    assert there.low >= min(one) - max(other) and there.high <= max(one) - min(other)


def test_a_sweep_of_nothing_or_without_a_measure_is_refused(tmp_path: Path) -> None:
    config = load_config(write_labelled_run(tmp_path))
    blind = load_config(write_labelled_run(tmp_path, data={"validation": []}))
    several = config.model_copy(update={"devices": 2})
    rendered = {"count": 1, "shape": [8, 16, 16]}
    yaml = write_run(tmp_path / "other", data={"validation": [{"rendered": rendered}]})
    cases: list[tuple[TrainingConfig, dict[str, Any], str]] = [
        (config, {"seeds": []}, "`seeds` must be different whole numbers"),
        (config, {"seeds": [1, 1]}, "`seeds` must be different whole numbers"),
        (config, {"seeds": [-1]}, "`seeds` must be different whole numbers"),
        (config, {"seeds": [0], "top": 0}, "`top` must be at least 1"),
        (blind, {"seeds": [0]}, "`data.validation` must hold a stack"),
        (several, {"seeds": [0]}, "must be 1 in a sweep"),
        (load_config(yaml), {"seeds": [0]}, "must have a `seed` of its own in a sweep"),
    ]
    for own, settings, said in cases:
        with pytest.raises(ValueError) as error:
            sweep(own, folder=tmp_path / "sweep", **settings)
        assert said in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "sweep").exists()


def test_a_score_that_no_run_defines_is_refused_with_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undefined(*_: object) -> dict[str, float]:
        return {"miou": float("nan"), "f1": 0.0}

    monkeypatch.setattr("topodelin.training.tasks.segmentation.label_scores", undefined)
    config = load_config(write_labelled_run(tmp_path, steps=2))
    with pytest.raises(ValueError, match="seed 4: miou is defined in no validation"):
        sweep(config, folder=tmp_path / "sweep", seeds=[4])


@pytest.mark.parametrize("content", [None, "{", "{}", '{"score": "miou", "runs": [1]}'])
def test_a_folder_without_a_whole_summary_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(ValueError, match=r"summary\.json: is no summary of a sweep"):
        read_sweep(tmp_path)


def test_comparing_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold runs, got 0 and 1"):
        compare([], [1.0])
