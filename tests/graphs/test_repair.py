"""Repairs: after all of them no score finds anything, whatever was wrong before."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, betti, chain, fork, ring, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import moved_a_little
from topodelin.graphs import (
    NeuriteGraph,
    cable_connectivity,
    centreline_quality,
    expected_run_length,
    find_errors,
    joined,
    split_long_edges,
)
from topodelin.graphs.repair import cut_out, repaired


def scores(truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float) -> list[float]:
    """All 1 for a perfect tracing."""
    quality = centreline_quality(truth, predicted, tolerance=tolerance)
    cable = cable_connectivity(truth, predicted, tolerance=tolerance)
    run = expected_run_length(truth, predicted, tolerance=tolerance).normalised
    return [quality.completeness, quality.correctness, run, cable.kept, cable.true]


def wrong_tracing(seed: int) -> tuple[NeuriteGraph, NeuriteGraph]:
    """Three neurites with side branches, and a tracing with ten errors of all kinds, 15 µm apart.

    Each neurite is cut into slots along x, and what happens in which slot is drawn by lot.
    """
    rng = np.random.default_rng(seed)
    slots, per_slot, side = 6, 10, 8
    parts, origin = [], []
    for y in range(3):
        steps = rng.normal((0, 0, 3), (0.3, 0.3, 0.2), (slots * per_slot + 1, 3))
        trunk = np.cumsum(steps, axis=0) + (0, 60 * y, 0)
        parts.append(chain(*trunk))
        origin.append(trunk)
    whole = joined(parts)
    positions, edges = whole.positions.copy(), whole.edges
    count = len(origin[0])

    def slot(k: int) -> int:
        """The node in the middle of a slot."""
        return (k // slots) * count + (k % slots) * per_slot + per_slot // 2

    lots = rng.permutation(3 * slots).tolist()
    branches, more = [], []
    for k in lots[:3]:  # of the truth, missing in the tracing
        begin = len(positions) + side * len(branches)
        away = positions[slot(k)] + np.arange(1, side + 1)[:, None] * (3.0, 0.5, 0)
        branches.append(away)
        more += [(slot(k), begin), *((begin + i, begin + i + 1) for i in range(side - 1))]
    truth = NeuriteGraph(np.concatenate([positions, *branches]), np.concatenate([edges, more]))

    moved, lost = positions.copy(), np.zeros(len(edges), dtype=bool)
    first = edges[:, 0]
    for k in lots[3:5]:  # a break
        lost |= first == slot(k)
    for k in lots[5:7]:  # a gap of four edges
        lost |= (first >= slot(k) - 2) & (first < slot(k) + 2)
    for k in lots[7:9]:  # displaced
        moved[slot(k) - 2 : slot(k) + 3, 0] += 5.5
    spurs, extra = [], [(slot(lots[9]), slot((lots[9] + slots) % (3 * slots)))]  # a bridge
    for k in lots[10:12]:
        begin = len(positions) + side * len(spurs)
        spurs.append(positions[slot(k)] - np.arange(1, side + 1)[:, None] * (3.0, 0, 0))
        extra += [(slot(k), begin), *((begin + i, begin + i + 1) for i in range(side - 1))]
    predicted = NeuriteGraph(
        np.concatenate([moved, *spurs]), np.concatenate([edges[~lost], np.array(extra)])
    )
    return truth, moved_a_little(predicted.select(predicted.degrees > 0), seed, by=0.1)


@pytest.mark.parametrize("name", EVENTS)
def test_the_whole_catalogue_is_perfect_after_repair(name: str) -> None:
    event = EVENTS[name]
    found = find_errors(event.truth, event.predicted, tolerance=TOLERANCE)
    mended = repaired(event.predicted, found.errors, step=found.step)
    assert scores(event.truth, mended, TOLERANCE) == pytest.approx([1] * 5)
    assert betti(mended) == betti(event.truth)
    assert find_errors(event.truth, mended, tolerance=TOLERANCE).errors == ()


@settings(max_examples=25)
@given(seed=seeds)
def test_random_trees_with_ten_errors_are_perfect_after_repair(seed: int) -> None:
    truth, predicted = wrong_tracing(seed)
    found = find_errors(truth, predicted, tolerance=3.0)
    assert len(found.errors) >= 8
    mended = repaired(predicted, found.errors, step=found.step)
    assert scores(truth, mended, 3.0) == pytest.approx([1] * 5, abs=2e-3)
    assert betti(mended) == betti(truth)


def test_what_was_not_wrong_keeps_its_nodes() -> None:
    truth, predicted = wrong_tracing(0)
    found = find_errors(truth, predicted, tolerance=3.0)
    assert repaired(predicted, [], step=found.step).length == pytest.approx(predicted.length)
    (spur, *_) = [error for error in found.errors if error.kind == "spurious_branch"]
    mended = repaired(predicted, [spur], step=found.step)
    lost = {tuple(node) for node in predicted.positions} - {tuple(p) for p in mended.positions}
    assert lost <= {tuple(node) for node in spur.stretch.positions}
    assert predicted.length - mended.length == pytest.approx(spur.stretch.length)


def test_a_displaced_stretch_leaves_when_the_true_one_comes() -> None:
    event = EVENTS["detour"]
    found = find_errors(event.truth, event.predicted, tolerance=TOLERANCE)
    (error,) = found.errors
    assert error.kind == "displaced"
    pieces = split_long_edges(event.predicted, found.step).graph
    # Drawn 16 µm down, 40 along and 16 up again, of which 3 µm on either side are matched.
    assert pieces.lengths[error.instead].sum() == pytest.approx(8 + 40 + 8 - 6, abs=1.6)
    mended = repaired(event.predicted, found.errors, step=found.step)
    assert mended.positions[:, 1].min() >= 0 and betti(mended) == (1, 0)
    assert mended.length == pytest.approx(event.truth.length, abs=2 * TOLERANCE)


def test_a_crumb_that_hung_on_a_false_branch_goes_when_cable_is_added_beside_it() -> None:
    # A gap of 8 µm with 3 µm of the neurite left in it, from which a false branch sets out.
    truth = chain((0, 0, 0), (0, 0, 100))
    crumb = NeuriteGraph(
        np.array([(0, 0, 48.5), (0, 0, 50), (0, 0, 51.5), (0, 40, 50)]),
        np.array([(0, 1), (1, 2), (1, 3)]),
    )
    sides = chain((0, 0, 0), (0, 0, 46)), chain((0, 0, 54), (0, 0, 100))
    predicted = joined([*sides, crumb])
    found = find_errors(truth, predicted, tolerance=3.0)
    assert found.counts["gap"] == found.counts["spurious_branch"] == len(found.errors) - 1 == 1
    mended = repaired(predicted, found.errors, step=found.step)
    assert betti(mended) == (1, 0) and scores(truth, mended, 3.0) == pytest.approx([1] * 5)


def test_cutting_pieces_out_leaves_other_edges_whole() -> None:
    graph = fork()
    pieces = split_long_edges(graph, 2.0).graph
    near = np.flatnonzero(np.linalg.norm(pieces.positions[pieces.edges].mean(axis=1), axis=1) < 3.5)
    rest, (ends,) = cut_out(graph, [near], step=2.0)
    assert rest.length == pytest.approx(graph.length - pieces.lengths[near].sum())
    assert [tuple(p) for p in rest.positions[ends].tolist()] == [(0, 0, 4)]
    assert 10.0 in rest.lengths.tolist()
    same, none = cut_out(graph, [], step=2.0)
    assert none == [] and same.length == graph.length


def test_repairs_of_nothing_and_from_nothing() -> None:
    assert len(repaired(EMPTY, [], step=1.0)) == 0
    found = find_errors(fork(), EMPTY, tolerance=3.0)
    assert repaired(EMPTY, found.errors, step=found.step).length == pytest.approx(40)
    found = find_errors(EMPTY, ring(), tolerance=3.0)
    assert len(repaired(ring(), found.errors, step=found.step)) == 0
