"""`topodelin score` as a person runs it: output, exit codes, and torch never loaded."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from topodelin.graphs import read_swc, score_tracing, write_graph_json

BLOCKED = "import sys; sys.modules['torch'] = None; from topodelin.cli import main; main()"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a fresh interpreter in which importing torch fails."""
    command = [sys.executable, "-X", "utf8", "-c", BLOCKED, "score", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """100 µm along x."""
    path = tmp_path / "truth.swc"
    path.write_text("1 2 0 0 0 1 -1\n2 2 100 0 0 1 1\n")
    return path


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """The first 57 µm of it, and 50 µm that are not there."""
    path = tmp_path / "traced.swc"
    path.write_text("1 2 0 0 0 1 -1\n2 2 57 0 0 1 1\n3 2 0 500 0 1 -1\n4 2 0 550 0 1 3\n")
    return path


def test_the_table_tells_lengths_ratios_and_tolerance(truth: Path, traced: Path) -> None:
    done = run(truth, traced)
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines() if line]
    assert [row[0] for row in words[1:]] == (
        "truth traced completeness correctness quality connectivity run APLS errors "
        "gaps bridges missing spurious displaced"
    ).split()
    lengths = [float(word) for row in words[1:3] for word in row[1:4]]
    assert lengths == pytest.approx([100, 60, 40, 107, 57, 50], abs=0.2)
    assert words[1][4] == "missed" and words[2][4] == "false"
    ratios = [float(row[1]) for row in words[3:6]]
    assert ratios == pytest.approx([0.6, 0.533, 0.393], abs=0.002)
    assert words[5][2:] == ["within", "3", "µm"]


def test_json_holds_every_number_and_parameter(truth: Path, traced: Path) -> None:
    done = run(truth, traced, "--json", "--tolerance-um", "2", "--step-um", "0.5")
    answer = json.loads(done.stdout)
    assert answer["truth"] == str(truth)
    assert answer["completeness"] == pytest.approx(0.59)
    assert answer["missed_um"] == pytest.approx(41)
    assert answer["false_um"] == pytest.approx(50)
    assert (answer["tolerance_um"], answer["step_um"]) == (2, 0.5)
    assert (answer["truth_nodes"], answer["traced_nodes"]) == (2, 4)
    assert (answer["truth_unit"], answer["spacing"]) == ("um", None)


def test_a_truth_in_voxels_is_compared_with_a_tracing_in_micrometres(
    tmp_path: Path, truth: Path
) -> None:
    voxels = tmp_path / "voxels.swc"
    voxels.write_text("1 2 0 0 0 1 -1\n2 2 200 0 0 1 1\n")
    done = run(voxels, truth, "--truth-unit", "voxel", "--spacing", "2,1,0.5", "--json")
    answer = json.loads(done.stdout)
    assert answer["quality"] == 1
    assert answer["truth_length_um"] == pytest.approx(100)
    done = run(voxels, voxels, "--unit", "voxel", "--spacing", "2,1,0.5", "--json")
    assert json.loads(done.stdout)["predicted_length_um"] == pytest.approx(100)


