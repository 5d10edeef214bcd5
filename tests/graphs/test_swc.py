"""SWC files: what is accepted, what is refused and on which line, and the round trip."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, ring, seeds
from tests.shared_files import needs_shared, shared
from topodelin.graphs import NeuriteGraph, SwcError, check_swc, fix_swc, read_swc, write_swc
from topodelin.graphs.swc.rows import read_comments
from topodelin.graphs.swc.units import unit_in_comments, unit_line, without_layout

PLAIN = "1 1 3 2 1 0.5 -1\n2 3 30 20 10 0.6 1\n3 3 300 200 100 0.7 2\n"


@pytest.fixture
def swc(tmp_path: Path):
    """Writes text or bytes to a file and gives its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "neuron.swc"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_columns_x_y_z_become_positions_z_y_x(swc) -> None:
    graph = read_swc(swc(PLAIN))
    np.testing.assert_array_equal(graph.positions, [(1, 2, 3), (10, 20, 30), (100, 200, 300)])
    np.testing.assert_array_equal(graph.edges, [(0, 1), (1, 2)])
    np.testing.assert_array_equal(graph.radii, [0.5, 0.6, 0.7])
    np.testing.assert_array_equal(graph.kinds, [1, 3, 3])


def test_voxels_become_micrometres_and_radii_follow_the_plane(swc) -> None:
    graph = read_swc(swc(PLAIN), unit="voxel", spacing=(2, 0.4, 0.1))
    np.testing.assert_allclose(graph.positions[1], (20, 8, 3))
    np.testing.assert_allclose(graph.radii, np.array([0.5, 0.6, 0.7]) * 0.2)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(" ", "\t"),
        PLAIN.replace(" ", "   "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        "# a comment\n\n" + PLAIN.replace("\n", " # and another\n", 1) + "\n  \n# the end",
        PLAIN.replace("\n", " 7 8 some words\n", 2),
        PLAIN.replace("1 1 ", "1.0 1.00 ", 1),
        PLAIN.rstrip(),
        "".join(reversed(PLAIN.splitlines(keepends=True))),
        PLAIN.replace("3 3 300", "90 3 300"),
        PLAIN.replace("1 1 3 2 1", "0 1 3 2 1").replace("0.6 1", "0.6 0"),
    ],
    ids=(
        "tabs spaces windows old-mac byte-order-mark comments more-columns float-ids "
        "no-last-line-end parents-below gap-in-ids id-0"
    ).split(),
)
def test_every_usual_spelling_gives_the_same_tree(swc, text: str) -> None:
    graph = read_swc(swc(text))
    order = np.argsort(graph.positions[:, 0])
    np.testing.assert_array_equal(graph.positions[order, 0], [1, 10, 100])
    edges = {frozenset(graph.positions[edge, 0].tolist()) for edge in graph.edges}
    assert edges == {frozenset({1.0, 10.0}), frozenset({10.0, 100.0})}


def test_comments_may_be_in_any_encoding(swc) -> None:
    assert len(read_swc(swc(b"# 5 \xb5m\n" + PLAIN.encode()))) == 3


def test_several_roots_are_several_trees(swc) -> None:
    graph = read_swc(swc(PLAIN.replace("0.6 1", "0.6 -1")))
    assert len(np.unique(graph.components)) == 2


