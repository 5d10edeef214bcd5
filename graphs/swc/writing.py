"""Neurite graph to SWC file."""

import os
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from topodelin.graphs.forest import forest_edges
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


def write_swc(
    path: str | PathLike[str],
    graph: NeuriteGraph | NetworkxGraph,
    *,
    header: Iterable[str] = (),
    radius: float = 0.5,
    roots: Sequence[int] | np.ndarray = (),
) -> None:
    """Write trees as an SWC file in µm: ids 1 to n, parents first, branches in one piece.

    Args:
        path: the file to write. It appears whole or not at all, even if the program is killed.
        graph: one or more trees. Each tree becomes one root; a node without edges too.
        header: comment lines that come first, without the `#`.
        radius: µm, written where the graph knows none.
        roots: nodes to start from, at most one in each tree; elsewhere the lowest numbered node.

    Positions and radii have 4 decimals. Reading the file gives the same graph with the nodes
    numbered depth first, lower numbered neighbours first; writing that gives the same bytes.

    Raises:
        ValueError: the graph holds a cycle, which an SWC file cannot; break it with
            `spanning_forest`. Or two `roots` lie in one tree.
    """
    graph = as_neurite_graph(graph)
    _refuse_cycles(graph)
    order, parent = depth_first(graph, _one_root_each(graph, roots))
    positions = np.round(graph.positions, 4) + 0.0  # turns -0.0 into 0.0
    known = np.isfinite(graph.radii) & (graph.radii > 0)
    radii = np.maximum(np.where(known, graph.radii, radius), 1e-4)
    number = np.empty(len(graph), dtype=np.int64)
    number[order] = np.arange(1, len(graph) + 1)
    parents = np.where(parent < 0, -1, number[parent])
    lines = [f"# {line}" for text in header for line in text.splitlines()]
    lines += ["# x, y, z and radius in um", "# id type x y z radius parent"]
    lines += [
        f"{index} {kind} {x:.4f} {y:.4f} {z:.4f} {size:.4f} {up}"
        for index, (kind, (z, y, x), size, up) in enumerate(
            zip(
                graph.kinds[order].tolist(),
                positions[order].tolist(),
                radii[order].tolist(),
                parents[order].tolist(),
                strict=True,
            ),
            1,
        )
    ]
    write_lines(path, lines)


def write_lines(path: str | PathLike[str], lines: Iterable[str]) -> None:
    """Write a text file that appears whole or not at all."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    os.replace(unfinished, path)


def _refuse_cycles(graph: NeuriteGraph) -> None:
    surplus = np.setdiff1d(np.arange(len(graph.edges)), forest_edges(graph))
    if len(surplus):
        start, end = graph.edges[surplus[0]].tolist()
        where = ", ".join(f"{value:.1f}" for value in graph.positions[start])
        raise ValueError(
            f"`graph` must be a forest, got {len(surplus)} edges that close a cycle, one between "
            f"nodes {start} and {end} near ({where}) µm (z, y, x); use spanning_forest(graph)"
        )


def _one_root_each(graph: NeuriteGraph, roots: Sequence[int] | np.ndarray) -> list[int]:
    """A root for every tree: the wanted one, else the node with the lowest number."""
    wanted = np.asarray(roots, dtype=np.int64).ravel()
    if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(graph)):
        raise ValueError(f"`roots` must be nodes of the graph, 0 to {len(graph) - 1}, got {roots}")
    trees, lowest = np.unique(graph.components, return_index=True)
    chosen = dict(zip(trees.tolist(), lowest.tolist(), strict=True))
    taken: dict[int, int] = {}
    for root in wanted.tolist():
        tree = int(graph.components[root])
        if taken.setdefault(tree, root) != root:
            raise ValueError(
                f"`roots` must lie in different trees, got {taken[tree]} and {root} in the same; "
                "keep one of them"
            )
    return sorted((chosen | taken).values())


def depth_first(graph: NeuriteGraph, roots: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in the order of a depth-first walk, and the parent of each node (-1 for roots)."""
    ends = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    ends = ends[np.lexsort((-ends[:, 1], ends[:, 0]))]  # highest first: a stack turns it round
    first = np.searchsorted(ends[:, 0], np.arange(len(graph) + 1)).tolist()
    neighbours = ends[:, 1].tolist()
    parent = [-1] * len(graph)
    order: list[int] = []
    for root in roots:
        stack = [root]
        while stack:
            node = stack.pop()
            order.append(node)
            for other in neighbours[first[node] : first[node + 1]]:
                if other != parent[node]:
                    parent[other] = node
                    stack.append(other)
    return np.array(order, dtype=np.int64), np.array(parent, dtype=np.int64)
