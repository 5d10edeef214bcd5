"""The verbs `train` and `config` as a user types them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.topodelin.training.drawings import write_run
from topodelin.cli import main


def typed(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr(sys, "argv", ["topodelin", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_train_writes_lines_to_a_pipe_and_a_network_beside_the_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    yaml = write_run(tmp_path)
    assert typed(monkeypatch, "train", yaml, "--set", "steps=4") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("starting: 4 steps of 2 crops on cpu")
    assert lines[-1].startswith("done: 4 steps, network in ")
    assert all("\x1b" not in line for line in lines)
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_wrong_setting_ends_in_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert typed(monkeypatch, "train", write_run(tmp_path), "--set", "step=4") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "step: unknown key; did you mean `steps`?" in error


def test_a_missing_yaml_ends_in_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert typed(monkeypatch, "train", tmp_path / "none.yaml") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_says_how_to_go_on_and_ends_with_130(tmp_path: Path) -> None:
    yaml = write_run(tmp_path, steps=100_000, checkpoint_every=100_000, validate_every=100_000)
    command = [sys.executable, "-m", "topodelin", "train", str(yaml)]
    with (
        (tmp_path / "error.txt").open("w") as error,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=error, text=True) as process,
    ):
        assert process.stdout is not None
        while "step 1 of" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 130
    assert "the same command goes on from there" in (tmp_path / "error.txt").read_text()
    assert (tmp_path / "run" / "checkpoints" / "last.safetensors").exists()


def test_the_schema_is_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert typed(monkeypatch, "config", "schema") == 0
    assert "sampling" in json.loads(capsys.readouterr().out)["properties"]


def test_check_prints_every_setting_of_a_right_file_and_refuses_a_wrong_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    yaml = write_run(tmp_path)
    assert typed(monkeypatch, "config", "check", yaml) == 0
    assert "min_foreground: 5" in capsys.readouterr().out
    assert typed(monkeypatch, "config", "check", yaml, "--set", "model.name=unets") == 2
    assert "did you mean `unet`?" in capsys.readouterr().err
