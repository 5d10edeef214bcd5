"""What each error costs: how much of a score comes back when it is repaired.

Two scores are asked, as both weigh an error by the cable that it parts or joins: the expected run
length (`expected_run_length`) and the cable connectivity (`cable_connectivity`). Errors depend on
each other, so there are two answers for each: what comes back when that error alone is repaired,
which is its rank, and the score after repairing all errors up to it. Neither looks at the graphs
more than once: repairs are made on paper (`repair_board`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from topodelin.graphs.checks import ratio
from topodelin.graphs.edge_splitting import split_long_edges
from topodelin.graphs.expected_run_length import nearest_components
from topodelin.graphs.find_errors import OF_TRUTH, TracingError, TracingErrors
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.repair import cut_out
from topodelin.graphs.repair_board import Board, BoardScores, board_scores

Score = Literal["run_length", "connectivity"]


@dataclass(frozen=True)
class ErrorCosts:
    """Errors from the most expensive on.

    Args:
        errors: the errors of the list, the one that costs most first.
        costs: µm of expected run length that come back when that error alone is repaired.
        connectivity_costs: share of cable connectivity that comes back then.
        run_lengths: expected run length after repairing the first 0, 1, 2, ... of them, µm.
        connectivities: cable connectivity after that, 0 to 1.
        by: the score that they are ranked by.
        merge_length: the parameter, as in `expected_run_length`, µm.
    """

    errors: tuple[TracingError, ...]
    costs: tuple[float, ...]
    connectivity_costs: tuple[float, ...]
    run_lengths: tuple[float, ...]
    connectivities: tuple[float, ...]
    by: str
    merge_length: float


def error_costs(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    errors: TracingErrors,
    *,
    by: str = "run_length",
    merge_length: float | None = None,
) -> ErrorCosts:
    """Rank the errors of a tracing by what each costs.

    Args:
        truth, predicted: the graphs that the errors were found on.
        errors: from `find_errors`.
        by: the score that ranks them; the other one decides where it is equal.
        merge_length: as in `expected_run_length`; four tolerances by default.

    A spurious branch costs nothing, nor does one of two bridges between the same neurites. A cost
    may be below 0: where a gap hides a bridge, closing it alone merges more. Among equal costs the
    longer comes first. Scores are NaN without truth.
    """
    if by not in get_args(Score):
        raise ValueError(f"`by` must be one of {', '.join(get_args(Score))}, got {by!r}")
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    merge_length = 4 * errors.tolerance if merge_length is None else merge_length
    board = _board(truth, predicted, errors, float(merge_length))
    count = len(errors.errors)
    alone = board_scores(board, [(k, k + 1) for k in range(count)], count + 1)
    runs, connections = _run_lengths(alone, truth), _connectivities(alone, truth)
    # Rounding far below what is measured, so that equal costs are equal.
    runs = np.round(np.nan_to_num(runs[:count] - runs[count]), 6) + 0.0
    connections = np.round(np.nan_to_num(connections[:count] - connections[count]), 12) + 0.0
    first, second = (runs, connections) if by == "run_length" else (connections, runs)
    lengths = np.array([error.length for error in errors.errors])
    order = np.lexsort((np.arange(count), -lengths, -second, -first))
    rank = np.argsort(order).tolist()
    after = board_scores(board, [(rank[k] + 1, count + 1) for k in range(count)], count + 1)
    return ErrorCosts(
        tuple(errors.errors[k] for k in order.tolist()),
        tuple(runs[order].tolist()),
        tuple(connections[order].tolist()),
        tuple(_run_lengths(after, truth).tolist()),
        tuple(_connectivities(after, truth).tolist()),
        by,
        float(merge_length),
    )


def _run_lengths(scores: BoardScores, truth: NeuriteGraph) -> np.ndarray:
    return np.array([ratio(runs, truth.length) for runs in scores.runs.tolist()])


def _connectivities(scores: BoardScores, truth: NeuriteGraph) -> np.ndarray:
    tree = truth.components[truth.edges[:, 0]]
    pairs = float((np.bincount(tree, weights=truth.lengths) ** 2).sum())
    if not pairs:
        return np.full(len(scores.kept), np.nan)
    return 2 * scores.kept / (pairs + scores.joined)


def _board(
    truth: NeuriteGraph, predicted: NeuriteGraph, errors: TracingErrors, merge_length: float
) -> Board:
    """Fragments of the tracing, the truth on each, and which of them each error joins."""
    found = errors.errors
    bridges = [error.pieces for error in found if error.kind == "bridge"]
    fragments, _ = cut_out(predicted, bridges, step=errors.step)
    count = int(fragments.components.max(initial=-1)) + 1  # each error may be one more
    places = np.array([error.position for error in found]).reshape(-1, 3)
    ends = np.array([end for error in found for end in error.ends]).reshape(-1, 3)
    at = np.cumsum([0, *(len(error.ends) for error in found)])
    fragment_of_end = nearest_components(ends, fragments, errors.tolerance)
    tree = nearest_components(places, truth, errors.tolerance).tolist()
    always, until, since, added = [], [], [], []
    for k, error in enumerate(found):
        touched = fragment_of_end[at[k] : at[k + 1]]
        if error.kind == "bridge":
            sides = np.array(error.sides)
            groups = [touched[(sides == side) & (touched >= 0)] for side in np.unique(sides)]
            groups = [np.unique(group).tolist() for group in groups if len(group)]
            always += [(group[0], other) for group in groups for other in group[1:]]
            until += [(k, count + k, group[0]) for group in groups]
        elif error.kind in OF_TRUTH:
            added.append((k, tree[k], count + k, error.stretch.length))
            since += [(k, count + k, other) for other in np.unique(touched[touched >= 0]).tolist()]
    cable, replaced = _cable(truth, fragments, errors)
    return Board(count + len(found), always, until, since, cable, replaced, added, merge_length)


def _cable(
    truth: NeuriteGraph, fragments: NeuriteGraph, errors: TracingErrors
) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, int, float]]]:
    """Tree, fragment and µm of all cable of the truth on a fragment; of what errors own apart.

    What an error owns, and the repair replaces, has its number in front.
    """
    pieces = split_long_edges(truth, errors.step).graph
    owner = np.full(len(pieces.edges), -1, dtype=np.int64)
    for k, error in enumerate(errors.errors):
        if error.kind in OF_TRUTH:
            owner[error.pieces] = k
    label = nearest_components(pieces.positions, fragments, errors.tolerance)
    heads, tails = pieces.edges.T
    same = np.flatnonzero((label[heads] == label[tails]) & (label[heads] >= 0))
    tree, label, owner = pieces.components[heads[same]], label[heads[same]], owner[same] + 1
    labels, owners = int(label.max(initial=0)) + 1, len(errors.errors) + 1
    keys = (tree.astype(np.int64) * labels + label) * owners + owner
    keys, row = np.unique(keys, return_inverse=True)
    length = np.bincount(row, weights=pieces.lengths[same], minlength=len(keys)).tolist()
    rows = np.stack([keys % owners - 1, keys // owners // labels, keys // owners % labels], axis=1)
    table = [(*entry, um) for entry, um in zip(rows.tolist(), length, strict=True)]
    return [entry[1:] for entry in table if entry[0] < 0], [e for e in table if e[0] >= 0]