def test_a_truth_without_length_gives_null(tmp_path: Path, traced: Path) -> None:
    dot = tmp_path / "dot.swc"
    dot.write_text("1 2 0 0 0 1 -1\n")
    done = run(dot, traced, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["quality"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["truth.swc", "nowhere.swc"], "nowhere.swc: No such file"),
        (["truth.swc", "broken.swc"], "broken.swc, line 2: the parent 7"),
        (["truth.swc", "truth.swc", "--tolerance-um", "-1"], "`tolerance` must be a positive"),
        (["truth.swc", "truth.swc", "--unit", "voxel"], "--spacing 1.0,0.3,0.3"),
        (["truth.swc", "truth.swc", "--spacing", "1,1,1"], "add --unit voxel"),
        (["truth.swc", "truth.swc", "--unit", "mm"], "`unit` must be one of um, voxel"),
        (["truth.swc", "truth.swc", "--unit", "voxel", "--spacing", "1,1"], "three numbers"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, truth: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "broken.swc").write_text("1 2 0 0 0 1 -1\n2 2 9 0 0 1 7\n")
    full = [str(tmp_path / a) if a.endswith(".swc") else a for a in arguments]
    done = run(*full)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert says in done.stderr


FORK = "1 2 0 0 0 1 -1\n2 2 50 0 0 1 1\n3 2 100 0 0 1 2\n4 2 50 60 0 1 2\n"
CUT = "1 2 0 0 0 1 -1\n2 2 30 0 0 1 1\n3 2 40 0 0 1 -1\n4 2 100 0 0 1 3\n5 2 50 0 0 1 3\n"


@pytest.fixture
def wrong(tmp_path: Path) -> tuple[Path, Path]:
    """A fork; and without its branch of 60 µm, with a gap of 10 µm and one more of a whole tree."""
    (tmp_path / "fork.swc").write_text(FORK)
    (tmp_path / "cut.swc").write_text(CUT)
    return tmp_path / "fork.swc", tmp_path / "cut.swc"


def test_json_holds_the_other_metrics_as_python_gives_them(wrong: tuple[Path, Path]) -> None:
    answer = json.loads(run(*wrong, "--json").stdout)
    result = score_tracing(read_swc(wrong[0]), read_swc(wrong[1]), tolerance=3.0)
    assert answer["run_length"] == result.run_length.as_dict()
    assert answer["apls"] == result.paths.as_dict()
    assert answer["connectivity"] == result.connectivity.as_dict()
    assert answer["errors"]["gap_count"] == 1 and answer["errors"]["missing_branch_count"] == 1
    assert answer["topology"]["error_components"] == 1
    assert answer["warnings"] == []


def test_errors_are_written_the_most_expensive_first(
    tmp_path: Path, wrong: tuple[Path, Path]
) -> None:
    assert run(*wrong, "--errors", tmp_path / "e.csv").returncode == 0
    rows = list(csv.DictReader((tmp_path / "e.csv").read_text().splitlines()))
    costs = [float(row["cost_um"]) for row in rows]
    assert {row["kind"] for row in rows} == {"gap", "missing_branch"}
    assert costs == sorted(costs, reverse=True) and costs[0] > 0
    gap = next(row for row in rows if row["kind"] == "gap")
    assert float(gap["x_um"]) == pytest.approx(35, abs=1) and float(gap["y_um"]) == 0


def test_markers_of_a_tracing_in_voxels_stand_in_voxels(
    tmp_path: Path, wrong: tuple[Path, Path]
) -> None:
    for name, options, place in (
        ("um.apo", [], 35.0),
        ("voxel.apo", ["--unit", "voxel", "--spacing", "1,1,2", "--tolerance-um", "6"], 35.0),
    ):
        assert run(*wrong, "--errors", tmp_path / name, *options).returncode == 0
        header, *markers = (tmp_path / name).read_text().splitlines()
        x = [float(line.split(",")[5]) for line in markers if ",gap," in line]
        assert header.startswith("##n") and x == pytest.approx([place], abs=1)


def test_a_picture_is_written(tmp_path: Path, wrong: tuple[Path, Path]) -> None:
    done = run(*wrong, "--picture", tmp_path / "p.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_json_graphs_and_masks_are_judged_like_swc_files(tmp_path: Path, truth: Path) -> None:
    write_graph_json(tmp_path / "truth.json", read_swc(truth))
    mask = np.zeros((4, 4, 101), dtype=bool)
    mask[:3, :3, :] = True  # a tube along x
    np.save(tmp_path / "mask.npy", mask)
    done = run(tmp_path / "truth.json", tmp_path / "mask.npy", "--spacing", "1,1,1", "--json")
    answer = json.loads(done.stdout)
    assert answer["tolerance_um"] == 3 and answer["quality"] > 0.9
    assert answer["topology"]["predicted_components"] == 1
    same = json.loads(run(truth, tmp_path / "truth.json", "--json").stdout)
    assert same["quality"] == 1 and same["errors"]["gap_count"] == 0


def test_a_label_volume_is_judged_along_the_truth_or_against_labels(
    tmp_path: Path, truth: Path
) -> None:
    labels = np.zeros((3, 3, 101), dtype=np.int32)
    labels[0, 0, :60], labels[0, 0, 60:] = 1, 2
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "one.npy", np.minimum(labels, 1))
    done = run(truth, tmp_path / "labels.npy", "--spacing", "1,1,1", "--json")
    answer = json.loads(done.stdout)
    expected = ((59 / 100) ** 2 + (40 / 100) ** 2) * 100  # one edge of 1 µm is split
    assert answer["run_length"]["expected_run_length_um"] == pytest.approx(expected)
    assert "split" in run(truth, tmp_path / "labels.npy", "--spacing", "1,1,1").stdout
    files = tmp_path / "one.npy", tmp_path / "labels.npy"
    done = run(*files, "--spacing", "1,1,1", "--volumes", "labels", "--json")
    segments = json.loads(done.stdout)["segments"]
    assert segments["rand_merge"] == 1 and segments["voi_split"] > 0.9


@pytest.fixture
def folders(tmp_path: Path, wrong: tuple[Path, Path]) -> tuple[Path, Path]:
    """Two stacks in either folder, and one in the first alone."""
    truths, traced = tmp_path / "truths", tmp_path / "traced"
    truths.mkdir()
    traced.mkdir()
    for name, text in (("a", FORK), ("b", FORK), ("lonely", FORK)):
        (truths / f"{name}.swc").write_text(text)
    (traced / "a.swc").write_text(CUT)
    write_graph_json(traced / "b.json", read_swc(wrong[0]))
    return truths, traced


def test_folders_pair_by_stem_and_give_a_row_each(folders: tuple[Path, Path]) -> None:
    done = run(*folders)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["a", "b", "pooled", "mean"]
    assert float(rows[1][3]) == 1
    assert float(rows[3][3]) == pytest.approx((float(rows[0][3]) + 1) / 2, abs=1e-3)
    assert "lonely.swc has no partner" in done.stderr and done.stderr.startswith("warning: ")


def test_json_of_folders_holds_every_pair_and_intervals(folders: tuple[Path, Path]) -> None:
    answer = json.loads(run(*folders, "--json").stdout)
    assert set(answer["pairs"]) == {"a", "b"} and answer["interval_level"] == 0.95
    quality = answer["summary"]["quality"]["quality"]
    assert quality["pooled_interval"][0] <= quality["pooled"] <= quality["pooled_interval"][1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 0 900 0 1 -1\n2 2 100 900 0 1 1\n", "do not touch (840.0 µm apart)"),
        ("1 2 0 0 0 1 -1\n2 2 9 50 0 1 1\n3 2 4 70 0 1 2\n", "times as large as the tracing"),
    ],
)
def test_what_looks_like_a_mistake_is_one_line_of_warning(
    tmp_path: Path, wrong: tuple[Path, Path], text: str, says: str
) -> None:
    (tmp_path / "odd.swc").write_text(text)
    done = run(wrong[0], tmp_path / "odd.swc", "--json")
    assert done.returncode == 0
    assert says in done.stderr and done.stderr.count("\n") == 1
    assert done.stderr.removeprefix("warning: ").strip() in json.loads(done.stdout)["warnings"]


