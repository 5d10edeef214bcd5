"""The files that `topodelin score` writes: errors and pictures, of a pair or of two folders."""

import csv
from pathlib import Path

import pytest

from tests.topodelin.cli.score_command import CUT, FORK, LINE, refused, run, written
from topodelin.graphs import find_errors, read_swc


@pytest.fixture
def wrong(tmp_path: Path) -> tuple[Path, Path]:
    """A fork; and without its branch of 60 µm, with a gap of 10 µm and one more of a whole tree."""
    fork, cut = written(tmp_path, fork=FORK, cut=CUT)
    return fork, cut


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


def test_the_cable_of_errors_opens_as_a_tracing(tmp_path: Path, wrong: tuple[Path, Path]) -> None:
    assert run(*wrong, "--errors", tmp_path / "e.swc").returncode == 0
    cable = read_swc(tmp_path / "e.swc")
    expected = sum(
        error.stretch.length
        for error in find_errors(read_swc(wrong[0]), read_swc(wrong[1]), tolerance=3.0).errors
    )
    assert cable.length == pytest.approx(expected, abs=0.01) and expected > 60


def test_errors_are_ranked_by_the_score_of_choice(tmp_path: Path) -> None:
    one = "1 2 0 0 0 1 -1\n2 2 {} 0 0 1 1\n3 2 {} 0 0 1 {}\n4 2 300 0 0 1 3\n"
    two = "5 2 0 100 0 1 -1\n6 2 80 100 0 1 5\n7 2 160 100 0 1 6\n"
    two += "8 2 0 140 0 1 {}\n9 2 80 140 0 1 {}\n10 2 160 140 0 1 9\n"
    truth, traced = written(
        tmp_path,
        truth=one.format(140, 160, 2) + two.format(-1, 8),
        traced=one.format(140, 160, -1) + two.format(9, 6),
    )
    orders = {}
    for score in ("run_length", "connectivity"):
        path = tmp_path / f"{score}.csv"
        assert run(truth, traced, "--errors", path, "--rank-by", score).returncode == 0
        orders[score] = [row["kind"] for row in csv.DictReader(path.read_text().splitlines())]
    assert orders == {"run_length": ["bridge", "gap"], "connectivity": ["gap", "bridge"]}


def test_a_picture_is_written(tmp_path: Path, wrong: tuple[Path, Path]) -> None:
    done = run(*wrong, "--picture", tmp_path / "p.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_folders_give_one_file_for_each_pair(tmp_path: Path) -> None:
    written(tmp_path / "truths", a=FORK, b=FORK)
    written(tmp_path / "truths" / "day2", a=LINE)
    written(tmp_path / "traced", a=CUT, b=FORK)
    written(tmp_path / "traced" / "day2", a=LINE)
    both = tmp_path / "truths", tmp_path / "traced"
    markers, pictures = tmp_path / "markers", tmp_path / "pictures"
    done = run(*both, "--errors", markers, "--picture", pictures)
    assert done.returncode == 0, done.stderr
    names = sorted(p.relative_to(markers).as_posix() for p in markers.rglob("*.apo"))
    assert names == ["a.apo", "b.apo", "day2/a.apo"]
    assert len(list(pictures.rglob("*.png"))) == 3
    assert run(*both, "--errors", markers, "--errors-as", "csv").returncode == 0
    found = list(csv.DictReader((markers / "a.csv").read_text().splitlines()))
    assert {row["kind"] for row in found} == {"gap", "missing_branch"}
    assert len((markers / "b.csv").read_text().splitlines()) == 1


def test_an_earlier_answer_is_written_anew(tmp_path: Path, wrong: tuple[Path, Path]) -> None:
    run(wrong[0], wrong[0], "--errors", tmp_path / "e.csv")
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 1
    run(*wrong, "--errors", tmp_path / "e.csv")
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 3


def test_what_is_scored_is_never_replaced(tmp_path: Path, wrong: tuple[Path, Path]) -> None:
    line = refused(*wrong, "--errors", tmp_path / "." / "cut.swc")
    assert "would replace a file that is scored" in line
    written(tmp_path / "truths", a=FORK)
    written(tmp_path / "traced", a=CUT)
    folders = tmp_path / "truths", tmp_path / "traced"
    line = refused(*folders, "--errors", tmp_path / "traced", "--errors-as", "swc")
    assert "traced/a.swc: would replace" in line
    assert wrong[1].read_text() == (tmp_path / "traced" / "a.swc").read_text() == CUT


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--errors", "e.txt"], "`--errors` must end in .apo or .csv or .swc"),
        (["--picture", "e.svg"], "`--picture` must end in .png"),
        (["--errors", "nowhere/e.csv"], "has no folder to stand in"),
        (["--errors-as", "xml"], "`--errors-as` must be one of apo, csv, swc"),
        (["--rank-by", "size"], "`--rank-by` must be one of run_length, connectivity"),
    ],
)
def test_a_mistake_about_outputs_of_a_pair_is_one_line(
    tmp_path: Path, wrong: tuple[Path, Path], options: list[str], says: str
) -> None:
    options = [str(tmp_path / word) if "." in word else word for word in options]
    assert says in refused(*wrong, *options)


def test_folders_below_are_made_where_needed(tmp_path: Path) -> None:
    for side in ("truths", "traced"):
        written(tmp_path / side / "deep" / "down", a=LINE)
    run(tmp_path / "truths", tmp_path / "traced", "--errors", tmp_path / "markers")
    assert (tmp_path / "markers" / "deep" / "down" / "a.apo").exists()


def test_folders_want_folders(tmp_path: Path) -> None:
    written(tmp_path / "one", a=FORK)
    both = tmp_path / "one", tmp_path / "one"
    assert "must be a folder" in refused(*both, "--errors", tmp_path / "e.csv")
    assert "has no folder to stand in" in refused(*both, "--picture", tmp_path / "no" / "where")
    (tmp_path / "taken").write_text("")
    assert "must be a folder" in refused(*both, "--picture", tmp_path / "taken")
