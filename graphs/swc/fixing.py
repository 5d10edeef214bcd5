"""SWC doctor: a file that breaks the rules of the format, mended as little as possible."""

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.graphs.swc.checking import LARGEST_ID, LARGEST_POSITION, cycles
from topodelin.graphs.swc.rows import SwcError, read_rows
from topodelin.graphs.swc.writing import depth_first
from topodelin.graphs.text_files import write_lines


@dataclass(frozen=True, slots=True)
class SwcChange:
    """What was changed for the sake of one line (counted from 1) of the file that was mended."""

    line: int
    message: str


@dataclass(frozen=True, eq=False)
class MendedSwc:
    """The trees of a file that was mended.

    Args:
        graph: nodes in the order of writing, edges from parent to child; in the unit of the file.
        ids: (N,) of the nodes in that file.
        comments: the lines of the file that are comments, with their `#`.
        changes: what was changed, in the order of the lines.
    """

    graph: NeuriteGraph
    ids: np.ndarray
    comments: list[str]
    changes: list[SwcChange]


def fix_swc(
    path: str | PathLike[str],
    fixed: str | PathLike[str],
    *,
    join_within: float | None = None,
) -> list[SwcChange]:
    """Write a valid file from one that is not, and tell what was changed, in the order of lines.

    Args:
        path: the file to mend; it is left alone unless `fixed` names it too.
        fixed: the file to write: ids 1 to n, parents above their children.
        join_within: join the root of a further tree to the nearest node of another one that lies
            at most so far away, in the unit of the file; no joins by default, as they are guesses.

    * A row that is not seven numbers, and a node without a finite place, is left out; the children
      of such a node go to the nearest sound ancestor.
    * Of two equal rows one is left out. Different rows with one id each get an id of their own, and
      a child belongs to the last of them above it, so that files put end to end come apart again.
    * A node that is its own parent, or whose parent is not there, becomes a root.
    * A cycle is cut at its longest edge.
    * A radius that is negative or not finite becomes 0, which means unknown; a type that is not a
      whole number from 0 up becomes 0.
    * Rows whose parent stands below them are written depth first.

    Comments that fill a line are kept, at the top. Coordinates keep 6 decimals. A healthy file
    gives an empty list, and is written with the same nodes in the same order.

    Raises:
        SwcError: not one row is a node.
        OSError: a file cannot be opened.
    """
    mended = mend_swc(path, join_within=join_within)
    write_mended(fixed, mended.graph, mended.comments)
    return mended.changes


def write_mended(
    path: str | PathLike[str], graph: NeuriteGraph, comments: Iterable[str] = ()
) -> None:
    """Write trees in the unit and the order that they have; the file appears whole or not at all.

    Args:
        path: the file to write.
        graph: edges from parent to child, parents first, as in `MendedSwc`. A radius that is not
            known becomes 0.
        comments: lines with their `#`, which come first.
    """
    up = np.full(len(graph), -1)
    up[graph.edges[:, 1]] = graph.edges[:, 0] + 1
    places = np.column_stack([graph.positions[:, ::-1], np.nan_to_num(graph.radii)]).tolist()
    rows = zip(graph.kinds.tolist(), places, up.tolist(), strict=True)
    lines = [
        f"{number} {kind} {' '.join(map(_plain, place))} {above}"
        for number, (kind, place, above) in enumerate(rows, 1)
    ]
    write_lines(path, [*comments, *lines])


def mend_swc(path: str | PathLike[str], *, join_within: float | None = None) -> MendedSwc:
    """The trees that `fix_swc` writes, and what it tells, before they are written."""
    if join_within is not None and not 0 <= join_within < np.inf:
        raise ValueError(
            f"`join_within` must be a distance from 0 up, or None for no joins, got {join_within}"
        )
    rows = read_rows(path)
    lines = np.array(rows.line_numbers, dtype=np.int64)
    changes = [
        SwcChange(problem.line, f"the row is left out: {problem.message.split(';')[0]}")
        for problem in rows.unreadable
    ]
    values, lines = _without_repeats(rows.values, lines, changes)
    values = _sound_numbers(values, lines, changes)
    parent = _parents(values, lines, changes)
    with np.errstate(invalid="ignore"):
        lost = np.array(~(np.abs(values[:, 2:5]) <= LARGEST_POSITION).all(axis=1))
    if lost.all():
        raise SwcError(f"{path}: not one row is a node with a place; restore the file from a copy")
    _cut_cycles(values, parent, lines, changes)
    values, parent, lines = _without_lost(values, parent, lost, lines, changes)
    if join_within is not None:
        _join_trees(values, parent, lines, join_within, changes)
    order = _order(values, parent, lines, changes)
    _tell_new_ids(values[order, 0], lines[order], changes)
    changes.sort(key=lambda change: change.line)
    return MendedSwc(_graph(values, parent, order), values[order, 0], rows.comments, changes)


