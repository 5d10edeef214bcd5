"""`topodelin score` on two folders: which files pair, and what all pairs say together."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.cli.score_command import CUT, FORK, LINE, refused, run, written
from topodelin.graphs import read_swc, write_graph_json

ONE_UM = ("--spacing", "1,1,1")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two stacks in either folder, and one in the first alone."""
    truths, traced = tmp_path / "truths", tmp_path / "traced"
    written(truths, a=FORK, b=FORK, lonely=FORK)
    written(traced, a=CUT)
    write_graph_json(traced / "b.json", read_swc(truths / "b.swc"))
    return truths, traced


def test_folders_pair_by_stem_and_give_a_row_each(folders: tuple[Path, Path]) -> None:
    done = run(*folders)
    rows = [line.split() for line in done.stdout.splitlines()[1:7]]
    assert [row[0] for row in rows] == ["a", "b", "pooled", "from", "to", "mean"]
    quality = [float(row[3]) for row in rows]
    assert quality[1] == 1
    assert quality[5] == pytest.approx((quality[0] + 1) / 2, abs=1e-3)
    assert quality[3] <= quality[2] <= quality[4]
    assert "lonely.swc has no partner" in done.stderr and done.stderr.startswith("warning: ")


def test_json_of_folders_holds_every_pair_and_intervals(folders: tuple[Path, Path]) -> None:
    answer = json.loads(run(*folders, "--json").stdout)
    assert set(answer["pairs"]) == {"a", "b"} and answer["interval_level"] == 0.95
    quality = answer["summary"]["quality"]["quality"]
    assert quality["pooled_interval"][0] <= quality["pooled"] <= quality["pooled_interval"][1]
    assert answer["summary"]["topology"]["error_components"]["pooled"] == 1
    assert any("lonely.swc has no partner" in line for line in answer["warnings"])


def test_folders_below_pair_by_their_path_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    for side, text in (("truths", LINE), ("traced", FORK)):
        written(tmp_path / side / "day1", a=text)
        written(tmp_path / side / "day2", a=LINE)
        (tmp_path / side / "day1" / "._a.swc").write_bytes(b"\0\5\x16\7")
    done = run(tmp_path / "truths", tmp_path / "traced", "--json")
    pairs = json.loads(done.stdout)["pairs"]
    assert (done.stderr, set(pairs)) == ("", {"day1/a", "day2/a"})
    assert pairs["day2/a"]["quality"] == 1 and pairs["day1/a"]["quality"] < 1


def test_a_pair_may_be_called_like_a_row_of_the_table(tmp_path: Path) -> None:
    for side in ("truths", "traced"):
        written(tmp_path / side, mean=LINE, pooled=LINE)
    rows = run(tmp_path / "truths", tmp_path / "traced").stdout.splitlines()[1:7]
    assert [row.split()[0] for row in rows] == "mean pooled pooled from to mean".split()


def test_warnings_of_a_pair_name_it(tmp_path: Path) -> None:
    written(tmp_path / "truths", a=LINE, b=LINE)
    written(tmp_path / "traced", a=LINE, b="1 2 0 900 0 1 -1\n2 2 100 900 0 1 1\n")
    done = run(tmp_path / "truths", tmp_path / "traced", "--json")
    answer = json.loads(done.stdout)
    assert [line[:3] for line in answer["warnings"]] == ["b: "]
    assert "do not touch" in answer["warnings"][0] and answer["warnings"][0] in done.stderr
    assert "do not touch" in answer["pairs"]["b"]["warnings"][0]


def saved(folder: Path, **volumes: np.ndarray) -> None:
    folder.mkdir()
    for name, volume in volumes.items():
        np.save(folder / f"{name}.npy", volume)


def halves(cut: int) -> np.ndarray:
    """A tube of 100 voxels along x that changes its label at one of them."""
    labels = np.zeros((3, 3, 101), dtype=np.int32)
    labels[1, 1, :cut], labels[1, 1, cut:] = 1, 2
    return labels


def test_label_volumes_pool_their_voxels(tmp_path: Path) -> None:
    saved(tmp_path / "truths", a=np.minimum(halves(50), 1), b=halves(50))
    saved(tmp_path / "traced", a=halves(50), b=halves(50))
    both = tmp_path / "truths", tmp_path / "traced"
    answer = json.loads(run(*both, *ONE_UM, "--volumes", "labels", "--json").stdout)
    split = answer["summary"]["segments"]["voi_split"]
    assert answer["pairs"]["b"]["segments"]["voi_split"] == 0
    assert split["pooled"] == pytest.approx(answer["pairs"]["a"]["segments"]["voi_split"] / 2)
    assert split["pooled_interval"][0] <= split["pooled"] <= split["pooled_interval"][1]
    header, *rows = run(*both, *ONE_UM, "--volumes", "labels").stdout.splitlines()
    assert header.split()[:4] == ["Rand", "split", "Rand", "merge"]
    assert [row.split()[0] for row in rows[:3]] == ["a", "b", "pooled"]


