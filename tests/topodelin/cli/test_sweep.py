"""The verb `sweep` as a user types it."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.topodelin.training.labelled_drawings import write_labelled_run
from topodelin.cli import main
from topodelin.training import Interrupted


def typed(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr(sys, "argv", ["topodelin", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def write_summary(folder: Path, scores: dict[int, float], name: str = "miou") -> Path:
    folder.mkdir()
    runs = [{"seed": seed, "score": score} for seed, score in scores.items()]
    (folder / "summary.json").write_text(json.dumps({"score": name, "runs": runs}))
    return folder


def test_two_seeds_leave_a_summary_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    yaml = write_labelled_run(tmp_path, steps=4)
    assert typed(monkeypatch, "sweep", "run", yaml, "--seeds", "2", "--top", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "run 1 of 2, seed 0" in lines and "run 2 of 2, seed 1" in lines
    assert lines[-3].startswith("miou of 2 runs: 0.")
    assert lines[-2].startswith("the best 2 together: 0.")
    folder = tmp_path / "run-sweep"
    assert json.loads((folder / "summary.json").read_text())["ensemble"]["miou"] > 0
    with Image.open(folder / "histogram.png") as picture:
        assert picture.size == (900, 480) and len(picture.getcolors(10**6) or ()) > 10


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("stopped at step 1")

    monkeypatch.setattr("topodelin.training.sweep.train", stopped)
    yaml = write_labelled_run(tmp_path)
    assert typed(monkeypatch, "sweep", "run", yaml, "--seeds", "1") == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_two_sweeps_are_compared_in_words_and_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    one = write_summary(tmp_path / "one", {0: 0.75, 1: 1.0})
    other = write_summary(tmp_path / "other", {0: 0.25, 1: 0.5})
    assert typed(monkeypatch, "sweep", "compare", one, other) == 0
    said = capsys.readouterr().out
    assert f"miou: {one} is +0.500 against {other}, 95 % of draws from +0.250 to +0.750" in said
    assert "(2 and 2 runs)" in said and "in 100% of pairs" in said
    assert typed(monkeypatch, "sweep", "compare", one, other, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "score": "miou",
        "mean": 0.5,
        "low": 0.25,
        "high": 0.75,
        "superiority": 1.0,
        "runs": [2, 2],
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "one", "quality"), "both sweeps must measure the same, got miou and quality"),
        (("compare", "one", "none"), "is no summary of a sweep"),
        (("run", "run.yaml", "--seeds", "0"), "`--seeds` must be at least 1, got 0"),
        (("run", "run.yaml", "--top", "0"), "`top` must be at least 1"),
        (("run", "none.yaml"), "none.yaml: No such file"),
    ],
)
def test_a_wrong_command_ends_in_one_line(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    write_labelled_run(tmp_path)
    write_summary(tmp_path / "one", {0: 0.5})
    write_summary(tmp_path / "quality", {0: 0.5}, "quality")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "sweep", *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
