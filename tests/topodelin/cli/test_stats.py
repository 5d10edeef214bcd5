"""`topodelin stats` as a person runs it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.shared_files import needs_shared, shared
from tests.topodelin.training.labelled_drawings import discs
from topodelin.cli.app import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    image, labels = discs()
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "labels.npy", labels)
    return [
        str(tmp_path / "image.npy"),
        str(tmp_path / "labels.npy"),
        "--spacing",
        "0.05,0.01,0.01",
    ]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["topodelin", "stats", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


Out = pytest.CaptureFixture[str]


def test_a_table_for_people(files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    assert run(monkeypatch, *files, "--classes", "ground=10,body=20+30") == 0
    said = capsys.readouterr().out
    header, ground, body = said.splitlines()[:3]
    assert header.split()[:6] == ["class", "voxels", "share", "µm³", "mean", "sd"]
    assert ground.split()[0] == "ground" and body.split()[0] == "body"
    labels = discs()[1]
    assert f"{(labels == 10).sum():,}" in ground and f"{(labels == 10).mean():.2%}" in ground
    assert "p-values of all voxels would be far too small" in said
    assert said.splitlines()[-1].split()[:2] == ["ground", "body"]


def test_json_for_programs_with_every_value_a_class(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    assert run(monkeypatch, *files, "--json", "--ignore", "30", "--apart", "1,4,4") == 0
    read = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in read["classes"]] == ["10", "20"]
    assert read["ignored"] == (discs()[1] == 30).sum() and read["apart"] == [1, 4, 4]
    assert read["classes"][0]["volume"] == pytest.approx(read["classes"][0]["voxels"] * 5e-6)
    assert read["differences"][0]["superiority"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--classes", "ground"], "`--classes` must be name=value,... with each name once"),
        (["--classes", "a=10,a=20"], "got 'a=20'"),
        (["--classes", "a=x"], "got 'a=x'"),
        (["--classes", "a=10,b=20"], "labels.npy: holds the value 30"),
        (["--ignore", "x"], "`--ignore` must be whole numbers such as 7,8, got 'x'"),
        (["--apart", "1,2"], "`--apart` must be three whole numbers z,y,x from 1, got '1,2'"),
        (["--spacing", "1"], "`--spacing` must be three numbers"),
    ],
)
def test_a_wrong_option_is_answered_in_one_line(
    arguments: list[str],
    said: str,
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Out,
) -> None:
    assert run(monkeypatch, *files, *arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_files_that_do_not_fit_are_refused(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    np.save(tmp_path / "labels.npy", discs()[1][:2])
    assert run(monkeypatch, *files) == 2
    assert "must have the shape of" in capsys.readouterr().err
    np.save(tmp_path / "labels.npy", np.arange(4 * 48 * 56).reshape(4, 48, 56))
    assert run(monkeypatch, *files) == 2
    assert "holds 10752 values, more than 64 classes" in capsys.readouterr().err


@needs_shared
def test_the_counts_of_a_published_section_are_met(
    monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    folder = shared("data", "platelet_em")
    paths = [folder / "50-images_z0.tif", folder / "50-semantic_z0_classes.png"]
    assert run(monkeypatch, *map(str, paths), "--spacing", "0.04,0.01,0.01", "--json") == 0
    read = json.loads(capsys.readouterr().out)
    counts = [each["voxels"] for each in read["classes"]]
    assert counts == [189170, 395475, 4432, 25818, 24074, 919, 112] and read["ignored"] == 0
    assert read["differences"][2]["superiority"] > 0.9  # background is bright, granules are dark