def test_run_lengths_of_label_volumes_pool_the_squares(tmp_path: Path) -> None:
    line = "1 2 0 1 1 1 -1\n2 2 100 1 1 1 1\n"
    written(tmp_path / "truths", a=line, b=line)
    saved(tmp_path / "traced", a=halves(50), b=halves(10))
    both = tmp_path / "truths", tmp_path / "traced"
    answer = json.loads(run(*both, *ONE_UM, "--json").stdout)
    found = answer["summary"]["run_length"]["normalised_run_length"]["pooled"]
    assert found == pytest.approx((49**2 + 50**2 + 9**2 + 90**2) / (2 * 100**2))
    assert run(*both, *ONE_UM).stdout.split()[:4] == ["run", "ERL", "µm", "splits"]


def test_a_mixture_of_kinds_is_one_line(tmp_path: Path) -> None:
    saved(tmp_path / "truths", a=halves(50), b=np.minimum(halves(50), 1))
    saved(tmp_path / "traced", a=halves(50), b=np.minimum(halves(50), 1))
    line = refused(tmp_path / "truths", tmp_path / "traced", *ONE_UM)
    assert "b.npy: this pair gives two tracings, the pairs before it two label volumes" in line
    assert "add --volumes mask or --volumes labels" in line


def test_metrics_on_request_are_pooled_too(folders: tuple[Path, Path]) -> None:
    answer = json.loads(run(*folders, "--also", "critical_nodes", "--json").stdout)
    each = [pair["critical_nodes"]["critical_matched"] for pair in answer["pairs"].values()]
    pooled = answer["summary"]["critical_nodes"]["critical_matched"]["pooled"]
    assert pooled == sum(each) > 0
    assert "critical_f1" in run(*folders, "--also", "critical_nodes").stdout.split()


@pytest.mark.parametrize(
    ("one", "two", "says"),
    [
        ("a.swc", "b.swc", "hold no files with the same stem, such as a.swc and a.json"),
        ("a.swc", "", "hold no files with the same stem"),
        ("a.swc a.json", "a.swc", "holds a.json and a.swc with the same stem; keep one"),
    ],
)
def test_a_mistake_about_folders_is_one_line(tmp_path: Path, one: str, two: str, says: str) -> None:
    for folder, names in (("one", one), ("two", two)):
        (tmp_path / folder).mkdir()
        for name in names.split():
            (tmp_path / folder / name).write_text(LINE)
    assert says in refused(tmp_path / "one", tmp_path / "two")


def test_a_folder_beside_a_file_is_one_tracing_the_union_of_its_files(tmp_path: Path) -> None:
    (whole,) = written(tmp_path, whole=LINE + "3 2 0 60 0 1 -1\n4 2 100 60 0 1 3\n")
    one, two = "1 2 0 0 0 1 -1\n2 2 100 0 0 1 1\n", "1 2 0 60 0 1 -1\n2 2 100 60 0 1 1\n"
    written(tmp_path / "trees", tree_0001=one, tree_0002=two)
    for pair in ((whole, tmp_path / "trees"), (tmp_path / "trees", whole)):
        answer = json.loads(run(*pair, "--json").stdout)
        assert answer["quality"] == answer["connectivity"]["connectivity"] == 1
        assert answer["topology"]["truth_components"] == 2
    assert "2 files, 4 nodes, 2 connected parts" in run(whole, tmp_path / "trees").stdout


def test_the_trees_of_a_folder_show_which_of_them_a_label_merges(tmp_path: Path) -> None:
    one, two = "1 2 0 0 0 1 -1\n2 2 100 0 0 1 1\n", "1 2 0 60 0 1 -1\n2 2 100 60 0 1 1\n"
    written(tmp_path / "neurites", one=one, two=two)
    labels = np.zeros((1, 61, 101), dtype=np.uint16)
    labels[:, ::60], labels[0, 30] = 7, 3
    np.save(tmp_path / "labels.npy", labels)
    done = run(tmp_path / "neurites", tmp_path / "labels.npy", *ONE_UM, "--json")
    assert json.loads(done.stdout)["run_length"]["mergers"] == 1


def test_two_folders_can_be_one_tracing_each(tmp_path: Path) -> None:
    written(tmp_path / "truths", neuron=FORK)
    left, right = (
        "1 2 0 0 0 1 -1\n2 2 50 0 0 1 1\n",
        "1 2 50 60 0 1 -1\n2 2 50 0 0 1 1\n3 2 100 0 0 1 2\n",
    )
    written(tmp_path / "traced", fragment_1=left, fragment_2=right)
    both = tmp_path / "truths", tmp_path / "traced"
    assert "add --union if each folder is one tracing" in refused(*both)
    answer = json.loads(run(*both, "--union", "--json").stdout)
    assert answer["quality"] == 1 and answer["topology"]["error_components"] == 1