def test_a_radius_nobody_measured_is_unknown(swc) -> None:
    graph = read_swc(swc(PLAIN.replace("0.6", "0").replace("0.7", "-1")))
    np.testing.assert_array_equal(graph.radii, [0.5, np.nan, np.nan])


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (PLAIN.replace("20 10", "nan 10"), 2, "`y` must be finite"),
        (PLAIN.replace("0.6", "inf"), 2, "`radius` must be finite"),
        ("#\n\n" + PLAIN.replace("0.7 2", "0.7 8"), 5, "parent 8 of node 3 is not in the file"),
        (PLAIN.replace("3 3 300", "2 3 300"), 3, "id 2 is already used on line 2"),
        (PLAIN.replace("-1", "3"), 1, "3 nodes are each other's ancestors"),
        (PLAIN.replace("0.7 2", "0.7 3"), 3, "node 3 is its own parent"),
        (PLAIN.replace(" 0.7 2", " 0.7"), 3, "a row has 7 columns"),
        (PLAIN.replace("20", "twenty"), 2, "`y` must be a number"),
        (PLAIN.replace("20", "2,5"), 2, "`y` must be a number with a decimal point"),
        ("id type x y z radius parent\n" + PLAIN, 1, "put # before the line"),
        (PLAIN.replace("300", "1e300"), 3, "`x` must be finite and within 1e+09 of 0"),
        (PLAIN.replace("3 3 300", "1e300 3 300"), 3, "`id` must be a whole number"),
        (PLAIN.replace("3 3 300", "-3 3 300"), 3, "`id` must be a whole number from 0 up"),
        (PLAIN.replace("3 3 300", "3.5 3 300"), 3, "`id` must be a whole number"),
        (PLAIN.replace("2 3 30 ", "2 2.5 30 "), 2, "`type` must be a whole number"),
        ("# nothing\n# here\n", 3, "without a single node"),
        ("", 1, "the file is empty"),
        (b"\0" * 100, 1, "binary or damaged"),
        (PLAIN.encode() + b"\0" * 10, 4, "binary or damaged"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 3, "binary or damaged"),
        (bytes(range(128, 256)) * 3, 1, "7 columns"),
        (PLAIN.encode("utf-16"), 1, "save it as UTF-8"),
        (PLAIN.replace("20 10", "2\xb50 10").encode("latin-1"), 2, "`y` must be a number"),
        (PLAIN.replace(" ", ","), 1, "separated by spaces or tabs"),
        (PLAIN.replace("0.7 2", "0.7 nan"), 3, "`parent` must be a whole number, got nan"),
        (PLAIN.replace("-1", "2").replace("\n", "\r\n").replace(" ", "\t"), 1, "ancestors (1, 2)"),
        (gzip.compress(PLAIN.encode(), mtime=0), 1, "compressed (gzip); unpack it first"),
        (b"PK\x03\x04" + PLAIN.encode(), 1, "compressed (zip); unpack it first"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_line(
    swc, text: str | bytes, line: int, says: str
) -> None:
    with pytest.raises(SwcError) as caught:
        read_swc(swc(text))
    message = str(caught.value)
    assert f"neuron.swc, line {line}: " in message
    assert says in message
    assert "\n" not in message


def test_the_first_of_several_problems_is_named_and_the_others_counted(swc) -> None:
    path = swc(PLAIN.replace("20", "twenty").replace("200", "none"))
    with pytest.raises(SwcError, match=r"line 2: .*1 more such problems; `check_swc`"):
        read_swc(path)
    assert [(p.line, p.severity) for p in check_swc(path)] == [(2, "error"), (3, "error")]


def test_a_tail_below_a_cycle_is_not_blamed(swc) -> None:
    path = swc("5 0 0 0 0 1 6\n6 0 0 0 0 1 7\n7 0 0 0 0 1 6\n8 0 0 0 0 1 5\n9 0 0 0 0 1 -1\n")
    (problem,) = check_swc(path)
    assert problem.line == 2
    assert "2 nodes" in problem.message and "(6, 7)" in problem.message


@pytest.mark.parametrize(
    ("text", "lines", "says"),
    [
        (PLAIN, [], ""),
        (PLAIN.replace("0.6", "0"), [2], "radius 0 is not positive"),
        (PLAIN.replace("0.7", "-4"), [3], "radius -4 is not positive"),
        (PLAIN.replace("0.6 1", "0.6 -1"), [2], "2 trees"),
        (PLAIN.replace("3 3 300", "9 3 300"), [3], "id 9 on row 3"),
        (PLAIN.replace("2 3 30 ", "2 12 30 "), [2], "type 12"),
        (PLAIN.replace("-1", "-2"), [1], "parent -2; the format says -1"),
        (PLAIN.replace("-1", "2").replace("0.6 1", "0.6 -1"), [1], "below its child 1"),
    ],
)
def test_bad_habits_are_warnings_and_do_not_stop_the_reader(
    swc, text: str, lines: list[int], says: str
) -> None:
    path = swc(text)
    problems = check_swc(path)
    assert [problem.line for problem in problems] == lines
    assert all(says in problem.message for problem in problems)
    assert all(problem.severity == "warning" for problem in problems)
    assert len(read_swc(path)) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"unit": "voxel"}, "--spacing"),
        ({"unit": "inch"}, "`unit` must be one of um, voxel, nm, got 'inch'"),
        ({"unit": "nm", "spacing": (1, 1, 1)}, "no meaning with unit nm"),
        ({"spacing": (1, 1, 1)}, "no meaning with unit um"),
        ({"unit": "voxel", "spacing": (1, 1)}, "three positive numbers"),
        ({"unit": "voxel", "spacing": (1, 0, 1)}, "three positive numbers"),
    ],
)
def test_unit_and_spacing_must_agree(swc, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_swc(swc(PLAIN), **options)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    for read in (read_swc, check_swc, lambda path: fix_swc(path, path / "mended.swc")):
        with pytest.raises(SwcError, match=r"is a folder; give the SWC files in it one by one$"):
            read(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_node_is_a_graph(swc) -> None:
    path = swc("1 1 3 2 1 0.5 -1")
    graph = read_swc(path)
    np.testing.assert_array_equal(graph.positions, [(1, 2, 3)])
    assert len(graph.edges) == 0 and check_swc(path) == []


def test_thirty_thousand_lines_are_read_checked_and_mended(tmp_path: Path) -> None:
    count, path = 30_000, tmp_path / "long.swc"
    rows = [f"{i + 1} 3 {i % 7} {i % 5} {i} 0.5 {i or -1}" for i in range(count)]
    path.write_text("\r\n".join(rows))
    graph = read_swc(path)
    assert len(graph) == count and graph.component_count == 1
    assert check_swc(path) == []
    path.write_text("\n".join([*rows, "1 1 0 0 0 1 -1"]))
    with pytest.raises(SwcError, match="line 30001: id 1 is already used on line 1"):
        read_swc(path)
    path.write_text("\n".join([rows[-1], *rows[:-1]]))
    (change,) = fix_swc(path, tmp_path / "mended.swc")[:1]
    assert "the parent stands below its child, in 1 rows" in change.message
    assert read_swc(tmp_path / "mended.swc").length == pytest.approx(graph.length)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_swc(tmp_path / "nowhere.swc")


def test_the_file_is_written_depth_first_with_parents_above_their_children(tmp_path: Path) -> None:
    path = tmp_path / "fork.swc"
    write_swc(path, fork(), header=["made by a test\nin two lines"], radius=0.25)
    assert path.read_text() == (
        "# made by a test\n# in two lines\n# x, y, z and radius in um\n"
        "# id type x y z radius parent\n"
        "1 0 0.0000 0.0000 0.0000 0.2500 -1\n"
        "2 0 10.0000 0.0000 0.0000 0.2500 1\n"
        "3 0 20.0000 0.0000 0.0000 0.2500 2\n"
        "4 0 10.0000 10.0000 0.0000 0.2500 2\n"
        "5 0 20.0000 10.0000 0.0000 0.2500 4\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["fork.swc"]


def test_the_root_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "fork.swc"
    write_swc(path, fork(), roots=[4])
    np.testing.assert_array_equal(read_swc(path).positions[0], fork().positions[4])


def test_two_roots_in_one_tree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different trees, got 0 and 4"):
        write_swc(tmp_path / "fork.swc", fork(), roots=[0, 4])
    with pytest.raises(ValueError, match="nodes of the graph, 0 to 4"):
        write_swc(tmp_path / "fork.swc", fork(), roots=[5])


def test_a_cycle_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 edges that close a cycle.*spanning_forest"):
        write_swc(tmp_path / "ring.swc", ring())
    twice = NeuriteGraph(np.eye(3)[:2], np.array([(0, 1), (1, 0)]))
    with pytest.raises(ValueError, match="close a cycle"):
        write_swc(tmp_path / "twice.swc", twice)
    assert list(tmp_path.iterdir()) == []


def test_no_node_at_all_is_written_but_not_read(tmp_path: Path) -> None:
    write_swc(tmp_path / "none.swc", EMPTY)
    with pytest.raises(SwcError, match="without a single node"):
        read_swc(tmp_path / "none.swc")


def test_negative_zero_and_tiny_radii_are_written_readably(tmp_path: Path) -> None:
    graph = NeuriteGraph(np.array([(-1e-9, 0, 0)]), np.zeros((0, 2)), np.array([1e-9]))
    write_swc(tmp_path / "dot.swc", graph)
    assert (tmp_path / "dot.swc").read_text().endswith("\n1 0 0.0000 0.0000 0.0000 0.0001 -1\n")


@given(seed=seeds)
def test_what_is_written_is_read_back(tmp_path_factory, seed: int) -> None:
    graph = random_forest(seed)
    path = tmp_path_factory.mktemp("swc") / "forest.swc"
    write_swc(path, graph)
    back = read_swc(path)
    # The nodes are renumbered: recognise them by position.
    order = np.lexsort(np.round(graph.positions, 4).T)
    order_back = np.lexsort(back.positions.T)
    np.testing.assert_allclose(back.positions[order_back], graph.positions[order], atol=5.1e-5)
    np.testing.assert_allclose(back.radii[order_back], graph.radii[order], atol=5.1e-5)
    np.testing.assert_array_equal(back.kinds[order_back], graph.kinds[order])
    rank, rank_back = np.argsort(order), np.argsort(order_back)
    assert {frozenset(edge) for edge in rank[graph.edges].tolist()} == {
        frozenset(edge) for edge in rank_back[back.edges].tolist()
    }
    assert (back.edges[:, 0] < back.edges[:, 1]).all()
    again = path.with_name("again.swc")
    write_swc(again, back)
    assert again.read_bytes() == path.read_bytes()
    assert {problem.message[-17:] for problem in check_swc(path)} <= {"programs read one"}


def test_a_networkx_graph_is_written_too(tmp_path: Path) -> None:
    write_swc(tmp_path / "chain.swc", chain((0, 0, 0), (3, 2, 1)).to_networkx())
    np.testing.assert_array_equal(read_swc(tmp_path / "chain.swc").positions[1], (3, 2, 1))


@needs_shared
def test_real_files_load_without_an_error() -> None:
    folders = ("swc_morphologies", "twophoton_dendrite", "diadem_op")
    paths = [path for folder in folders for path in sorted(shared("data", folder).glob("*.swc"))]
    assert len(paths) >= 24
    for path in paths:
        graph = read_swc(path)
        assert len(graph) > 100, path
        assert {problem.severity for problem in check_swc(path)} <= {"warning"}, path


@given(seed=seeds)
def test_a_voxel_file_gives_the_graph_back_in_um(seed: int, tmp_path_factory) -> None:
    spacing = (2.0, 0.4, 0.1)
    path = tmp_path_factory.mktemp("swc") / "a.vox.swc"
    graph = random_forest(seed)
    write_swc(path, graph, spacing=spacing)
    found = read_swc(path, unit="voxel", spacing=spacing)
    again = path.with_name("b.vox.swc")
    write_swc(again, found, spacing=spacing)
    assert again.read_bytes() == path.read_bytes()
    order = np.lexsort(found.positions.T.round(3))
    wanted = np.lexsort(graph.positions.T.round(3))
    np.testing.assert_allclose(found.positions[order], graph.positions[wanted], atol=2e-4)
    np.testing.assert_allclose(found.radii[order], graph.radii[wanted], atol=2e-5)


def test_a_voxel_file_divides_each_axis_by_its_own_spacing(tmp_path: Path) -> None:
    graph = NeuriteGraph(np.array([(6.0, 8.0, 3.0)]), np.zeros((0, 2)), np.array([2.0]))
    write_swc(tmp_path / "a.vox.swc", graph, header=["by hand"], spacing=(2, 0.4, 0.1))
    assert (tmp_path / "a.vox.swc").read_text().splitlines() == [
        "# by hand",
        "# x, y, z and radius in voxels; (0, 0, 0) is the centre of the first; "
        "um per voxel: z 2.0 y 0.4 x 0.1",
        "# id type x y z radius parent",
        "1 0 30.0000 20.0000 3.0000 10.0000 -1",
    ]
    with pytest.raises(ValueError, match="`spacing` must be three positive numbers"):
        write_swc(tmp_path / "a.vox.swc", graph, spacing=(1, 0, 1))


def test_nanometres_are_read_as_um(swc) -> None:
    np.testing.assert_allclose(read_swc(swc(PLAIN), unit="nm").positions[1], (0.01, 0.02, 0.03))
    assert read_swc(swc(PLAIN), unit="nm").radii[0] == pytest.approx(0.0005)


def test_a_radius_may_be_written_as_unknown_or_guessed(tmp_path: Path) -> None:
    graph = NeuriteGraph(np.eye(3)[:2], np.zeros((0, 2)), np.array([np.nan, 1e-9]))
    write_swc(tmp_path / "a.swc", graph, radius=0.0)
    assert np.isnan(read_swc(tmp_path / "a.swc").radii).tolist() == [True, False]
    write_swc(tmp_path / "a.swc", graph, spacing=(1, 0.5, 0.5))
    np.testing.assert_allclose(
        read_swc(tmp_path / "a.swc", unit="voxel", spacing=(1, 0.5, 0.5)).radii, [0.5, 5e-5]
    )


@pytest.mark.parametrize("spacing", [None, (0.001, 0.001, 0.001), (1e-07, 0.1 + 0.2, 3.0)])
def test_a_file_tells_its_unit_itself(tmp_path: Path, spacing) -> None:
    write_swc(tmp_path / "a.swc", fork(), header=["x in mm"], spacing=spacing)
    told = unit_in_comments(read_comments(tmp_path / "a.swc"))
    assert told == {None: ("um", None), (0.001,) * 3: ("nm", None)}.get(spacing, ("voxel", spacing))
    assert without_layout(read_comments(tmp_path / "a.swc")) == ["x in mm"]
    assert unit_in_comments(["# in voxels", "# " + unit_line((1, 2, 3)).replace("2", "0")]) is None
