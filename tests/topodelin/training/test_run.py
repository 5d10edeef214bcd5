import json
import os
import signal
from pathlib import Path

import pytest

from tests.topodelin.training.drawings import write_run
from tests.topodelin.training.killing import kill_a_run
from topodelin.models import load_distance_model
from topodelin.training import ConfigError, Interrupted, load_config, train
from topodelin.training.checkpoint import CheckpointError, read_header


class Lines:
    """Remembers what a run says, and presses Ctrl-C after a step."""

    def __init__(self, ctrl_c_at: int = -1) -> None:
        self.events: list[str] = []
        self.steps, self.ctrl_c_at = 0, ctrl_c_at

    def event(self, text: str) -> None:
        self.events.append(text)

    def status(self, text: str, share: float) -> None:
        self.steps += 1
        if self.steps == self.ctrl_c_at:
            os.kill(os.getpid(), signal.SIGINT)


def run(yaml: Path, folder: Path, *overrides: str, report: Lines | None = None) -> Lines:
    lines = report or Lines()
    train(load_config(yaml, overrides=overrides), run_dir=folder, progress=lines)
    return lines


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def timeless(folder: Path) -> list[dict]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records(folder)]


def test_a_run_leaves_a_network_checkpoints_metrics_log_and_settings(tmp_path: Path) -> None:
    yaml, folder = write_run(tmp_path), tmp_path / "run"
    said = run(yaml, folder)
    network, card = load_distance_model(folder / "model.safetensors")
    assert card.spacing == (1.0, 0.5, 0.5)
    assert card.threshold in (2.0, 3.0)
    assert card.provenance["data"] == ["image.npy"]
    assert card.arguments == network.arguments
    assert [r["step"] for r in records(folder) if "loss" in r] == list(range(1, 9))
    assert [r["step"] for r in records(folder) if "validation" in r] == [4, 8]
    assert read_header(folder / "checkpoints" / "last.safetensors")["progress"]["step"] == 8
    assert (folder / "checkpoints" / "best.safetensors").exists()
    assert load_config(folder / "config.yaml") == load_config(yaml)
    assert (folder / "log.txt").read_text().splitlines()[-1] == said.events[-1]
    assert not list(folder.rglob("*.part"))


def test_the_loss_falls_on_a_rendered_volume(tmp_path: Path) -> None:
    rendered = {"count": 1, "shape": [8, 32, 32], "microscope": "two_photon", "trees": [3, 4]}
    yaml = write_run(
        tmp_path,
        data={"train": [{"rendered": rendered}], "validation": []},
        model={"arguments": {"base": 4, "poolings": [[1, 2, 2]]}},
        sampling={"crop": [8, 32, 32], "batch": 1},  # all of it, each time
        augmentation={"flips": False, "quarter_turns": False, "rotation": False, "intensity": None},
        steps=30,
        validate_every=30,
        checkpoint_every=30,
    )
    folder = tmp_path / "run"
    run(yaml, folder)
    losses = [record["loss"] for record in records(folder)]
    assert losses[-1] < 0.5 * losses[0]
    assert len(list((folder / "rendered").glob("*.npz"))) == 1
    assert load_distance_model(folder / "model.safetensors")[1].threshold == 2.0


# Rotation, dropout, averaging and a background thread: all that could carry hidden state.
STATEFUL = {
    "model": {"arguments": {"base": 2, "poolings": [[1, 2, 2]], "dropout": 0.2}},
    "optimizer": {"lr": 0.01, "warm_up": 5, "averaging": 0.9},
    "steps": 24,
    "validate_every": 10,
    "checkpoint_every": 4,
}


