"""Neurite graph to ESWC, the SWC file of Vaa3D with five more columns.

    ##n,type,x,y,z,radius,parent,seg_id,level,mode,timestamp,teraflyindex

`seg_id` numbers the segments, `level` tells how far from the root a segment lies, `mode` how a node
was made, `timestamp` when, and `teraflyindex` on which resolution of a TeraFly image. The names and
the order of the columns are those that public files and readers of Vaa3D's formats use; some have
`feature_value` columns after them, which are left out here. Readers of SWC files take the first
seven columns. Vaa3D itself was not run on what is written here.
"""

from collections.abc import Iterable, Sequence
from os import PathLike

import numpy as np

from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.swc.units import unit_line
from topodelin.graphs.swc.writing import ordered_rows
from topodelin.graphs.text_files import write_lines

COLUMNS = "##n,type,x,y,z,radius,parent,seg_id,level,mode,timestamp,teraflyindex"
PerNode = Sequence[int] | np.ndarray | int


def write_eswc(
    path: str | PathLike[str],
    graph: NeuriteGraph | NetworkxGraph,
    *,
    header: Iterable[str] = (),
    radius: float = 0.5,
    roots: Sequence[int] | np.ndarray = (),
    spacing: Sequence[float] | None = None,
    segments: Sequence[int] | np.ndarray | None = None,
    levels: Sequence[int] | np.ndarray | None = None,
    mode: PerNode = 0,
    timestamp: PerNode = 0,
    teraflyindex: PerNode = 0,
) -> None:
    """Write trees as an ESWC file; it appears whole or not at all.

    Args:
        path, graph, header, radius, roots, spacing: as in `write_swc`.
        segments: (N,) a number for each node of the graph. By default the unbranched stretches
            are numbered from 0 in the order of the file; a junction belongs to the stretch that
            leads to it, a root to the first that leaves it.
        levels: (N,) by default 1 for the stretches that leave a root, and one more after each
            junction.
        mode, timestamp, teraflyindex: one number for all nodes, or (N,).
    """
    graph = as_neurite_graph(graph)
    rows = ordered_rows(graph, radius, roots, spacing)
    own, depth = stretches_from_roots(rows.nodes, rows.parents)
    given = {
        "segments": own if segments is None else segments,
        "levels": depth if levels is None else levels,
        "mode": mode,
        "timestamp": timestamp,
        "teraflyindex": teraflyindex,
    }
    more = np.stack([_column(name, values, len(graph)) for name, values in given.items()], axis=1)
    lines = [f"# {line}" for text in header for line in text.splitlines()]
    lines += [f"# {unit_line(spacing)}", COLUMNS]
    extra = more[rows.nodes].tolist()
    lines += [
        f"{line} {' '.join(map(str, values))}"
        for line, values in zip(rows.lines, extra, strict=True)
    ]
    write_lines(path, lines)


def stretches_from_roots(nodes: np.ndarray, parents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number and level of the unbranched stretch that leads to each node.

    Args:
        nodes: (N,) parents before children, branches in one piece.
        parents: (N,) the node above each; -1 for roots.

    Returns:
        (N,) the number of the stretch from 0, and (N,) its level: 1, and one more after each
        junction. A root has the number of the first stretch that leaves it.
    """
    above = parents[nodes]
    children = np.bincount(parents[parents >= 0], minlength=len(parents))
    is_root = above < 0
    below_root = ~is_root & (parents[above] < 0)
    goes_on = below_root & np.append(False, is_root[:-1])
    begins = is_root | (below_root & ~goes_on) | (~is_root & ~below_root & (children[above] > 1))
    number = np.empty(len(parents), dtype=np.int64)
    number[nodes] = np.cumsum(begins) - 1
    level = [1] * len(parents)
    up, forks = parents.tolist(), (children > 1).tolist()
    for node in nodes.tolist():
        parent = up[node]
        if parent >= 0:
            level[node] = level[parent] + (forks[parent] and up[parent] >= 0)
    return number, np.array(level, dtype=np.int64)


def _column(name: str, values: PerNode, count: int) -> np.ndarray:
    column = np.asarray(values)
    if column.dtype.kind not in "iu" and column.size:
        raise ValueError(f"`{name}` must be whole numbers, got {column.dtype}")
    if column.shape not in ((), (count,)):
        raise ValueError(
            f"`{name}` must have one number for each of {count} nodes, got {column.shape}"
        )
    return np.broadcast_to(column.astype(np.int64), (count,))
