"""SWC doctor: every fault alone, all of them at once, and files that need nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import random_forest, seeds
from tests.shared_files import needs_shared, shared
from topodelin.graphs import SwcError, check_swc, fix_swc, read_swc, write_swc

HEALTHY = "# by hand\n1 1 0 0 0 0.5 -1\n2 3 10 0 0 0.6 1\n3 3 20 0 0 0.7 2\n"

Fix = Callable[..., tuple[list[tuple[int, str]], str]]


@pytest.fixture
def fix(tmp_path: Path) -> Fix:
    """Mends a text: the changes, and the rows of the new file without its comments."""

    def mend(text: str, **options: float) -> tuple[list[tuple[int, str]], str]:
        (tmp_path / "ill.swc").write_text(text)
        changes = fix_swc(tmp_path / "ill.swc", tmp_path / "well.swc", **options)
        assert all(problem.severity == "warning" for problem in check_swc(tmp_path / "well.swc"))
        lines = (tmp_path / "well.swc").read_text().splitlines()
        rows = [line for line in lines if not line.startswith("#")]
        return [(change.line, change.message) for change in changes], "\n".join(rows)

    return mend


def parents(rows: str) -> list[int]:
    return [int(row.split()[-1]) for row in rows.splitlines()]


def test_a_healthy_file_is_written_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.swc").write_text(HEALTHY)
    assert fix_swc(tmp_path / "a.swc", tmp_path / "b.swc") == []
    assert (tmp_path / "b.swc").read_text() == HEALTHY


def test_a_file_may_be_mended_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.swc"
    path.write_text(HEALTHY.replace("0.7 2", "0.7 9"))
    assert len(fix_swc(path, path)) == 1
    assert fix_swc(path, path) == []
    assert [p.name for p in tmp_path.iterdir()] == ["a.swc"]


@pytest.mark.parametrize(
    ("old", "new", "line", "says", "expected"),
    [
        ("0.7 2", "0.7 9", 4, "the parent 9 is not in the file", [-1, 1, -1]),
        ("0.7 2", "0.7 3", 4, "its own parent", [-1, 1, -1]),
        ("0.7 2", "0.7", 4, "left out: a row has 7 columns", [-1, 1]),
        ("0.7 2", "0.7 nan", 4, "the parent nan is not in the file", [-1, 1, -1]),
        ("10 0 0", "10 nan 0", 3, "no place (10, nan, 0)", [-1, 1]),
        ("10 0 0", "1e12 0 0", 3, "no place (1e+12, 0, 0)", [-1, 1]),
        ("0.5 -1", "0.5 -7", 2, "the parent -7 of a root becomes -1", [-1, 1, 2]),
        ("0.6", "inf", 3, "`radius` inf becomes 0", [-1, 1, 2]),
        ("0.6", "-2", 3, "`radius` -2 becomes 0", [-1, 1, 2]),
        ("2 3 10", "2 2.5 10", 3, "`type` 2.5 becomes 0", [-1, 1, 2]),
        ("0.5 -1", "0.5 3", 2, "3 nodes are each other's ancestors; node 1, 20", [-1, 1, 2]),
        ("3 3 20 0 0", "30 3 20 0 0", 4, "id 30 becomes 3", [-1, 1, 2]),
    ],
)
def test_each_fault_is_mended_and_told(
    fix: Fix, old: str, new: str, line: int, says: str, expected: list[int]
) -> None:
    changes, rows = fix(HEALTHY.replace(old, new))
    assert says in changes[0][1] and changes[0][0] == line
    assert parents(rows) == expected


@pytest.mark.parametrize(
    "spelt",
    [
        HEALTHY.replace(" ", "\t").replace("#\t", "# ").replace("by\t", "by "),
        HEALTHY.replace("\n", "\r\n"),
        HEALTHY.replace("0.6 1", "0.6 1 # a remark"),
        HEALTHY.rstrip(),
    ],
    ids=["tabs", "windows", "remark", "no-last-line-end"],
)
def test_what_may_be_spelt_otherwise_is_written_plainly(tmp_path: Path, spelt: str) -> None:
    (tmp_path / "a.swc").write_bytes(spelt.encode())
    assert fix_swc(tmp_path / "a.swc", tmp_path / "b.swc") == []
    assert (tmp_path / "b.swc").read_text() == HEALTHY


def test_one_node_needs_nothing(fix: Fix) -> None:
    assert fix("1 1 0 0 0 0.5 -1\n") == ([], "1 1 0 0 0 0.5 -1")


def test_bytes_that_are_no_text_are_left_out_with_their_row(tmp_path: Path) -> None:
    (tmp_path / "a.swc").write_bytes(HEALTHY.replace("20", "2\xb50").encode("latin-1"))
    (change,) = fix_swc(tmp_path / "a.swc", tmp_path / "b.swc")
    assert change.line == 4 and "the row is left out: `x` must be a number" in change.message
    assert len(read_swc(tmp_path / "b.swc")) == 2


def test_children_of_a_lost_node_go_to_its_parent(fix: Fix) -> None:
    changes, rows = fix(HEALTHY.replace("10 0 0", "nan 0 0"))
    assert rows == "1 1 0 0 0 0.5 -1\n2 3 20 0 0 0.7 1"
    assert [line for line, _ in changes] == [3, 4]  # left out; id 3 becomes 2


def test_a_row_said_twice_is_said_once(fix: Fix) -> None:
    changes, rows = fix(HEALTHY + "2 3 10 0 0 0.6 1\n")
    assert changes == [(5, "the row is left out: it repeats line 3")]
    assert parents(rows) == [-1, 1, 2]


def test_files_put_end_to_end_come_apart_again(fix: Fix) -> None:
    second = HEALTHY.replace(" 0 0 ", " 50 50 ")
    _, rows = fix(HEALTHY + second)
    assert parents(rows) == [-1, 1, 2, -1, 4, 5]


def test_parents_below_their_children_are_put_above(fix: Fix) -> None:
    changes, rows = fix("3 3 20 0 0 0.7 2\n2 3 10 0 0 0.6 1\n1 1 0 0 0 0.5 -1\n")
    assert changes == [
        (1, "the parent stands below its child, in 2 rows; written depth first"),
    ]
    assert rows == HEALTHY.split("\n", 1)[1].rstrip()


def test_the_longest_edge_of_a_cycle_is_cut_and_its_tail_stays(fix: Fix) -> None:
    ring = "1 0 0 0 0 1 3\n2 0 0 9 0 1 1\n3 0 1 0 0 1 2\n4 0 2 0 0 1 3\n"
    changes, rows = fix(ring)
    line, message = changes[1]  # the first tells that a parent is below its child
    assert line == 3 and "3 nodes are each other's ancestors; node 3, 9.05539 from" in message
    assert len(rows.splitlines()) == 4 and parents(rows).count(-1) == 1


def test_trees_are_joined_only_on_demand_and_only_nearby(fix: Fix) -> None:
    three = HEALTHY + "4 3 21 0 0 1 -1\n5 3 31 0 0 1 4\n6 3 80 0 0 1 -1\n7 3 32 0 0 1 -1\n"
    assert parents(fix(three)[1]) == [-1, 1, 2, -1, 4, -1, -1]
    changes, rows = fix(three, join_within=2)
    assert parents(rows) == [-1, 1, 2, 3, 4, -1, 5]
    assert changes[0] == (5, "root 4 is joined to node 3 of line 4, 1 away")


def test_two_roots_do_not_become_each_others_parents(fix: Fix) -> None:
    _, rows = fix("1 0 90 0 0 1 -1\n2 0 0 0 0 1 -1\n3 0 1 0 0 1 -1\n", join_within=5)
    assert sorted(parents(rows)) == [-1, -1, 3] or sorted(parents(rows)) == [-1, -1, 2]


@pytest.mark.parametrize("text", ["1 2 3\n", "1 0 nan 0 0 1 -1\n", HEALTHY.replace(" ", ",")])
def test_a_file_without_a_single_node_cannot_be_mended(fix: Fix, text: str) -> None:
    with pytest.raises(SwcError, match="not one row is a node"):
        fix(text)


def test_a_distance_below_zero_is_refused(fix: Fix) -> None:
    with pytest.raises(ValueError, match="`join_within` must be a distance"):
        fix(HEALTHY, join_within=-1)


@given(seed=seeds)
def test_any_damage_is_mended_once_and_for_all(tmp_path_factory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("swc")
    write_swc(folder / "a.swc", random_forest(seed))
    rows = [line.split() for line in (folder / "a.swc").read_text().splitlines()[2:]]
    for _ in range(8):
        row, column = int(rng.integers(len(rows))), int(rng.integers(7))
        rows[row][column] = str(rng.choice(["nan", "-3", "7", "12", "inf", "2.5", "x", "1e300"]))
    rng.shuffle(rows)
    (folder / "b.swc").write_text("\n".join(map(" ".join, rows)) + "\n")
    fix_swc(folder / "b.swc", folder / "c.swc")
    read_swc(folder / "c.swc")
    assert fix_swc(folder / "c.swc", folder / "d.swc") == []
    assert (folder / "d.swc").read_bytes() == (folder / "c.swc").read_bytes()


@given(seed=seeds)
def test_a_valid_file_keeps_its_graph(tmp_path_factory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("swc")
    write_swc(folder / "a.swc", random_forest(seed))
    assert fix_swc(folder / "a.swc", folder / "b.swc") == []
    one, two = read_swc(folder / "a.swc"), read_swc(folder / "b.swc")
    for name in ("positions", "edges", "radii", "kinds"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@needs_shared
def test_real_files_keep_their_cable(tmp_path: Path) -> None:
    for path in sorted(shared("data", "diadem_op").glob("*.swc")):
        fix_swc(path, tmp_path / path.name)
        assert read_swc(tmp_path / path.name).length == pytest.approx(read_swc(path).length)
