"""Neurite graphs as JSON: networks with cycles, which an SWC file cannot hold.

    {"format": "neurite graph", "version": 1, "unit": "um", "axes": "zyx",
     "positions": [[z, y, x], ...], "edges": [[0, 1], ...], "radii": [0.5, null, ...],
     "kinds": [2, ...]}

`radii` and `kinds` may be left out; null is a radius that nobody measured.
"""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.text_files import write_lines

FORMAT = "neurite graph"
VERSION = 1
FIXED = {"format": FORMAT, "unit": "um", "axes": "zyx"}


class GraphFileError(ValueError):
    """A JSON file that is no neurite graph; the message names the file and the remedy."""


def write_graph_json(path: str | PathLike[str], graph: NeuriteGraph | NetworkxGraph) -> None:
    """Write any graph as JSON in µm, in full precision; it appears whole or not at all.

    Reading the file gives the same arrays, bit by bit.
    """
    graph = as_neurite_graph(graph)
    known = np.isfinite(graph.radii)
    radii = [r if k else None for r, k in zip(graph.radii.tolist(), known.tolist(), strict=True)]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "unit": "um",
        "axes": "zyx",
        "positions": graph.positions.tolist(),
        "edges": graph.edges.tolist(),
        "radii": radii,
        "kinds": graph.kinds.tolist(),
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()]
    write_lines(path, ["{", ",\n".join(lines), "}"])


def read_graph_json(path: str | PathLike[str]) -> NeuriteGraph:
    """Read a graph that `write_graph_json` or another program wrote.

    Raises:
        GraphFileError: in one line, the file, what is wrong with it and the remedy.
        OSError: the file cannot be opened.
    """
    try:
        content = json.loads(Path(path).read_bytes().decode("utf-8"))
    except UnicodeDecodeError:
        raise GraphFileError(f"{path}: is not text; choose another file") from None
    except json.JSONDecodeError as error:
        raise GraphFileError(
            f"{path}, line {error.lineno}: is not JSON ({error.msg}, column {error.colno}); "
            "write the file again"
        ) from None
    try:
        return _graph(content)
    except ValueError as error:
        raise GraphFileError(f"{path}: {error}") from None


def _graph(content: Any) -> NeuriteGraph:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f'`format` must be "{FORMAT}"; give a file that write_graph_json wrote, '
            "or see topodelin.graphs.json_files for the keys"
        )
    version = content.get("version")
    if version != VERSION:
        raise ValueError(
            f"`version` must be {VERSION}, got {version!r}; "
            + ("install a newer topodelin" if _is_newer(version) else "write the file again")
        )
    for name, value in FIXED.items():
        if content.get(name) != value:
            raise ValueError(f'`{name}` must be "{value}", got {content.get(name)!r}; convert it')
    positions = _table(content, "positions", 3, np.float64, "[z, y, x] in µm")
    edges = _table(content, "edges", 2, np.int64, "two numbers of nodes from 0")
    count = len(positions)
    if len(edges) and (edges.min() < 0 or edges.max() >= count):
        wrong = int(np.flatnonzero(((edges < 0) | (edges >= count)).any(axis=1))[0])
        raise ValueError(
            f"`edges` must name nodes 0 to {count - 1}, got {edges[wrong].tolist()} in row {wrong}"
        )
    return NeuriteGraph(
        positions,
        edges,
        _column(content, "radii", np.full(count, np.nan), "a radius in µm or null"),
        _column(content, "kinds", np.zeros(count, np.int64), "an SWC structure type"),
    )


def _is_newer(version: object) -> bool:
    return isinstance(version, int) and version > VERSION


def _table(content: dict[str, Any], name: str, columns: int, dtype: type, what: str) -> np.ndarray:
    rule = f"`{name}` must be a list with {what} for each row"
    rows = content.get(name)
    if not isinstance(rows, list):
        raise ValueError(f"{rule}, got {type(rows).__name__}")
    try:
        return _numbers(rows, dtype).reshape(len(rows), columns)
    except (TypeError, ValueError):
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != columns or not _are(row, dtype):
                raise ValueError(f"{rule}, got {json.dumps(row)[:40]} in row {number}") from None
        raise ValueError(rule) from None


def _column(content: dict[str, Any], name: str, unknown: np.ndarray, what: str) -> np.ndarray:
    """One number for each node; `unknown` where the file leaves the column out."""
    rows, count, dtype = content.get(name), len(unknown), unknown.dtype.type
    if rows is None:
        return unknown
    rule = f"`{name}` must be a list with {what} for each of {count} nodes"
    if not isinstance(rows, list) or len(rows) != count:
        got = f"{len(rows)} rows" if isinstance(rows, list) else type(rows).__name__
        raise ValueError(f"{rule}, got {got}")
    if name == "radii":
        rows = [np.nan if row is None else row for row in rows]
    try:
        return _numbers(rows, dtype)
    except (TypeError, ValueError):
        wrong = next((n for n, row in enumerate(rows) if not _are([row], dtype)), 0)
        raise ValueError(f"{rule}, got {json.dumps(rows[wrong])[:40]} in row {wrong}") from None


def _numbers(rows: list[Any], dtype: type) -> np.ndarray:
    """The rows as an array; refuses text, and fractions where whole numbers are due."""
    table = np.array(rows) if rows else np.zeros(0, dtype=dtype)
    if table.dtype.kind not in ("iu" if dtype is np.int64 else "iuf"):
        raise ValueError("not numbers")
    return table.astype(dtype)


def _are(row: list[Any], dtype: type) -> bool:
    kinds = (int,) if dtype is np.int64 else (int, float)
    return all(isinstance(value, kinds) and not isinstance(value, bool) for value in row)
