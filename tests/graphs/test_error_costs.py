"""What each error costs: repairing the worst ones raises the score as promised."""

import json
import math
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import golden_graph, moved_a_little
from tests.graphs.test_repair import wrong_tracing
from tests.shared_files import needs_shared, shared
from topodelin.graphs import (
    ErrorCosts,
    NeuriteGraph,
    cable_connectivity,
    error_costs,
    expected_run_length,
    find_errors,
    joined,
)
from topodelin.graphs.repair import repaired
from topodelin.graphs.repair_board import Board, Span, board_scores


def promised_and_kept(
    truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float
) -> tuple[ErrorCosts, list[float]]:
    """The costs, and the run length measured after repairing the first 0, 1, 2, ... errors."""
    errors = find_errors(truth, predicted, tolerance=tolerance)
    costs = error_costs(truth, predicted, errors)
    kept = [
        run_length(truth, repaired(predicted, costs.errors[:k], step=errors.step), tolerance)
        for k in range(len(costs.errors) + 1)
    ]
    return costs, kept


def run_length(truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float) -> float:
    return expected_run_length(truth, predicted, tolerance=tolerance).expected_run_length


def connectivity(truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float) -> float:
    return cable_connectivity(truth, predicted, tolerance=tolerance).score


@pytest.mark.parametrize("name", EVENTS)
def test_repairing_an_event_of_the_catalogue_gives_the_best_run_length(name: str) -> None:
    event = EVENTS[name]
    costs, kept = promised_and_kept(event.truth, event.predicted, TOLERANCE)
    own = expected_run_length(event.truth, event.truth, tolerance=TOLERANCE)
    assert kept[-1] == pytest.approx(own.best_run_length, rel=0.001)
    assert costs.run_lengths == pytest.approx(kept, rel=0.002, abs=0.1)
    if costs.errors:
        assert costs.costs[0] == pytest.approx(kept[1] - kept[0], rel=0.1, abs=0.1)


def test_the_gap_in_the_middle_costs_more_than_the_one_at_the_end() -> None:
    truth = chain(*[(0, 0, x) for x in range(201)])
    predicted = NeuriteGraph(truth.positions, np.delete(truth.edges, [20, 100], axis=0))
    found = find_errors(truth, predicted, tolerance=3.0)
    costs = error_costs(truth, predicted, found)
    np.testing.assert_allclose([e.position[2] for e in costs.errors], [100.5, 20.5], atol=1)
    # Runs of 20, 80 and 100 µm. With the middle joined they are 20 and 180.
    before, after = (20**2 + 80**2 + 100**2) / 200, (20**2 + 180**2) / 200
    assert costs.run_lengths[0] == pytest.approx(before, rel=0.02)
    assert costs.costs[0] == pytest.approx(after - before, rel=0.02)
    assert costs.run_lengths[-1] == pytest.approx(200, rel=0.01)


def test_one_of_two_bridges_costs_nothing_and_both_cost_all() -> None:
    truth = joined([chain((0, 0, 0), (0, 0, 100)), chain((0, 40, 0), (0, 40, 100))])
    ladder = NeuriteGraph(
        np.array([(0, y, x) for y in (0, 40) for x in (0, 20, 80, 100)]),
        np.array([(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7), (1, 5), (2, 6)]),
    )
    costs, kept = promised_and_kept(truth, ladder, 3.0)
    assert [error.kind for error in costs.errors] == ["bridge", "bridge"]
    assert costs.costs == (0, 0)
    assert costs.run_lengths == pytest.approx((0, 0, 100), rel=0.02)
    assert kept == pytest.approx((0, 0, 100), rel=0.02)


def test_cutting_a_join_at_a_crossing_keeps_both_neurites_whole() -> None:
    truth = joined([chain((0, 0, -60), (0, 0, 60)), chain((2, -60, 0), (2, 60, 0))])
    arms = [(0, 0, -60), (0, 0, 60), (1, -60, 0), (1, 60, 0), (1, 0, 0)]
    cross = NeuriteGraph(np.array(arms), np.array([(0, 4), (1, 4), (2, 4), (3, 4)]))
    costs, kept = promised_and_kept(truth, cross, 3.0)
    assert kept == pytest.approx((0, 120), rel=0.03)
    assert costs.run_lengths == pytest.approx((0, 120), rel=0.05)


