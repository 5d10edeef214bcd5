"""`topodelin delineate` from the command line."""

import json
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from topodelin.cli import app, main, verbs  # noqa: F401  (registers the verbs)
from topodelin.delineation import planning
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.memory import CubeCost
from topodelin.models import ModelCard, UNet, save_model
from topodelin.volumes import IntensityRange


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny network that nobody trained: it calls everything or nothing neurite."""
    torch.manual_seed(0)
    network = UNet(in_channels=1, out_channels=1, dims=3, base=2, poolings=2)
    card = ModelCard("unet", dict(network.arguments), (1, 1, 1), 6.0, 2.0, (16, 16, 16), (4, 4, 4))
    save_model(tmp_path / "model.safetensors", network, card)
    return tmp_path / "model.safetensors"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    image = np.zeros((16, 16, 40), np.uint8)
    image[8, 8, 2:38] = 200
    np.save(tmp_path / "stack.npy", image)
    return tmp_path / "stack.npy"


def called(*words: object) -> list[str]:
    return ["delineate", *map(str, words), "--spacing", "1,1,1"]


def test_a_volume_becomes_a_folder_with_trees_and_a_table(
    volume: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "seeds.csv").write_text("z,y,x\n8,8,5\n")
    run = tmp_path / "run"
    words = called(volume, "-o", run, "--model", model, "--seeds", tmp_path / "seeds.csv")
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    assert answer["cubes_total"] == 3
    assert answer["cubes_visited"] >= 1
    assert (run / "trees.csv").read_text().count("\n") == answer["trees"] + 1
    again = CliRunner().invoke(app, words, catch_exceptions=False)
    assert again.exit_code == 0
    assert f"{answer['cubes_visited']} of 3 cubes visited" in again.stdout


def test_a_dry_run_writes_nothing(
    volume: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "measure_cube", lambda *_: CubeCost(0.5, 2**28))
    before = sorted(tmp_path.iterdir())
    words = called(volume, "-o", tmp_path / "run", "--model", model, "--dry-run")
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "cubes:  3 in the volume" in done.stdout
    assert "memory:" in done.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_a_seed_outside_is_an_error_and_writes_nothing(
    volume: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "seeds.csv").write_text("8,8,500\n")
    words = called(volume, "-o", tmp_path / "run", "--model", model)
    with pytest.raises(ValueError, match="must lie inside the volume"):
        CliRunner().invoke(
            app, [*words, "--seeds", str(tmp_path / "seeds.csv")], catch_exceptions=False
        )
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_says_how_to_go_on(
    volume: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("topodelin.delineation.delineate", interrupted)
    words = called(volume, "-o", tmp_path / "my run", "--model", model, "--restart")
    monkeypatch.setattr("sys.argv", ["topodelin", *words])
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 130
    assert "stopped; go on with: topodelin delineate" in done.stderr
    assert f"'{tmp_path / 'my run'}'" in done.stderr
    assert "--restart" not in done.stderr


def test_a_device_that_is_not_there_is_refused(volume: Path, model: Path, tmp_path: Path) -> None:
    words = called(volume, "-o", tmp_path / "run", "--model", model, "--device", "tpu")
    with pytest.raises(ValueError, match="`device` 'tpu' cannot be used here"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_the_signal_of_a_queueing_system_is_an_interruption(
    volume: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_end(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr("topodelin.delineation.delineate", told_to_end)
    before = signal.getsignal(signal.SIGTERM)
    done = CliRunner().invoke(app, called(volume, "-o", tmp_path / "run", "--model", model))
    assert done.exit_code == 130
    assert "stopped; go on with:" in done.stderr
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_with_failed_cubes_ends_with_exit_code_3_and_lists_them(
    volume: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "seeds.csv").write_text("8,8,5\n")
    words = called(volume, "-o", tmp_path / "run", "--model", model)
    words += ["--seeds", str(tmp_path / "seeds.csv")]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    with Frontier(tmp_path / "run" / "state.sqlite") as frontier:
        cube = next(iter(frontier.done()))
        frontier.retry([cube])
        frontier.lease(1)
        frontier.fail(cube, "the disk is broken", max_attempts=1)
    again = CliRunner().invoke(app, words, catch_exceptions=False)
    assert again.exit_code == 3
    assert f"cube {cube}: the disk is broken" in again.stdout
    assert "with --retry-failed" in again.stdout
    mended = CliRunner().invoke(app, [*words, "--retry-failed"], catch_exceptions=False)
    assert mended.exit_code == 0


def test_options_of_the_engine_reach_it(
    volume: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}

    def noted(image: object, output: object, network: object, card: object, **options: object):
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("topodelin.delineation.delineate", noted)
    words = called(volume, "-o", tmp_path / "run", "--model", model, "--cluster", "local:2")
    words += ["--within", "0,0,0,9,9,9", "--priority", "arrival", "--budget-cubes", "5"]
    words += ["--budget-hours", "1.5", "--cube-timeout", "60", "--device", "cpu,cpu"]
    words += ["--resample", "--retry-failed", "--intensity", "90,1400.5"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 130
    expected = {
        "cluster": "local:2",
        "within": ((0, 0, 0), (9, 9, 9)),
        "priority": "arrival",
        "budget_cubes": 5,
        "budget_hours": 1.5,
        "cube_timeout": 60,
        "devices": ["cpu", "cpu"],
        "resample": True,
        "intensity": IntensityRange(90, 1400.5),
        "retry_failed": True,
        "image_path": str(volume),
        "image_spacing": (1, 1, 1),
    }
    assert {name: given[name] for name in expected} == expected
    with pytest.raises(ValueError, match="`--within` must be two corners"):
        CliRunner().invoke(app, [*called(volume, "-o", "x"), "--within", "1,2"],
                           catch_exceptions=False)  # fmt: skip


@pytest.mark.parametrize(
    ("spacing", "says"),
    [
        (["--spacing", "1e-6,1e-6,1e-6"], "is it in metres"),
        (["--spacing", "1,1"], "must be three numbers z,y,x"),
        ([], "does not tell the size of its voxels; .*--spacing z,y,x"),
    ],
    ids=["absurd", "two numbers", "missing"],
)
def test_a_spacing_that_cannot_be_is_one_line_and_nothing_is_written(
    volume: Path,
    model: Path,
    tmp_path: Path,
    spacing: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    words = ["topodelin", "delineate", str(volume), "-o", str(run), "--model", str(model)]
    monkeypatch.setattr("sys.argv", [*words, *spacing])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and not run.exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(says, line)
