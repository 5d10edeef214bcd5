"""Graphs as JSON: the round trip, and one line for each thing that is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import EMPTY, betti, random_network, ring, seeds
from topodelin.graphs import GraphFileError, NeuriteGraph, read_graph_json, write_graph_json

GOOD: dict[str, Any] = {
    "format": "neurite graph",
    "version": 1,
    "unit": "um",
    "axes": "zyx",
    "positions": [[0, 0, 0], [1.5, 2, 3]],
    "edges": [[0, 1]],
}


def same(one: NeuriteGraph, two: NeuriteGraph) -> bool:
    names = ("positions", "edges", "radii", "kinds")
    return all(np.array_equal(getattr(one, n), getattr(two, n), equal_nan=True) for n in names)


@given(seed=seeds)
def test_a_network_is_read_back_bit_by_bit(tmp_path_factory, seed: int) -> None:
    path = tmp_path_factory.mktemp("json") / "network.json"
    graph = random_network(seed)
    write_graph_json(path, graph)
    assert same(read_graph_json(path), graph)


@pytest.mark.parametrize("graph", [ring(), EMPTY], ids=["ring", "empty"])
def test_cycles_unknown_radii_and_nothing_survive(tmp_path: Path, graph: NeuriteGraph) -> None:
    write_graph_json(tmp_path / "a.json", graph)
    back = read_graph_json(tmp_path / "a.json")
    assert same(back, graph) and betti(back) == betti(graph)
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_the_file_is_plain_json_with_its_version(tmp_path: Path) -> None:
    write_graph_json(tmp_path / "a.json", ring(3))
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert {name: content[name] for name in ("format", "version", "unit", "axes")} == {
        name: GOOD[name] for name in ("format", "version", "unit", "axes")
    }
    assert content["edges"] == [[0, 1], [1, 2], [2, 0]] and content["radii"] == [None] * 3


def test_radii_and_kinds_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    graph = read_graph_json(tmp_path / "a.json")
    assert np.isnan(graph.radii).all() and (graph.kinds == 0).all()
    np.testing.assert_array_equal(graph.positions[1], (1.5, 2, 3))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "something"}, '`format` must be "neurite graph"'),
        ({"version": 2}, "`version` must be 1, got 2; install a newer topodelin"),
        ({"version": None}, "`version` must be 1, got None; write"),
        ({"unit": "nm"}, "`unit` must be \"um\", got 'nm'"),
        ({"axes": "xyz"}, "`axes` must be \"zyx\", got 'xyz'"),
        ({"positions": None}, "`positions` must be a list with [z, y, x] in µm"),
        ({"positions": [[0, 0, 0], [1, 2]]}, "got [1, 2] in row 1"),
        ({"positions": [[0, 0, 0], [1, 2, "x"]]}, 'got [1, 2, "x"] in row 1'),
        ({"positions": [[0, 0, 0], [1, 2, float("nan")]]}, "`positions` must be finite"),
        ({"edges": [[0, 2]]}, "`edges` must name nodes 0 to 1, got [0, 2] in row 0"),
        ({"edges": [[0, -1]]}, "got [0, -1] in row 0"),
        ({"edges": [[0, 0.5]]}, "got [0, 0.5] in row 0"),
        ({"edges": [[1, 1]]}, "got a loop at node 1"),
        ({"radii": [1.0]}, "`radii` must be a list with a radius in µm or null for each of 2"),
        ({"radii": [1.0, "wide"]}, 'got "wide" in row 1'),
        ({"kinds": [1, 2.5]}, "got 2.5 in row 1"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, change: dict, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(GraphFileError) as caught:
        read_graph_json(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and says in message and "\n" not in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"format":\n 1,,}', ", line 2: is not JSON"),
        (b"", ", line 1: is not JSON"),
        (b"\xff\xfe\xfa\x80", "is not text"),
        (b"[1, 2]", '`format` must be "neurite graph"'),
    ],
)
def test_what_is_no_json_is_told_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(GraphFileError) as caught:
        read_graph_json(tmp_path / "a.json")
    assert says in str(caught.value) and "\n" not in str(caught.value)