def _without_repeats(
    values: np.ndarray, lines: np.ndarray, changes: list[SwcChange]
) -> tuple[np.ndarray, np.ndarray]:
    """The rows without those that say again what another row says."""
    if not len(values):
        return values, lines
    _, first, which = np.unique(values, axis=0, return_index=True, return_inverse=True)
    first = first[which.ravel()]
    repeats = (first != np.arange(len(values))) & np.isfinite(values).all(axis=1)
    for row in np.flatnonzero(repeats).tolist():
        again = f"the row is left out: it repeats line {lines[first[row]]}"
        changes.append(SwcChange(int(lines[row]), again))
    return values[~repeats], lines[~repeats]


def _sound_numbers(values: np.ndarray, lines: np.ndarray, changes: list[SwcChange]) -> np.ndarray:
    """Radii and types as the format allows them, in a copy."""
    values = values.copy()
    for column, name in ((5, "radius"), (1, "type")):
        number = values[:, column]
        wrong = ~np.isfinite(number) | (number < 0)
        wrong |= number > (LARGEST_POSITION if name == "radius" else LARGEST_ID)
        if name == "type":
            wrong |= np.nan_to_num(number) != np.rint(np.nan_to_num(number))
        for row in np.flatnonzero(wrong).tolist():
            message = f"`{name}` {number[row]:g} becomes 0, which means unknown"
            changes.append(SwcChange(int(lines[row]), message))
        number[wrong] = 0
    return values


def _parents(values: np.ndarray, lines: np.ndarray, changes: list[SwcChange]) -> np.ndarray:
    """(N,) row of each parent, -1 for roots; among rows with one id the last above the child."""
    ids, wanted = values[:, 0], values[:, 6]
    row = np.arange(len(values))
    by_id = np.lexsort((row, ids))
    sorted_ids = ids[by_id]
    begin = np.searchsorted(sorted_ids, wanted, side="left")
    end = np.searchsorted(sorted_ids, wanted, side="right")
    is_root = wanted < 0
    there = (begin < end) & ~is_root & np.isfinite(wanted)
    # One key for (id, row): the last candidate with a row below the child's own, else the first.
    rank = np.cumsum(np.append(False, sorted_ids[1:] != sorted_ids[:-1]))
    key = rank * (len(row) + 1) + by_id
    id_rank = rank[np.minimum(begin, len(row) - 1)]
    last_above = np.searchsorted(key, id_rank * (len(row) + 1) + row, side="left") - 1
    place = np.where(last_above >= begin, last_above, begin)
    parent = np.where(there, by_id[np.minimum(place, len(row) - 1)], -1)
    itself = parent == row
    parent[itself] = -1
    for at in np.flatnonzero(itself).tolist():
        changes.append(SwcChange(int(lines[at]), "the node is its own parent; it becomes a root"))
    for at in np.flatnonzero(~there & ~is_root).tolist():
        message = f"the parent {wanted[at]:g} is not in the file; the node becomes a root"
        changes.append(SwcChange(int(lines[at]), message))
    for at in np.flatnonzero(is_root & (wanted != -1)).tolist():
        changes.append(SwcChange(int(lines[at]), f"the parent {wanted[at]:g} of a root becomes -1"))
    return parent


def _cut_cycles(
    values: np.ndarray, parent: np.ndarray, lines: np.ndarray, changes: list[SwcChange]
) -> None:
    """Make a root of the node with the longest edge in each cycle, in place."""
    for cycle in cycles(parent):
        nodes = np.array(cycle)
        apart = np.linalg.norm(values[nodes, 2:5] - values[parent[nodes], 2:5], axis=1)
        longest = int(np.argmax(np.where(np.isfinite(apart), apart, np.inf)))
        node = int(nodes[longest])
        message = (
            f"{len(cycle)} nodes are each other's ancestors; node {values[node, 0]:g}, "
            f"{apart[longest]:g} from its parent, becomes a root"
        )
        changes.append(SwcChange(int(lines[node]), message))
        parent[node] = -1