@settings(max_examples=10)
@given(seed=seeds)
def test_promises_about_random_trees_are_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trees = []
    for y in range(3):
        steps = rng.normal((0, 0, 3), 0.7, (80, 3))
        trees.append(chain(*(np.cumsum(steps, axis=0) + (0, 60 * y, 0))))
    truth = joined(trees)
    cuts = rng.choice(len(truth.edges), 4, replace=False)
    edges = np.delete(truth.edges, cuts, axis=0)
    bridge = [(int(rng.integers(10, 70)), 80 + int(rng.integers(10, 70)))]
    noisy = moved_a_little(
        NeuriteGraph(truth.positions, np.append(edges, bridge, axis=0)), seed, 0.2
    )
    costs, kept = promised_and_kept(truth, noisy, 3.0)
    best = expected_run_length(truth, truth, tolerance=3.0).best_run_length
    assert kept == pytest.approx(costs.run_lengths, abs=0.03 * best)
    assert kept[-1] > 0.97 * best


@settings(max_examples=4)
@given(seed=seeds)
def test_each_repair_of_random_trees_brings_what_it_promised_to_both_scores(seed: int) -> None:
    truth, predicted = wrong_tracing(seed)
    found = find_errors(truth, predicted, tolerance=3.0)
    best = expected_run_length(truth, truth, tolerance=3.0).best_run_length
    costs = error_costs(truth, predicted, found)
    before = run_length(truth, predicted, 3.0), connectivity(truth, predicted, 3.0)
    for error, um, share in zip(costs.errors, costs.costs, costs.connectivity_costs, strict=True):
        mended = repaired(predicted, [error], step=found.step)
        assert run_length(truth, mended, 3.0) - before[0] == pytest.approx(um, abs=0.02 * best)
        assert connectivity(truth, mended, 3.0) - before[1] == pytest.approx(share, abs=0.02)


@settings(max_examples=4)
@given(seed=seeds)
def test_the_k_worst_by_connectivity_bring_what_the_ranking_promised(seed: int) -> None:
    truth, predicted = wrong_tracing(seed)
    found = find_errors(truth, predicted, tolerance=3.0)
    costs = error_costs(truth, predicted, found, by="connectivity")
    assert list(costs.connectivity_costs) == sorted(costs.connectivity_costs, reverse=True)
    steps = [
        repaired(predicted, costs.errors[:k], step=found.step) for k in range(len(costs.errors) + 1)
    ]
    best = expected_run_length(truth, truth, tolerance=3.0).best_run_length
    measured = [connectivity(truth, mended, 3.0) for mended in steps]
    assert measured == pytest.approx(costs.connectivities, abs=0.02)
    measured = [run_length(truth, mended, 3.0) for mended in steps]
    assert measured == pytest.approx(costs.run_lengths, abs=0.02 * best)
    assert costs.connectivities[-1] > 0.99


def test_the_scores_rank_a_merger_and_a_gap_differently() -> None:
    # A bridge between two neurites of 100 µm, which voids both for the run length, and a gap that
    # halves a third of 140 µm.
    truth = joined([chain((0, y, 0), (0, y, x)) for y, x in ((0, 100), (40, 100), (80, 140))])
    halves = chain((0, 80, 0), (0, 80, 69)), chain((0, 80, 71), (0, 80, 140))
    ladder = NeuriteGraph(
        np.array([(0, y, x) for y in (0, 40) for x in (0, 50, 100)]),
        np.array([(0, 1), (1, 2), (3, 4), (4, 5), (1, 4)]),
    )
    predicted = joined([ladder, *halves])
    found = find_errors(truth, predicted, tolerance=3.0)
    by_run = error_costs(truth, predicted, found)
    assert [error.kind for error in by_run.errors] == ["bridge", "gap"]
    # Squared cable: 2 x 100^2 of two neurites, together 200^2; 2 x 70^2 instead of 140^2.
    assert by_run.costs == pytest.approx((2 * 100**2 / 340, 2 * 70**2 / 340), rel=0.02)
    whole = 2 * 100**2 + 140**2
    before = 2 * (2 * 100**2 + 2 * 70**2) / (whole + 200**2 + 2 * 70**2)
    no_bridge = 2 * (2 * 100**2 + 2 * 70**2) / (whole + 2 * 100**2 + 2 * 70**2)
    no_gap = 2 * whole / (whole + 200**2 + 140**2)
    shares = dict(zip([e.kind for e in by_run.errors], by_run.connectivity_costs, strict=True))
    assert shares["bridge"] == pytest.approx(no_bridge - before, abs=0.005)
    assert shares["gap"] == pytest.approx(no_gap - before, abs=0.005)
    by_pairs = error_costs(truth, predicted, found, by="connectivity")
    assert by_pairs.by == "connectivity"
    assert by_pairs.connectivity_costs == pytest.approx(sorted(shares.values(), reverse=True))