def test_a_true_part_of_the_truth_raises_no_doubt(tmp_path: Path, truth: Path) -> None:
    (tmp_path / "part.swc").write_text("1 2 0 0 0 1 -1\n2 2 20 0 0 1 1\n")
    assert run(truth, tmp_path / "part.swc").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["truth.swc", "truth.swc", "--errors", "e.txt"], "`--errors` must end in .apo or .csv"),
        (["truth.swc", "truth.swc", "--picture", "e.svg"], "`--picture` must end in .png"),
        (["truth.swc", "truth.swc", "--volumes", "maybe"], "`--volumes` must be one of"),
        (["truth.swc", "truth.swc", "--apls-starts", "-1"], "`--apls-starts` must be 0 for all"),
        (["labels.npy", "truth.swc", "--spacing", "1,1,1"], "add --volumes mask"),
        (["truth.swc", "float.npy", "--spacing", "1,1,1"], "must hold integers, got float64"),
        (["truth.swc", "labels.npy"], "spacing"),
        (["one", "two"], "hold no files with the same stem"),
        (["one", "one", "--errors", "e.csv"], "take one pair of files"),
        (["three", "three"], "with the same stem; keep one"),
    ],
)
def test_a_mistake_about_files_is_one_line_too(
    tmp_path: Path, truth: Path, arguments: list[str], says: str
) -> None:
    np.save(tmp_path / "labels.npy", np.arange(8).reshape(2, 2, 2))
    np.save(tmp_path / "float.npy", np.zeros((2, 2, 2)))
    for folder, names in (("one", "a.swc"), ("two", "b.swc"), ("three", "a.swc a.json")):
        (tmp_path / folder).mkdir()
        for name in names.split():
            (tmp_path / folder / name).write_text(truth.read_text())
    full = [a if a.startswith("-") or a[0].isdigit() else str(tmp_path / a) for a in arguments]
    full = [a.replace(str(tmp_path) + "/maybe", "maybe") for a in full]
    done = run(*full)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert says in done.stderr
