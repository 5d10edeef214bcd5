"""What each error costs: repairing the worst ones raises the score as promised."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import golden_graph, moved_a_little
from tests.shared_files import needs_shared, shared
from topodelin.graphs import (
    ErrorCosts,
    NeuriteGraph,
    error_costs,
    expected_run_length,
    find_errors,
    joined,
    repaired,
)


def promised_and_kept(
    truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float
) -> tuple[ErrorCosts, list[float]]:
    """The costs, and the run length measured after repairing the first 0, 1, 2, ... errors."""
    errors = find_errors(truth, predicted, tolerance=tolerance)
    costs = error_costs(truth, predicted, errors)
    kept = [
        expected_run_length(
            truth, repaired(predicted, costs.errors[:k], step=errors.step), tolerance=tolerance
        ).expected_run_length
        for k in range(len(costs.errors) + 1)
    ]
    return costs, kept


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
