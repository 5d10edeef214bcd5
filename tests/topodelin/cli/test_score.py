"""`topodelin score` as a person runs it: output, exit codes, and torch never loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.cli.score_command import CUT, FORK, refused, run
from topodelin.graphs import read_swc, score_tracing, write_graph_json, write_swc

BLOCKED = "import sys; sys.modules['torch'] = None; from topodelin.cli import main; main()"


def in_a_fresh_interpreter(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own in which importing torch fails."""
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
    done = in_a_fresh_interpreter(truth, traced)
    assert done.returncode == 0, done.stderr
    read, words = done.stdout.splitlines()[:2], done.stdout.splitlines()[2:]
    assert [line.split(": ")[1] for line in read] == [
        "2 nodes, 1 connected part",
        "4 nodes, 2 connected parts",
    ]
    words = [line.split() for line in words if line]
    assert [row[0] for row in words[1:-2]] == (
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
    assert (answer["truth_unit"], answer["spacing"]) == ("as in the file", None)


def test_files_in_voxels_that_say_so_need_no_option(tmp_path: Path, truth: Path) -> None:
    write_swc(tmp_path / "a.vox.swc", read_swc(truth), spacing=(2.0, 1.0, 0.5))
    assert json.loads(run(tmp_path / "a.vox.swc", truth, "--json").stdout)["quality"] == 1


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
    assert says in refused(*(str(tmp_path / a) if a.endswith(".swc") else a for a in arguments))


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


def test_a_terminal_that_knows_few_letters_still_gets_the_answer(truth: Path) -> None:
    command = [sys.executable, "-c", BLOCKED, "score", str(truth), str(truth)]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "quality       1.000   within 3 \\xb5m" in done.stdout