def test_another_score_is_refused_with_those_known() -> None:
    found = find_errors(fork(), fork(), tolerance=3.0)
    with pytest.raises(ValueError, match="`by` must be one of run_length, connectivity, got 'f1'"):
        error_costs(fork(), fork(), found, by="f1")  # type: ignore[arg-type]


def slow_sums(board: Board, repairs: list[Span], state: int) -> tuple[float, float, float]:
    """The definition, one state at a time."""
    graph = nx.Graph()
    graph.add_nodes_from(range(board.fragments))
    graph.add_edges_from(board.joins)
    done = [begin <= state < end for begin, end in repairs]
    graph.add_edges_from((a, b) for k, a, b in board.until if not done[k])
    graph.add_edges_from((a, b) for k, a, b in board.since if done[k])
    cable: list[Any] = list(board.cable)
    cable += [entry for k, *entry in board.cable_until if not done[k]]
    cable += [entry for k, *entry in board.cable_since if done[k]]
    runs = kept = pairs = 0.0
    for group in nx.connected_components(graph):
        trees: dict[int, float] = {}
        for tree, fragment, length in cable:
            if fragment in group:
                trees[tree] = trees.get(tree, 0.0) + length
        squares = sum(length**2 for length in trees.values())
        lying = sum(length >= board.merge_length for length in trees.values())
        runs += squares if lying < 2 else 0.0
        kept += squares
        pairs += sum(trees.values()) ** 2
    return runs, kept, pairs


@settings(max_examples=60)
@given(seed=seeds)
def test_sums_of_all_states_at_once_are_those_of_each_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fragments, errors, states = rng.integers(1, [9, 7, 9]).tolist()

    def drawn(count: int, *highs: int) -> list[Any]:
        return [tuple(int(rng.integers(0, high)) for high in highs) for _ in range(count)]

    def laid(count: int, *highs: int) -> list[Any]:
        return [(*entry, float(rng.integers(1, 9))) for entry in drawn(count, *highs)]

    board = Board(
        fragments,
        joins=drawn(2, fragments, fragments),
        until=drawn(5, errors, fragments, fragments),
        since=drawn(5, errors, fragments, fragments),
        cable=laid(9, 3, fragments),
        cable_until=laid(4, errors, 3, fragments),
        cable_since=laid(4, errors, 3, fragments),
        merge_length=6.0,
    )
    ends = drawn(errors, states + 1, states + 1)
    spans = [(min(pair), max(pair)) for pair in ends]
    sums = board_scores(board, spans, states)
    for state in range(states):
        expected = slow_sums(board, spans, state)
        found = sums.runs[state], sums.kept[state], sums.joined[state]
        assert found == pytest.approx(expected)


def test_empty_graphs_never_raise() -> None:
    found = find_errors(EMPTY, fork(), tolerance=3)
    assert math.isnan(error_costs(EMPTY, fork(), found).run_lengths[0])
    found = find_errors(fork(), EMPTY, tolerance=3)
    costs = error_costs(fork(), EMPTY, found)
    assert costs.run_lengths == pytest.approx((0, 40)) and len(
        repaired(EMPTY, costs.errors, step=1)
    )
    perfect = error_costs(fork(), fork(), find_errors(fork(), fork(), tolerance=3))
    assert perfect.errors == () and perfect.run_lengths == pytest.approx((40,))
    nothing = find_errors(EMPTY, EMPTY, tolerance=3)
    assert math.isnan(error_costs(EMPTY, EMPTY, nothing).run_lengths[0])


@needs_shared
def test_promises_about_all_reference_pairs_are_kept() -> None:
    folder = shared("goldens", "metrics")
    for case in json.loads((folder / "graphs" / "index.json").read_text()):
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        truth, predicted = golden_graph(pair["gt"]), golden_graph(pair["pred"])
        costs, kept = promised_and_kept(truth, predicted, 3.0)
        best = expected_run_length(truth, truth, tolerance=3.0).best_run_length
        assert kept == pytest.approx(costs.run_lengths, abs=0.03 * best), case
        assert kept[-1] > 0.97 * best, case