def _without_lost(
    values: np.ndarray,
    parent: np.ndarray,
    lost: np.ndarray,
    lines: np.ndarray,
    changes: list[SwcChange],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nodes that have a place, each below its nearest ancestor that has one."""
    for row in np.flatnonzero(lost).tolist():
        x, y, z = values[row, 2:5]
        message = f"node {values[row, 0]:g} has no place ({x:g}, {y:g}, {z:g}) and is left out"
        changes.append(SwcChange(int(lines[row]), f"{message}; its children go to its parent"))
    while (wrong := (parent >= 0) & lost[parent]).any():
        parent = np.where(wrong, parent[parent], parent)
    number = np.append(np.cumsum(~lost) - 1, -1)
    return values[~lost], number[parent[~lost]], lines[~lost]


def _join_trees(
    values: np.ndarray,
    parent: np.ndarray,
    lines: np.ndarray,
    within: float,
    changes: list[SwcChange],
) -> None:
    """Give each root but the first the nearest node of another tree as parent, in place."""
    child = np.flatnonzero(parent >= 0)
    table = coo_array(
        (np.ones(len(child)), (child, parent[child])), shape=(len(parent), len(parent))
    )
    tree = connected_components(table, directed=False)[1]
    leader = np.arange(int(tree.max()) + 1)  # trees that are joined share one

    def group(number: int) -> int:
        while leader[number] != number:
            number = int(leader[number])
        return number

    places = KDTree(values[:, 2:5])
    for root in np.flatnonzero(parent < 0)[1:].tolist():
        own = group(int(tree[root]))
        near = np.array(places.query_ball_point(values[root, 2:5], within), dtype=np.int64)
        others = near[[group(int(tree[node])) != own for node in near.tolist()]]
        if not len(others):
            continue
        apart = np.linalg.norm(values[others, 2:5] - values[root, 2:5], axis=1)
        nearest = int(others[np.lexsort((others, apart))[0]])
        parent[root] = nearest
        leader[own] = group(int(tree[nearest]))
        message = (
            f"root {values[root, 0]:g} is joined to node {values[nearest, 0]:g} of line "
            f"{lines[nearest]}, {apart.min():g} away"
        )
        changes.append(SwcChange(int(lines[root]), message))


def _order(
    values: np.ndarray, parent: np.ndarray, lines: np.ndarray, changes: list[SwcChange]
) -> np.ndarray:
    """The rows in the order of writing: as they stand, or depth first if a parent is below."""
    row = np.arange(len(parent))
    below = np.flatnonzero(parent > row)
    if not len(below):
        return row
    first = int(below[0])
    message = f"the parent stands below its child, in {len(below)} rows; written depth first"
    changes.append(SwcChange(int(lines[first]), message))
    child = np.flatnonzero(parent >= 0)
    graph = NeuriteGraph(values[:, [4, 3, 2]], np.stack([parent[child], child], axis=1))
    return depth_first(graph, np.flatnonzero(parent < 0).tolist())[0]


def _tell_new_ids(ids: np.ndarray, lines: np.ndarray, changes: list[SwcChange]) -> None:
    other = np.flatnonzero(ids != np.arange(1, len(ids) + 1))
    if len(other):
        at = int(other[0])
        more = f", and {len(other) - 1} more" if len(other) > 1 else ""
        changes.append(SwcChange(int(lines[at]), f"id {ids[at]:g} becomes {at + 1}{more}"))


def _graph(values: np.ndarray, parent: np.ndarray, order: np.ndarray) -> NeuriteGraph:
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    up = parent[order]
    child = np.flatnonzero(up >= 0)
    values = values[order]
    return NeuriteGraph(
        values[:, [4, 3, 2]],
        np.stack([number[up[child]], child], axis=1),
        np.where(values[:, 5] > 0, values[:, 5], np.nan),
        values[:, 1].astype(np.int64),
    )


def _plain(number: float) -> str:
    """At most 6 decimals, none that say nothing."""
    text = f"{number:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
