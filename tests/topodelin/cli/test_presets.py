"""`topodelin presets` as a person types it."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.topodelin.cli.test_train import typed
from topodelin.presets import preset, preset_names

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An image and its labels, ten slices deep; neither tells the size of its voxels."""
    np.save(tmp_path / "image.npy", np.zeros((10, 8, 8), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros((10, 8, 8), np.uint8))
    return tmp_path / "image.npy", tmp_path / "labels.npy"


def test_the_list_names_every_preset_with_its_title(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert typed(monkeypatch, "presets", "list") == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["preset", "task", "network"]
    assert [line.split()[0] for line in lines] == preset_names()
    assert all(line.endswith(preset(line.split()[0]).title) for line in lines)


def test_the_list_is_json_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert typed(monkeypatch, "presets", "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name", "task", "network", "title"} == set(rows[0])
    tasks = {row["name"]: row["task"] for row in rows}
    assert tasks["neurite_unet"] == "distance" and tasks["fibsem_cr1"] == "centre_region"


def test_show_prints_the_file_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert typed(monkeypatch, "presets", "show", "isbi_dmcn") == 0
    assert capsys.readouterr().out == preset("isbi_dmcn").text


def test_a_copy_keeps_the_comments_and_names_the_files_from_its_folder(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    run = tmp_path / "run.yaml"
    own = ("--image", files[0], "--labels", files[1], "--spacing", "0.05,0.004,0.004")
    assert typed(monkeypatch, "presets", "copy", "isbi_dmcn", run, *own) == 0
    assert f"then: topodelin train {run}" in capsys.readouterr().out
    text = run.read_text("utf-8")
    assert text.splitlines()[0] == preset("isbi_dmcn").text.splitlines()[0]
    data = yaml.safe_load(text)["data"]
    learnt, judged = data["train"][0], data["validation"][0]
    assert learnt["image"] == "image.npy" and learnt["labels"] == "labels.npy"
    assert learnt["spacing"] == [0.05, 0.004, 0.004]
    assert (learnt["slices"], judged["slices"]) == ([0, 8], [8, 10])


def test_a_copy_without_files_says_what_is_to_be_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "new" / "run.yaml"
    assert typed(monkeypatch, "presets", "copy", "neurite_l3d", run) == 0
    assert run.read_text("utf-8") == preset("neurite_l3d").text
    places = "IMAGE, LABELS, VALIDATION_IMAGE, VALIDATION_LABELS"
    assert f"still to be filled in: {places}" in capsys.readouterr().out


def test_the_voxel_size_of_the_files_is_not_that_of_the_target(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run.yaml"
    own = ("--image", files[0], "--spacing", "3,2,1")
    assert typed(monkeypatch, "presets", "copy", "neurite_unet", run, *own) == 0
    content = yaml.safe_load(run.read_text("utf-8"))
    assert content["data"]["train"][0]["spacing"] == [3, 2, 1]
    assert content["data"]["validation"][0]["spacing"] == [3, 2, 1]
    assert content["target"]["spacing"] == [1, 1, 1]


def test_a_file_is_replaced_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run.yaml"
    run.write_text("mine")
    assert typed(monkeypatch, "presets", "copy", "isbi_dmcn", run) == 2
    assert "exists already" in capsys.readouterr().err and run.read_text() == "mine"
    assert typed(monkeypatch, "presets", "copy", "isbi_dmcn", run, "--overwrite") == 0
    assert run.read_text("utf-8") == preset("isbi_dmcn").text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "isbi_dmnc"], "did you mean `isbi_dmcn`?"),
        (["copy", "fibsem_cr1", "x.yaml", "--labels", "LABELS"], "`--labels`: the preset"),
        (["copy", "isbi_dmcn", "x.yaml", "--image", "none.tif"], "none.tif: no such file"),
        (["copy", "isbi_dmcn", "x.yaml", "--image", "IMAGE"], "give the spacing"),
    ],
)
def test_what_cannot_be_ends_in_one_line_and_writes_nothing(
    words: list[str],
    said: str,
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"IMAGE": str(files[0]), "LABELS": str(files[1])}
    assert typed(monkeypatch, "presets", *(own.get(word, word) for word in words)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error
    assert not (tmp_path / "x.yaml").exists()


def test_the_commands_of_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    page = (ROOT / "docs" / "reproduce.md").read_text("utf-8")
    shown = [
        shlex.split(command.replace("\\\n", " "))[1:]
        for command in re.findall(r"^    (topodelin (?:.*\\\n)*.*)$", page, re.MULTILINE)
    ]
    assert [words[0] for words in shown] == ["presets", "presets", "train", "train", "predict"]
    folder = tmp_path / "unet" / "data" / "membrane" / "train"
    rng = np.random.default_rng(0)
    for part, values in (("image", rng.integers(0, 255, 256)), ("label", [0, 255] * 128)):
        (folder / part).mkdir(parents=True)
        for number in range(5):
            drawn = np.array(values, np.uint8)[np.add.outer(np.arange(32), np.arange(32))]
            Image.fromarray(drawn).save(folder / part / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    small = {"model.arguments.base": 2, "sampling.crop": "[1, 16, 16]", "steps": 1, "threads": 1}
    more = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    for words in shown:
        own = {"train": [*more, "--device", "cpu"], "predict": ["--device", "cpu"]}
        assert typed(monkeypatch, *words, *own.get(words[0], [])) == 0, capsys.readouterr().err
    assert (tmp_path / "cells.tif").exists() and (tmp_path / "cells.png").exists()
