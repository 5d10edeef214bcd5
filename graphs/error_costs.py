"""What each error costs: the expected run length that comes back when it is repaired.

The tracing without its bridges falls into fragments. Bridges join fragments that should be apart,
gaps part fragments that should be joined, and both are repaired on paper: for any set of repairs
the lengths of the truth on each group of joined fragments give the run lengths, without another
look at the graphs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from topodelin.graphs.checks import ratio
from topodelin.graphs.edge_splitting import split_at, split_long_edges
from topodelin.graphs.expected_run_length import nearest_components
from topodelin.graphs.find_errors import TracingError, TracingErrors
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph, joined

OF_TRUTH = ("gap", "missing_branch", "displaced")  # cable that is to be added


@dataclass(frozen=True)
class ErrorCosts:
    """Errors from the most expensive on.

    Args:
        errors: the errors of the list, the one that costs most first.
        costs: µm of expected run length that come back when that error alone is repaired.
        run_lengths: expected run length after repairing the first 0, 1, 2, ... of them, µm.
        merge_length: the parameter, as in `expected_run_length`, µm.
    """

    errors: tuple[TracingError, ...]
    costs: tuple[float, ...]
    run_lengths: tuple[float, ...]
    merge_length: float


def error_costs(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    errors: TracingErrors,
    *,
    merge_length: float | None = None,
) -> ErrorCosts:
    """Rank the errors of a tracing by the expected run length that each costs.

    Args:
        truth, predicted: the graphs that the errors were found on.
        errors: from `find_errors`.
        merge_length: as in `expected_run_length`; four tolerances by default.

    A spurious branch costs nothing, nor does one of two bridges between the same neurites.
    Among equal costs the longer comes first. Run lengths are NaN without truth.
    """
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    merge_length = 4 * errors.tolerance if merge_length is None else merge_length
    board = _Board(truth, predicted, errors, merge_length)
    count = len(errors.errors)
    before = board.run_length(np.zeros(count, dtype=bool))
    alone = [board.run_length(row) - before for row in np.eye(count, dtype=bool)]
    lengths = [error.length for error in errors.errors]
    order = sorted(range(count), key=lambda k: (-alone[k], -lengths[k], k))
    after = [before]
    repaired = np.zeros(count, dtype=bool)
    for k in order:
        repaired[k] = True
        after.append(board.run_length(repaired))
    return ErrorCosts(
        tuple(errors.errors[k] for k in order),
        tuple(alone[k] for k in order),
        tuple(after),
        float(merge_length),
    )


def repaired(
    predicted: NeuriteGraph | NetworkxGraph, errors: Sequence[TracingError], *, step: float
) -> NeuriteGraph:
    """The tracing after repairing some of its errors.

    Args:
        predicted: the tracing that the errors were found on.
        errors: those to repair.
        step: as in `TracingErrors`.

    False cable is taken away, and what it touched on one side joined again; missing cable is
    added, as the truth has it, and joined to the nearest places of what is there. A displaced
    stretch of the tracing stays beside the one that is added.
    """
    surplus = [error for error in errors if error.kind not in OF_TRUTH]
    missing = [error for error in errors if error.kind in OF_TRUTH]
    graph = _without(split_long_edges(predicted, step).graph, surplus)
    whole = joined([graph, *(error.stretch for error in missing)])
    if not len(graph.edges):
        return whole
    again, to_added = [np.zeros((0, 2, 3))], [np.zeros((0, 3))]
    added_nodes = [np.zeros(0, dtype=np.int64)]
    for error in surplus:
        ends, sides = np.array(error.ends).reshape(-1, 3), np.array(error.sides)
        for side in np.unique(sides):
            first, *others = ends[sides == side]
            again += [np.array([[first, other]]) for other in others]
    count = len(graph)
    for error in missing:
        ends = np.array(error.ends).reshape(-1, 3)
        to_added.append(ends)
        added_nodes.append(count + np.asarray(KDTree(error.stretch.positions).query(ends)[1]))
        count += len(error.stretch)
    pairs, ends = np.concatenate(again), np.concatenate(to_added)
    near = SegmentTree(graph).nearest(np.concatenate([pairs[:, 0], pairs[:, 1], ends]))
    split = split_at(whole, near.edges, near.fractions)
    one, two, three = np.split(split.nodes, [len(pairs), 2 * len(pairs)])
    links = [np.stack([one, two], axis=1), np.stack([three, np.concatenate(added_nodes)], axis=1)]
    edges = np.concatenate([split.graph.edges, *links])
    return NeuriteGraph(split.graph.positions, edges[edges[:, 0] != edges[:, 1]])


def _without(pieces: NeuriteGraph, errors: Sequence[TracingError]) -> NeuriteGraph:
    """The pieces without the cable of some errors."""
    kept = pieces.edges[_owner(pieces, errors) < 0]
    return NeuriteGraph(pieces.positions, kept, pieces.radii, pieces.kinds)


def _owner(pieces: NeuriteGraph, errors: Sequence[TracingError]) -> np.ndarray:
    """(E,) number of the error that a piece is cable of, or -1; their cable is the same pieces."""
    middles = pieces.positions[pieces.edges].mean(axis=1)
    gone = [error.stretch.positions[error.stretch.edges].mean(axis=1) for error in errors]
    if not gone or not len(middles):
        return np.full(len(middles), -1)
    apart, nearest = KDTree(np.concatenate(gone)).query(middles)
    number = np.repeat(np.arange(len(gone)), [len(part) for part in gone])
    return np.where(apart <= 1e-9, number[nearest], -1)


class _Board:
    """Fragments of the tracing, the truth on each, and which of them each error joins."""

    def __init__(
        self,
        truth: NeuriteGraph,
        predicted: NeuriteGraph,
        errors: TracingErrors,
        merge_length: float,
    ) -> None:
        bridges = [error for error in errors.errors if error.kind == "bridge"]
        missing = [k for k, error in enumerate(errors.errors) if error.kind in OF_TRUTH]
        fragments = _without(split_long_edges(predicted, errors.step).graph, bridges)
        pieces = split_long_edges(truth, errors.step).graph
        label = nearest_components(pieces.positions, fragments, errors.tolerance)
        one, two = label[pieces.edges].T
        same = (one == two) & (one >= 0)
        owner = _owner(pieces, [errors.errors[k] for k in missing])
        owner = np.append(missing, -1).astype(np.int64)[owner[same]]
        tree = pieces.components[pieces.edges[same, 0]].astype(np.int64)
        rows, row = np.unique(
            np.stack([tree, one[same], owner], axis=1), axis=0, return_inverse=True
        )
        self._tree, self._fragment, self._owner = rows.T
        self._length = np.bincount(row.ravel(), pieces.lengths[same], minlength=len(rows))
        self._fragments = int(fragments.components.max(initial=-1)) + 1
        self._truth_length, self._merge_length = truth.length, merge_length
        count = len(errors.errors)
        self._count = self._fragments + count  # each error may be a fragment of its own
        self._own = self._fragments + np.arange(count)
        self._cable = np.zeros(count)
        self._cable_tree = np.zeros(count, dtype=np.int64)
        # Joins between fragments: for good, by bridges until repaired, by repairs.
        self._always: list[tuple[int, int]] = []
        self._until: list[tuple[int, int, int]] = []
        self._from: list[tuple[int, int, int]] = []
        ends = np.array([end for error in errors.errors for end in error.ends]).reshape(-1, 3)
        places = np.array([error.position for error in errors.errors]).reshape(-1, 3)
        fragment_of_end = nearest_components(ends, fragments, errors.tolerance)
        tree_of_place = nearest_components(places, truth, errors.tolerance)
        last = np.cumsum([len(error.ends) for error in errors.errors])
        for k, error in enumerate(errors.errors):
            touched = fragment_of_end[last[k] - len(error.ends) : last[k]]
            own = int(self._own[k])
            if error.kind == "bridge":
                sides = np.array(error.sides)
                groups = [touched[(sides == side) & (touched >= 0)] for side in np.unique(sides)]
                self._always += [(int(g[0]), int(f)) for g in groups for f in g[1:]]
                self._until += [(k, own, int(group[0])) for group in groups if len(group)]
            elif error.kind in OF_TRUTH:
                self._cable[k] = error.stretch.length
                self._cable_tree[k] = tree_of_place[k]
                self._from += [(k, own, int(f)) for f in touched[touched >= 0]]

    def run_length(self, fixed: np.ndarray) -> float:
        """Expected run length when the marked errors are repaired, µm; NaN without truth."""
        joins = [(a, b) for k, a, b in self._until if not fixed[k]]
        joins += [(a, b) for k, a, b in self._from if fixed[k]] + self._always
        one, two = np.array(joins, dtype=np.int64).reshape(-1, 2).T
        table = coo_array((np.ones(len(one)), (one, two)), shape=(self._count, self._count))
        group = connected_components(table, directed=False)[1].astype(np.int64)
        # The cable that a repair adds takes the place of what the truth had there before.
        stays = ~np.append(fixed, False)[self._owner]
        tree = np.append(self._tree[stays], self._cable_tree[fixed])
        where = np.append(group[self._fragment[stays]], group[self._own[fixed]])
        length = np.append(self._length[stays], self._cable[fixed])
        keys, row = np.unique(tree * self._count + where, return_inverse=True)
        runs = np.bincount(row, weights=length, minlength=len(keys))
        lies = runs >= max(self._merge_length, 1e-12)
        trees = np.bincount(keys[lies] % self._count, minlength=self._count)
        merged = trees[keys % self._count] > 1
        return ratio(float((runs[~merged] ** 2).sum()), self._truth_length)
