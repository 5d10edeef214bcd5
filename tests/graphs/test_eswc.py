"""ESWC: the columns after the seventh, and that every reader of SWC takes the first seven."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, seeds
from topodelin.graphs import NeuriteGraph, joined, read_swc, write_eswc, write_swc

NAMES = "n type x y z radius parent seg_id level mode timestamp teraflyindex".split()


def table(path: Path) -> dict[str, list[float]]:
    """The columns of a file by name."""
    header, *rows = [line for line in path.read_text().splitlines() if not line.startswith("# ")]
    assert header == "##" + ",".join(NAMES)
    values = np.array([[float(cell) for cell in row.split()] for row in rows])
    return dict(zip(NAMES, values.reshape(-1, len(NAMES)).T.tolist(), strict=True))


def test_stretches_are_numbered_in_the_order_of_the_file_and_know_their_level(
    tmp_path: Path,
) -> None:
    graph = joined([fork(), chain((50, 0, 0), (50, 0, 9), (50, 0, 20))])
    write_eswc(tmp_path / "a.eswc", graph, roots=[0, 6])
    found = table(tmp_path / "a.eswc")
    assert found["parent"] == [-1, 1, 2, 2, 4, -1, 6, 6]
    assert found["seg_id"] == [0, 0, 1, 2, 2, 3, 3, 4]  # a root amid a chain begins two stretches
    assert found["level"] == [1, 1, 2, 2, 2, 1, 1, 1]


@settings(max_examples=20)
@given(seed=seeds)
def test_stretches_are_the_branches_of_the_graph(seed: int, tmp_path_factory) -> None:
    graph = random_forest(seed)
    path = tmp_path_factory.mktemp("eswc") / "a.eswc"
    write_eswc(path, graph)
    found, read = table(path), read_swc(path)
    segment, parent = np.array(found["seg_id"]), np.array(found["parent"], dtype=int) - 1
    roots = parent < 0
    cuts = (read.degrees != 2) | roots
    for start, end in zip(parent[~roots], np.flatnonzero(~roots), strict=True):
        same = segment[start] == segment[end]
        assert same == (not cuts[start] or (roots[start] and end == start + 1))


def test_the_first_seven_columns_are_those_of_swc(tmp_path: Path) -> None:
    graph = random_forest(5)
    write_eswc(tmp_path / "a.eswc", graph, header=["traced by hand"], spacing=(2, 0.4, 0.1))
    write_swc(tmp_path / "a.swc", graph, header=["traced by hand"], spacing=(2, 0.4, 0.1))
    rows, rows_of_swc = (
        [line.split() for line in path.read_text().splitlines() if line[0] != "#"]
        for path in (tmp_path / "a.eswc", tmp_path / "a.swc")
    )
    assert [row[:7] for row in rows] == rows_of_swc
    comments = (tmp_path / "a.eswc").read_text().splitlines()[:2]
    assert comments == (tmp_path / "a.swc").read_text().splitlines()[:2]


def test_an_independent_reader_of_vaa3d_files_takes_it(tmp_path: Path) -> None:
    handler = pytest.importorskip("v3dpy.neuron_utilities.swc_handler")
    graph = fork()
    write_eswc(tmp_path / "a.eswc", graph)
    rows = handler.parse_swc(tmp_path / "a.eswc")
    np.testing.assert_array_equal([row[2:5][::-1] for row in rows], graph.positions)
    assert [row[6] for row in rows] == [-1, 1, 2, 2, 4]


def test_given_columns_follow_their_nodes(tmp_path: Path) -> None:
    graph = NeuriteGraph(np.eye(3), np.array([(2, 1), (1, 0)]))
    write_eswc(
        tmp_path / "a.eswc",
        graph,
        roots=[2],
        segments=[30, 20, 10],
        levels=np.array([3, 2, 1]),
        mode=4,
        timestamp=[7, 8, 9],
        teraflyindex=5,
    )
    found = table(tmp_path / "a.eswc")
    assert found["seg_id"] == [10, 20, 30] and found["level"] == [1, 2, 3]
    assert found["mode"] == [4, 4, 4] and found["timestamp"] == [9, 8, 7]
    assert found["teraflyindex"] == [5, 5, 5]


def test_columns_of_another_length_or_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`levels` must have one number for each of 5 nodes"):
        write_eswc(tmp_path / "a.eswc", fork(), levels=[1, 2])
    with pytest.raises(ValueError, match="`mode` must be whole numbers, got float64"):
        write_eswc(tmp_path / "a.eswc", fork(), mode=np.full(5, 0.5))  # type: ignore[arg-type]


def test_no_nodes_are_a_header(tmp_path: Path) -> None:
    write_eswc(tmp_path / "a.eswc", EMPTY)
    assert table(tmp_path / "a.eswc") == {name: [] for name in NAMES}
