"""`topodelin swc` as a person runs it, in this process, which starts at once."""

import csv
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from tests.graphs.drawings import chain, fork, random_forest, ring
from topodelin.cli import main
from topodelin.graphs import (
    NeuriteGraph,
    check_swc,
    joined,
    morphometry,
    read_graph_json,
    read_swc,
    write_graph_json,
    write_swc,
)
from topodelin.graphs.roots import written_roots

HEALTHY = "# by hand\n1 1 0 0 0 2 -1\n2 3 10 0 0 0.6 1\n3 3 20 0 0 0.7 2\n4 3 10 10 0 0 2\n"
ILL = HEALTHY + "9 2 50 0 0 1 8\n8 2 60 0 0 1 7\n"
LOOP = "1 1 0 0 0 0.5 -1\n2 3 10 0 0 0.6 3\n3 3 20 0 0 0.7 2\n"


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `topodelin swc` with these arguments."""
    command = ["topodelin", "swc", *map(str, arguments)]
    with (
        patch.object(sys, "argv", command),
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
    ):
        try:
            main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code or 0
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue()


def done(*arguments: str | Path) -> list[str]:
    """The lines that a command prints which ends well."""
    code, out, err = run(*arguments)
    assert (code, err) == (0, ""), err
    return out.splitlines()


def refused(*arguments: str | Path) -> str:
    """The one line that answers a mistake; nothing else is printed and the exit code is 2."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, ""), (code, out, err)
    assert err.startswith("error: ") and err.count("\n") == 1
    return err.removeprefix("error: ").strip()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of files in several states of health; one name is not ASCII."""
    folder = tmp_path / "neurônios"
    (folder / "day 2").mkdir(parents=True)
    (folder / "healthy.swc").write_text(HEALTHY)
    (folder / "day 2" / "ill.swc").write_text(ILL)
    (folder / "day 2" / "loop.swc").write_text(LOOP)
    (folder / "empty.swc").write_text("")
    (folder / "image.swc").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (folder / ".hidden.swc").write_text("no tracing")
    return folder


# check


def test_check_names_file_line_and_rule_and_counts_them(files: Path) -> None:
    code, out, _ = run("check", files)
    *lines, last = out.splitlines()
    assert code == 1
    assert last == "5 files, 0 clean: 4 errors, 1 warning; topodelin swc fix mends them"
    starts = [
        "day 2/ill.swc:7: error: the parent 7 of node 8 is not in the file",
        "day 2/loop.swc:2: error: 2 nodes are each other's ancestors",
        "empty.swc:1: error: the file is empty",
        "healthy.swc:5: warning: radius 0 is not positive",
        "image.swc:3: error: byte 8 is 0, so this is a binary or damaged file",
    ]
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(f"{files}/{start}")


def test_warnings_are_no_errors_unless_one_is_strict(files: Path) -> None:
    assert run("check", files / "healthy.swc")[0] == 0
    assert run("check", files / "healthy.swc", "--strict")[0] == 1
    (files / "healthy.swc").write_text(HEALTHY.replace("10 10 0 0 2", "10 10 0 1 2"))
    assert done("check", "--strict", files / "healthy.swc") == [
        "1 file, 1 clean: 0 errors, 0 warnings"
    ]


def test_check_tells_programs_everything_and_people_the_first_lines(files: Path) -> None:
    text = "".join(f"{n} 0 {n} 0 0 0 {n - 1 if n > 1 else -1}\n" for n in range(1, 100))
    (files / "healthy.swc").write_text(text)
    *lines, more, _ = done("check", files / "healthy.swc", "--most", "3")
    assert len(lines) == 3 and more.endswith(": 96 more; --most 0 shows all")
    assert len(done("check", files / "healthy.swc", "--most", "0")) == 100
    code, out, _ = run("check", files, "--json")
    found = json.loads(out)
    assert code == 1 and (found["errors"], found["warnings"]) == (4, 99)
    problems = {Path(file["path"]).name: file["problems"] for file in found["files"]}
    assert len(problems["healthy.swc"]) == 99
    assert problems["loop.swc"][0]["line"] == 2 and problems["loop.swc"][0]["severity"] == "error"


# fix


def test_fix_mends_and_tells_every_change_and_leaves_the_file_alone(files: Path) -> None:
    ill = files / "day 2" / "ill.swc"
    lines = done("fix", ill, "-o", files / "well.swc")
    assert lines == [
        f"{ill}:6: the parent stands below its child, in 1 rows; written depth first",
        f"{ill}:7: the parent 7 is not in the file; the node becomes a root",
        f"{ill}:7: id 8 becomes 5, and 1 more",
        f"3 changes: {files / 'well.swc'}",
    ]
    assert ill.read_text() == ILL
    assert {problem.severity for problem in check_swc(files / "well.swc")} == {"warning"}
    assert done("fix", files / "healthy.swc", "-o", files / "same.swc")[-1].startswith("0 changes")
    assert (files / "same.swc").read_text() == HEALTHY


def test_fix_in_place_keeps_what_was_there(files: Path) -> None:
    loop = files / "day 2" / "loop.swc"
    done("fix", loop, "--in-place")
    assert (files / "day 2" / "loop.swc.bak").read_text() == LOOP
    mended = loop.read_text()
    assert done("fix", loop, "--in-place") == [f"0 changes: {loop} stays as it is"]
    done("fix", loop, "--in-place", "--scale", "2")
    assert (files / "day 2" / "loop.swc.bak").read_text() == LOOP
    assert (files / "day 2" / "loop.swc.bak2").read_text() == mended
    np.testing.assert_array_equal(read_swc(loop).positions[:, 2], [0, 20, 40])


@pytest.mark.parametrize(
    ("options", "root"),
    [
        (["--root", "3"], (0, 0, 20)),
        (["--root-at", "9,11,1"], (0, 10, 10)),
        (["--root", "longest"], (0, 0, 0)),
        (["--root", "soma"], (0, 0, 0)),
    ],
)
def test_fix_hangs_a_tree_from_another_node(
    files: Path, options: list[str], root: tuple[float, float, float]
) -> None:
    lines = done("fix", files / "healthy.swc", "-o", files / "b.swc", *options)
    before, after = read_swc(files / "healthy.swc"), read_swc(files / "b.swc")
    assert tuple(after.positions[0]) == root
    assert after.length == pytest.approx(before.length) and len(after) == len(before)
    moved = root != (0, 0, 0)
    assert any("the root moves from node 1 to node" in line for line in lines) is moved
    assert lines[-1].startswith(f"{int(moved)} change")


def test_other_trees_keep_their_roots(files: Path) -> None:
    two = "1 0 0 0 0 1 -1\n2 0 1 0 0 1 1\n3 0 9 0 0 1 4\n4 0 8 0 0 1 -1\n"
    (files / "two.swc").write_text(two)
    done("fix", files / "two.swc", "-o", files / "b.swc", "--root", "2")
    rows = [line.split() for line in (files / "b.swc").read_text().splitlines()]
    assert [row[2] for row in rows if row[6] == "-1"] == ["1", "8"]


def test_fix_writes_one_file_for_each_tree(files: Path) -> None:
    lines = done("fix", files / "day 2" / "ill.swc", "-o", files / "trees", "--split")
    assert lines[-1] == f"3 changes: 2 trees in {files / 'trees'}"
    parts = [read_swc(path) for path in sorted((files / "trees").iterdir())]
    assert [len(part) for part in parts] == [4, 2]
    assert all(part.component_count == 1 for part in parts)
    assert "ill_0001.swc: exists already" in refused(
        "fix", files / "day 2" / "ill.swc", "-o", files / "trees", "--split"
    )


def test_fix_changes_the_unit_and_says_so(files: Path) -> None:
    lines = done(
        "fix", files / "healthy.swc", "-o", files / "b.swc",
        "--unit", "voxel", "--spacing", "2,0.4,0.1", "--root", "3",
    )  # fmt: skip
    assert any(line.endswith("voxels of (2.0, 0.4, 0.1) um become um") for line in lines)
    found = read_swc(files / "b.swc")
    np.testing.assert_allclose(found.positions, [(0, 0, 2), (0, 0, 1), (0, 0, 0), (0, 4, 1)])
    np.testing.assert_allclose(found.radii, [0.14, 0.12, 0.4, np.nan])
    text = (files / "b.swc").read_text()
    assert text.startswith("# by hand\n# x, y, z and radius in um\n")
    done("fix", files / "b.swc", "-o", files / "c.swc", "--scale", "1000")
    assert read_swc(files / "c.swc").length == pytest.approx(1000 * found.length)


def test_fix_joins_trees_that_end_near_each_other(files: Path) -> None:
    lines = done("fix", files / "day 2" / "ill.swc", "-o", files / "b.swc", "--join-within", "45")
    assert any("root 8 is joined to node 3 of line 4, 40 away" in line for line in lines)
    assert read_swc(files / "b.swc").component_count == 1


# convert


def test_convert_goes_around_all_formats_and_units(files: Path) -> None:
    graph = random_forest(1)
    start = files / "a.um.swc"
    write_swc(start, graph, header=["traced by hand"])
    names = ["a.eswc", "b.json", "c.vox.swc", "d.vox.eswc", "e.nm.swc", "f.um.swc"]
    here = start
    for name in names:
        spacing = ["--spacing", "2,0.4,0.1"] if ".vox" in name else []
        assert done("convert", here, files / name, *spacing) == [str(files / name)]
        here = files / name
    one, two = read_swc(start), read_swc(here)
    np.testing.assert_allclose(two.positions, one.positions, atol=3e-4)
    np.testing.assert_array_equal(two.edges, one.edges)
    np.testing.assert_allclose(two.radii, one.radii, atol=2e-4)
    assert "# traced by hand" in (files / "a.eswc").read_text()
    text = (files / "d.vox.eswc").read_text()
    assert text.count("in voxels") == 1 and text.count("##n,type,x") == 1
    np.testing.assert_allclose(read_graph_json(files / "b.json").positions, one.positions)


def test_what_the_user_says_of_a_unit_comes_before_what_a_file_says(files: Path) -> None:
    write_swc(files / "a.vox.swc", fork(), spacing=(1, 0.5, 0.5))
    done("convert", files / "a.vox.swc", files / "b.swc")
    assert read_swc(files / "b.swc").length == pytest.approx(40)
    done("convert", files / "a.vox.swc", files / "c.swc", "--unit", "um")
    assert read_swc(files / "c.swc").length == pytest.approx(80)
    done("convert", files / "a.vox.swc", files / "d.swc", "--spacing", "1,5,5")
    assert read_swc(files / "d.swc").length == pytest.approx(400)


def test_radii_that_nobody_measured_stay_unknown(files: Path) -> None:
    write_swc(files / "a.swc", fork(), radius=0.0)
    done("convert", files / "a.swc", files / "b.eswc")
    assert np.isnan(read_swc(files / "b.eswc").radii).all()


def test_trees_come_apart_and_together_with_their_roots(files: Path) -> None:
    graph = joined([fork(), chain((50, 0, 0), (50, 0, 9), (50, 0, 20))])
    write_swc(files / "a.vox.swc", graph, roots=[4, 6], spacing=(1, 1, 1))
    paths = done("convert", files / "a.vox.swc", files / "trees", "--split", "--to", "um")
    assert [Path(path).name for path in paths] == ["a_0001.um.swc", "a_0002.um.swc"]
    assert tuple(read_swc(paths[1]).positions[0]) == (50, 0, 9)
    done("convert", files / "trees", files / "b.swc")
    found = read_swc(files / "b.swc")
    assert [tuple(found.positions[n]) for n in (0, 5)] == [(0, 10, 20), (50, 0, 9)]
    assert found.length == pytest.approx(graph.length)
    done("convert", files / "trees", files / "out", "--as", "json")
    assert sorted(path.name for path in (files / "out").iterdir()) == [
        "a_0001.um.json", "a_0002.um.json"
    ]  # fmt: skip


def test_convert_prunes_smooths_and_resamples_and_keeps_the_root_where_it_was(files: Path) -> None:
    graph = joined([fork(), chain((50, 0, 0), (50, 0, 20))])
    write_swc(files / "a.swc", graph, roots=[2, 6])
    done("convert", files / "a.swc", files / "b.swc", "--min-branch-um", "15", "--step-um", "3")
    found = read_swc(files / "b.swc")
    assert found.lengths.max() <= 3
    assert found.length == pytest.approx(30 + 20, abs=2)  # corners are cut
    assert not len(found.junctions)
    first, second = morphometry(found, roots=written_roots(found))
    assert tuple(found.positions[0]) == (0, 0, 20)  # its branch is short, but holds the root
    assert first.stems == 1 and first.max_path == pytest.approx(first.length)
    assert second.max_path == pytest.approx(20)
    waves = chain(*((0, n % 2, n) for n in range(40)))
    write_swc(files / "c.swc", waves)
    done("convert", files / "c.swc", files / "d.swc", "--smooth", "4")
    assert 39 <= read_swc(files / "d.swc").length < 0.8 * waves.length


def test_a_cycle_is_cut_only_if_one_says_so(files: Path) -> None:
    write_graph_json(files / "ring.json", ring(6))
    assert "ring.json: 1 edges close a cycle" in refused("stats", files / "ring.json")
    assert "--cut-cycles" in refused("convert", files / "ring.json", files / "a.swc")
    done("convert", files / "ring.json", files / "a.swc", "--cut-cycles")
    assert len(read_swc(files / "a.swc").edges) == 5


# stats


def test_stats_tell_every_tree_and_the_total(files: Path) -> None:
    graph = joined([fork(), chain((50, 0, 0), (50, 0, 9), (50, 0, 20))])
    write_swc(files / "two.swc", graph, roots=[0, 6])
    write_swc(files / "one.swc", fork())
    lines = done("stats", files / "one.swc", files / "two.swc", "--csv", files / "trees.csv")
    header, *rows = [line.split("  ") for line in lines]
    assert [row[0].strip() for row in rows] == ["one.swc", "two.swc #1", "two.swc #2", "3 trees"]
    table = list(csv.DictReader((files / "trees.csv").read_text("utf-8").splitlines()))
    assert [(row["nodes"], row["length_um"], row["max_path_distance_um"]) for row in table] == [
        ("5", "40.0", "30.0"), ("5", "40.0", "30.0"), ("3", "20.0", "11.0")
    ]  # fmt: skip
    assert table[2]["partition_asymmetry"] == ""
    found = json.loads("\n".join(done("stats", files / "one.swc", files / "two.swc", "--json")))
    assert found["total"]["trees"] == 3 and found["total"]["length_um"] == 100
    assert [tree["tree"] for tree in found["trees"]] == [1, 1, 2]


def test_stats_read_voxels_as_um(files: Path) -> None:
    write_swc(files / "a.vox.swc", fork(), spacing=(2, 0.4, 0.1))
    found = json.loads("\n".join(done("stats", files / "a.vox.swc", "--json")))
    assert found["total"]["length_um"] == pytest.approx(40)


def test_many_trees_are_shown_by_length(files: Path) -> None:
    many = joined([chain((n, 0, 0), (n, 0, 1 + n)) for n in range(60)])
    write_swc(files / "many.swc", many)
    _, first, *_, shorter, last = done("stats", files / "many.swc")
    assert first.startswith("many.swc #60 ") and shorter.startswith("(10 shorter)")
    assert last.startswith("60 trees")


def test_no_trees_are_a_table_without_rows(files: Path) -> None:
    empty = NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), dtype=np.int64))
    write_graph_json(files / "none.json", empty)
    done("stats", files / "none.json", "--csv", files / "none.csv")
    assert len((files / "none.csv").read_text().splitlines()) == 1


# mistakes


@pytest.mark.parametrize("verb", ["stats", "fix", "convert"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.swc", "the file is empty"),
        ("image.swc", "binary or damaged"),
        ("nothing.swc", "nothing.swc: "),
    ],
)
def test_what_is_no_tracing_is_answered_in_one_line(
    files: Path, verb: str, name: str, says: str
) -> None:
    more = {"stats": [], "fix": ["-o", files / "b.swc"], "convert": [files / "b.swc"]}[verb]
    assert says in refused(verb, files / name, *more)
    assert not (files / "b.swc").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("fix a.swc", "give one"),
        ("fix a.swc --in-place -o b.swc", "give one"),
        ("fix a.swc --in-place --split", "give --output FOLDER"),
        ("fix a.swc -o a.swc --overwrite", "is the file that is read"),
        ("fix a.swc -o b.json", "give an --output that ends in .swc"),
        ("fix a.swc -o other.swc", "exists already"),
        ("fix a.swc -o b.swc --unit nm --scale 2", "`--scale` and `--unit`"),
        ("fix a.swc -o b.swc --scale 0", "`--scale` must be a positive number"),
        ("fix a.swc -o b.swc --root 99", "has no node 99"),
        ("fix a.swc -o b.swc --root tip", "`--root` must be soma, longest or the id"),
        ("fix a.swc -o b.swc --root 1 --root-at 1,2,3", "give one of them"),
        ("fix a.swc -o b.swc --root-at 1,2", "`--root-at` must be three numbers"),
        ("fix other.swc -o b.swc --root soma", "has no node of type 1"),
        ("fix a.swc -o b.swc --spacing 1,1,1", "needs --unit voxel"),
        ("fix a.swc -o b.swc --unit voxel", "give --spacing z,y,x"),
        ("fix a.swc -o b.swc --join-within -1", "`join_within` must be a distance"),
        ("convert a.swc b.swc --to pc", "`--to` must be one of um, voxel, nm"),
        ("convert a.swc b.vox.swc", "give --spacing z,y,x"),
        ("convert a.swc b.vox.swc --to um", "its name says voxel"),
        ("convert a.swc b.swc --unit inch", "`--unit` must be one of um, voxel, nm"),
        ("convert a.swc b.swc --split", "name a folder"),
        ("convert a.swc other.swc", "exists already"),
        ("convert a.swc a.swc --overwrite", "is the file that is read"),
        ("convert a.swc out --as obj", "`--as` must be one of swc, eswc, json"),
        ("convert a.swc b.json --to nm", "a JSON graph is in um"),
        ("convert a.swc b.swc --step-um 0", "`step_um` must be positive"),
        ("stats a.vox.swc", "is in voxels, whose size is not known"),
        ("check nowhere", "no such file or folder"),
        ("stats bare", "holds no .swc, .eswc, .json files"),
    ],
)
def test_a_mistake_is_answered_in_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.swc", "a.vox.swc"):
        Path(name).write_text(HEALTHY)
    Path("other.swc").write_text(HEALTHY.replace("1 1 0", "1 2 0"))
    Path("bare").mkdir()
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert says in refused(*arguments.split())
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_nothing_of_it_needs_torch(files: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from topodelin.cli import main; main()"
    command = [sys.executable, "-X", "utf8", "-c", code, "swc", "stats", files / "healthy.swc"]
    finished = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert finished.returncode == 0 and "healthy.swc" in finished.stdout, finished.stderr
