"""Neurite graph to SWC file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np

from topodelin.graphs.forest import refuse_cycles
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.roots import one_root_each
from topodelin.graphs.spacing import check_spacing
from topodelin.graphs.swc.units import in_plane, unit_line
from topodelin.graphs.text_files import write_lines

FINEST = 1e-4  # a radius that is known is not written as 0


@dataclass(frozen=True, eq=False, slots=True)
class OrderedRows:
    """The rows of an SWC file before they are written.

    Args:
        nodes: (N,) the nodes of the graph in the order of the rows.
        parents: (N,) the node above each node of the graph; -1 for roots.
        lines: the text of each row.
    """

    nodes: np.ndarray
    parents: np.ndarray
    lines: list[str]


def write_swc(
    path: str | PathLike[str],
    graph: NeuriteGraph | NetworkxGraph,
    *,
    header: Iterable[str] = (),
    radius: float = 0.5,
    roots: Sequence[int] | np.ndarray = (),
    spacing: Sequence[float] | None = None,
) -> None:
    """Write trees as an SWC file: ids 1 to n, parents first, branches in one piece.

    Args:
        path: the file to write. It appears whole or not at all, even if the program is killed.
        graph: one or more trees. Each tree becomes one root; a node without edges too.
        header: comment lines that come first, without the `#`.
        radius: µm, written where the graph knows none; 0 says that it is unknown.
        roots: nodes to start from, at most one in each tree; elsewhere the lowest numbered node.
        spacing: µm per voxel `(z, y, x)` for a file in voxels, as Vaa3D shows it on the image;
            by default the file is in µm. Such files are best named `name.vox.swc`, those in µm
            `name.um.swc`. 0.001 along all axes makes nanometres.

    In a voxel file (0, 0, 0) is the centre of the first voxel. The radius is one number for three
    axes: it is divided by the geometric mean of the spacing along y and x, by which `read_swc`
    multiplies it. The header tells the unit.

    Positions and radii have 4 decimals. Reading the file gives the same graph with the nodes
    numbered depth first, lower numbered neighbours first; writing that gives the same bytes.

    Raises:
        ValueError: the graph holds a cycle, which an SWC file cannot; break it with
            `spanning_forest`. Or two `roots` lie in one tree.
    """
    rows = ordered_rows(as_neurite_graph(graph), radius, roots, spacing)
    lines = [f"# {line}" for text in header for line in text.splitlines()]
    lines += [f"# {unit_line(spacing)}", "# id type x y z radius parent"]
    write_lines(path, lines + rows.lines)


def ordered_rows(
    graph: NeuriteGraph,
    radius: float,
    roots: Sequence[int] | np.ndarray,
    spacing: Sequence[float] | None,
) -> OrderedRows:
    """The rows that `write_swc` writes, with the nodes that they stand for."""
    refuse_cycles(graph)
    scale = (1.0, 1.0, 1.0) if spacing is None else check_spacing(spacing)
    order, parent = depth_first(graph, one_root_each(graph, roots))
    positions = np.round(graph.positions / scale, 4) + 0.0  # turns -0.0 into 0.0
    known = np.isfinite(graph.radii) & (graph.radii > 0)
    least = np.where(known | (radius > 0), FINEST, 0.0)
    radii = np.maximum(np.where(known, graph.radii, radius) / in_plane(scale), least)
    number = np.empty(len(graph), dtype=np.int64)
    number[order] = np.arange(1, len(graph) + 1)
    parents = np.where(parent < 0, -1, number[parent])
    lines = [
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
    return OrderedRows(order, parent, lines)


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


def hung_from(graph: NeuriteGraph, roots: list[int]) -> NeuriteGraph:
    """The trees with nodes numbered depth first from a root each, and edges from parent to child.

    Args:
        graph: trees.
        roots: one node of each (`one_root_each`).
    """
    order, parent = depth_first(graph, roots)
    number = np.empty(len(graph), dtype=np.int64)
    number[order] = np.arange(len(graph))
    child = order[parent[order] >= 0]
    return NeuriteGraph(
        graph.positions[order],
        np.stack([number[parent[child]], number[child]], axis=1),
        graph.radii[order],
        graph.kinds[order],
    )
