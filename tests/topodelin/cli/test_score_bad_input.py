"""`topodelin score` on files as they should not be: one line, or a warning in the result."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.topodelin.cli.score_command import CUT, FORK, LINE, refused, run, written

ONE_UM = ("--spacing", "1,1,1")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """100 µm along x."""
    return written(tmp_path, truth=LINE)[0]


def answer(*arguments: str | Path) -> dict[str, Any]:
    """The JSON of a score that must succeed, whose warnings are those on stderr."""
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(done.stdout, parse_constant=no_constant)
    told = [line.removeprefix("warning: ") for line in done.stderr.splitlines()]
    assert found["warnings"] == told
    return found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 0 0 0 1 3\n2 2 9 0 0 1 1\n3 2 9 9 0 1 2\n", "line 1: 3 nodes are each other's"),
        ("1 2 0 0 0 1 -1\n1 2 9 0 0 1 1\n", "line 2: id 1 is already used on line 1"),
        ("1 2 0 0 0 1 -1\n2 2 9 0 0 1 7\n", "line 2: the parent 7 of node 2 is not in the file"),
        ("# cell\n1 2 0 0 0 1 1\n", "line 2: node 1 is its own parent; write -1"),
        ("1 2 0 0 0 1 -1\n2 2 nan 0 0 1 1\n", "line 2: `x` must be finite"),
        ("1 2 0 0 0 1 -1\n2 2 inf 0 0 1 1\n", "line 2: `x` must be finite"),
        ("1 2 0 0 0 1 -1\n2 2 9 0 0 1\n", "line 2: "),
        ("1 2 0 0 0 1 -1\n2 2 nine 0 0 1 1\n", "line 2: "),
        ("", "line 1: the file is empty"),
        ("# only\n# comments\n", "line 3: the file ends without a single node"),
    ],
)
def test_a_file_without_trees_is_answered_with_line_and_remedy(
    tmp_path: Path, truth: Path, text: str, says: str
) -> None:
    (broken,) = written(tmp_path, broken=text)
    for pair in ((truth, broken), (broken, truth)):
        line = refused(*pair)
        assert f"{broken}, {says}" in line


@pytest.mark.parametrize(
    "text",
    [
        CUT.replace(" ", "\t"),
        CUT.replace("\n", "\r\n"),
        "\ufeff# a comment\n\n" + CUT.replace("\n2 ", "\n# inside\n2 ") + "# and below\n\n",
        "".join(reversed(CUT.splitlines(keepends=True))),  # parents below their children
        CUT.replace(" -1\n", " -1 extra columns\n"),
        CUT.rstrip("\n"),
    ],
    ids=["tabs", "CRLF", "comments", "forward references", "columns", "no last line end"],
)
def test_spellings_change_nothing(tmp_path: Path, text: str) -> None:
    (fork, plain) = written(tmp_path, fork=FORK, plain=CUT)
    odd = tmp_path / "odd.swc"
    odd.write_bytes(text.encode("utf-8"))
    expected, found = answer(fork, plain), answer(fork, odd)
    assert found["quality"] == pytest.approx(expected["quality"])
    assert found["topology"] == expected["topology"]
    assert found["errors"]["gap_count"] == expected["errors"]["gap_count"] == 1
    assert found["warnings"] == []


@pytest.mark.parametrize("radius", ["0", "-3.5"])
def test_a_radius_that_is_none_is_told_and_changes_nothing(
    tmp_path: Path, truth: Path, radius: str
) -> None:
    (bad,) = written(tmp_path, bad=f"# cell\n1 2 0 0 0 1 -1\n2 2 100 0 0 {radius} 1\n")
    found = answer(truth, bad)
    assert found["quality"] == 1
    assert found["warnings"] == [
        f"{bad}, line 3: radius {radius} is not positive and is read as unknown; no number here "
        "depends on radii"
    ]


def test_many_bad_radii_are_one_line(tmp_path: Path, truth: Path) -> None:
    (bad,) = written(tmp_path, bad=LINE.replace(" 0 1 ", " 0 0 "))
    (line,) = answer(truth, bad)["warnings"]
    assert "line 1: radius 0" in line and "and 1 more" in line


@pytest.mark.parametrize("text", ["1 2 5 0 0 1 -1\n", "1 2 5 0 0 1 -1\n2 2 7 0 0 1 -1\n"])
def test_a_file_without_an_edge_is_told(tmp_path: Path, truth: Path, text: str) -> None:
    (dots,) = written(tmp_path, dots=text)
    found = answer(truth, dots)
    assert found["quality"] == found["apls"]["apls"] == 0
    assert f"the tracing, {dots}, holds no cable" in found["warnings"][0]
    found = answer(dots, truth)
    assert found["quality"] is None and found["run_length"]["normalised_run_length"] is None
    assert f"the truth, {dots}, holds no cable: its ratios are undefined" in found["warnings"][0]
    found = answer(dots, dots)
    assert found["quality"] is None and len(found["warnings"]) == 2
    assert "nan" in run(dots, dots).stdout


def test_an_empty_mask_and_an_empty_label_volume_are_told(tmp_path: Path, truth: Path) -> None:
    np.save(tmp_path / "none.npy", np.zeros((4, 4, 4), dtype=np.uint8))
    none = tmp_path / "none.npy"
    found = answer(truth, none, *ONE_UM)
    assert found["quality"] == 0 and "holds no cable" in found["warnings"][0]
    found = answer(none, none, *ONE_UM, "--volumes", "labels")
    assert found["segments"]["rand_split"] is None
    assert "holds no label: its ratios are undefined" in found["warnings"][0]
    assert len(found["warnings"]) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 0 900 0 1 -1\n2 2 100 900 0 1 1\n", "do not touch (840.0 µm apart)"),
        ("1 2 0 0 0 1 -1\n2 2 9 50 0 1 1\n3 2 4 70 0 1 2\n", "times as large as the tracing"),
        (FORK.replace("60 0 1 2", "60 40 1 2"), "the truth lies in one plane (2-D)"),
    ],
    ids=["apart", "voxels", "3-D"],
)
def test_what_looks_like_a_mistake_is_one_line_of_warning(
    tmp_path: Path, text: str, says: str
) -> None:
    fork, odd = written(tmp_path, fork=FORK, odd=text)
    warnings = answer(fork, odd)["warnings"]
    assert [says in line for line in warnings] == [True]


def test_the_ratio_of_voxels_read_as_micrometres_is_told(tmp_path: Path) -> None:
    points = np.cumsum(np.random.default_rng(0).normal(size=(60, 3)), axis=0) * 10
    rows = [f"{n} 2 {{}} {{}} {{}} 1 {n - 1 or -1}" for n in range(1, 61)]
    um, voxel = (
        "\n".join(row.format(*p) for row, p in zip(rows, points / size, strict=True)) + "\n"
        for size in (np.ones(3), np.array([0.25, 0.25, 1.0]))
    )
    truth, traced = written(tmp_path, truth=voxel, traced=um)
    (line,) = answer(truth, traced)["warnings"]
    assert "1.00, 4.00, 4.00 times as large" in line and "read it with unit voxel" in line
    found = answer(truth, traced, "--truth-unit", "voxel", "--spacing", "1,0.25,0.25")
    assert found["warnings"] == [] and found["quality"] == 1


def test_a_part_of_the_truth_raises_no_doubt(tmp_path: Path, truth: Path) -> None:
    (part,) = written(tmp_path, part="1 2 0 0 0 1 -1\n2 2 20 0 0 1 1\n")
    assert answer(truth, part)["warnings"] == []
    (deep,) = written(tmp_path, deep=LINE + "3 2 100 0 90 1 2\n4 2 100 70 90 1 3\n")
    assert answer(deep, part)["warnings"] == []  # which lies in one plane


def test_images_of_two_dimensions_are_refused_or_told(tmp_path: Path, truth: Path) -> None:
    np.save(tmp_path / "2d.npy", np.ones((8, 8), dtype=np.uint8))
    assert "2d.npy: is one 2-D image of shape (8, 8)" in refused(
        truth, tmp_path / "2d.npy", *ONE_UM
    )
    deep = np.zeros((41, 9, 101), dtype=np.uint8)
    deep[:, 4, 4] = deep[20, 4, :] = 1
    np.save(tmp_path / "deep.npy", deep)
    np.save(tmp_path / "flat.npy", deep.max(axis=0, keepdims=True))
    pair = tmp_path / "flat.npy", tmp_path / "deep.npy"
    assert "lies in one plane (2-D)" in answer(*pair, *ONE_UM)["warnings"][0]
    line = refused(*pair, *ONE_UM, "--volumes", "labels")
    assert "deep.npy: label volumes must have one shape, (1, 9, 101)" in line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "line 1: is not JSON"),
        ("[1, 2]", '`format` must be "neurite graph"'),
        ("\x89\xff", "is not text"),
        ('{"positions": [[0, 0]]', "is not JSON"),
        ('{"positions": [[0, 0]]}', "`positions` must be a list with [z, y, x] in µm"),
        ('{"positions": [[0, 0, 0]], "edges": [[0, 4]]}', "`edges` must name nodes 0 to 0"),
        ('{"positions": [[NaN, 0, 0]], "edges": []}', "`positions` must be finite"),
    ],
)
def test_a_malformed_json_graph_is_one_line(
    tmp_path: Path, truth: Path, content: str, says: str
) -> None:
    head = '{"format": "neurite graph", "version": 1, "unit": "um", "axes": "zyx", '
    content = content.replace('{"positions', head + '"positions')
    (tmp_path / "bad.json").write_bytes(content.encode("latin-1"))
    line = refused(truth, tmp_path / "bad.json")
    assert line.startswith(str(tmp_path / "bad.json")) and says in line


def test_files_that_are_no_volumes_are_one_line(tmp_path: Path, truth: Path) -> None:
    array = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "pickled.npy", array, allow_pickle=True)
    assert "type object" in refused(truth, tmp_path / "pickled.npy", *ONE_UM)
    tifffile.imwrite(tmp_path / "bare.tif", np.ones((5, 6, 7), dtype=np.uint8))
    line = refused(truth, tmp_path / "bare.tif")
    assert "bare.tif: does not tell the size of its voxels" in line and "--spacing z,y,x" in line
    (tmp_path / "text.tif").write_text(LINE)
    assert "is not an image that can be read" in refused(truth, tmp_path / "text.tif")
    (tmp_path / "short.tif").write_bytes((tmp_path / "bare.tif").read_bytes()[:60])
    assert "short.tif" in refused(truth, tmp_path / "short.tif", *ONE_UM)


def test_what_is_not_there_is_one_line(tmp_path: Path, truth: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "nowhere.swc: No such file" in refused(truth, tmp_path / "nowhere.swc")
    assert "nowhere.tif: does not exist" in refused(truth, tmp_path / "nowhere.tif")
    assert "holds no SWC or JSON files" in refused(truth, tmp_path / "empty")
    assert "hold no files with the same stem" in refused(tmp_path / "empty", tmp_path / "empty")
    (tmp_path / "folder.swc").mkdir()
    assert "folder.swc" in refused(truth, tmp_path / "folder.swc")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, truth: Path) -> None:
    (locked,) = written(tmp_path, locked=LINE)
    locked.chmod(0)
    assert "locked.swc: Permission denied" in refused(truth, locked)


def test_paths_may_hold_any_letters(tmp_path: Path) -> None:
    truth, traced = written(tmp_path / "été 神经", **{"ü b": LINE, "Ω": LINE})
    assert answer(truth, traced)["traced"] == str(traced)
    assert str(traced) in run(truth, traced).stdout
    assert "größe.swc: No such file" in refused(truth, tmp_path / "größe.swc")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tolerance-um", "0"], "`tolerance` must be a positive number"),
        (["--tolerance-um", "nan"], "`tolerance` must be a positive number"),
        (["--step-um", "-1"], "`step` must be a positive number"),
        (["--apls-starts", "-1"], "`--apls-starts` must be 0 for all or more"),
        (["--unit", "voxel", "--spacing", "0,1,1"], "three positive numbers"),
        (["--unit", "voxel", "--spacing", "1,x,1"], "three numbers z,y,x"),
    ],
)
def test_options_out_of_range_are_one_line(truth: Path, options: list[str], says: str) -> None:
    assert says in refused(truth, truth, *options)