def test_a_run_killed_at_any_moment_ends_with_the_same_bits(tmp_path: Path) -> None:
    yaml = write_run(tmp_path, **STATEFUL)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(yaml, whole)

    stopped_at = kill_a_run(yaml, killed)
    assert 4 <= stopped_at < 24

    assert f"going on from step {stopped_at}" in run(yaml, killed).events[0]
    for name in ("model.safetensors", "checkpoints/last.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert timeless(killed) == timeless(whole)


def test_ctrl_c_saves_and_the_next_run_goes_on(tmp_path: Path) -> None:
    yaml = write_run(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="stopped at step 5 of 8; the same command goes on"):
        run(yaml, tmp_path / "run", report=Lines(ctrl_c_at=5))
    assert signal.getsignal(signal.SIGINT) is before
    assert read_header(tmp_path / "run/checkpoints/last.safetensors")["progress"]["step"] == 5
    run(yaml, tmp_path / "run")
    run(yaml, tmp_path / "whole")
    last = "checkpoints/last.safetensors"
    assert (tmp_path / "run" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


def test_ctrl_c_during_a_validation_does_not_lose_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml, folder = write_run(tmp_path), tmp_path / "run"

    def long(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the validation went on")

    with monkeypatch.context() as patched:
        patched.setattr("topodelin.training.tasks.distance.validate", long)
        with pytest.raises(Interrupted, match="stopped at step 4"):
            run(yaml, folder)
    run(yaml, folder)
    assert [r["step"] for r in records(folder) if "validation" in r] == [4, 8]


def test_somebody_elses_config_yaml_is_neither_overwritten_nor_deleted(tmp_path: Path) -> None:
    yaml, own = write_run(tmp_path), tmp_path / "config.yaml"
    own.write_text("mine: 1")
    with pytest.raises(ConfigError, match=r"config\.yaml: is not the record of a run.*-o"):
        train(load_config(yaml), run_dir=tmp_path, resume=False)
    assert own.read_text() == "mine: 1"


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    yaml, folder = write_run(tmp_path), tmp_path / "run"
    run(yaml, folder)
    before = (folder / "model.safetensors").read_bytes(), timeless(folder)
    assert run(yaml, folder).steps == 0
    assert ((folder / "model.safetensors").read_bytes(), timeless(folder)) == before


def test_more_steps_may_be_asked_for_but_not_another_network(tmp_path: Path) -> None:
    yaml, folder = write_run(tmp_path), tmp_path / "run"
    run(yaml, folder)
    assert (
        "settings changed since this run was started: steps"
        in (run(yaml, folder, "steps=10").events[0])
    )
    with pytest.raises(CheckpointError, match="another `optimizer.lr`.*--restart"):
        run(yaml, folder, "optimizer.lr=1")


def test_restart_begins_anew(tmp_path: Path) -> None:
    yaml, folder = write_run(tmp_path), tmp_path / "run"
    run(yaml, folder)
    train(load_config(yaml, overrides=["steps=3"]), run_dir=folder, resume=False)
    assert [r["step"] for r in records(folder) if "loss" in r] == [1, 2, 3]


def test_a_network_starts_from_background_everywhere(tmp_path: Path) -> None:
    # A line fills a few per cent of a crop; "no neurite anywhere" is off there alone.
    yaml = write_run(tmp_path, model={"arguments": {"base": 2, "poolings": 1, "final": "relu"}})
    run(yaml, tmp_path / "run", "steps=1")
    assert records(tmp_path / "run")[0]["loss"] < 0.5 * 5.0**2


def test_a_rendered_volume_with_too_little_is_left_out_and_all_of_them_are_an_error(
    tmp_path: Path,
) -> None:
    rendered = {"count": 1, "shape": [8, 16, 16]}
    yaml = write_run(tmp_path, data={"train": [{"rendered": rendered}], "validation": []})
    with pytest.raises(ValueError, match="only rendered volumes with less"):
        run(yaml, tmp_path / "run", "sampling.min_foreground=2000")
    assert "left out: rendered volume 0" in (tmp_path / "run" / "log.txt").read_text()


def test_an_unknown_loss_stops_before_anything_is_written(tmp_path: Path) -> None:
    yaml = write_run(tmp_path)
    with pytest.raises(ConfigError, match="loss.terms.connn.*did you mean `conn`"):
        run(yaml, tmp_path / "run", "loss.terms={connn: {}}")
    assert not (tmp_path / "run" / "checkpoints").exists()
