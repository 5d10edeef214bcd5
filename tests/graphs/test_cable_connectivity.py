"""Cable-weighted connectivity: by hand, by law, by drawing pairs of points."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, random_network, rotation, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import moved_a_little, renumbered, split_edges
from topodelin.graphs import (
    CableConnectivity,
    NeuriteGraph,
    cable_connectivity,
    joined,
    split_long_edges,
)
from topodelin.graphs.expected_run_length import nearest_components


def of_event(name: str) -> CableConnectivity:
    event = EVENTS[name]
    return cable_connectivity(event.truth, event.predicted, tolerance=TOLERANCE, step=0.02)


def test_a_gap_by_hand() -> None:
    truth = chain((0, 0, 0), (0, 0, 100))
    halves = NeuriteGraph(
        np.array([(0, 0, 0), (0, 0, 38), (0, 0, 62), (0, 0, 100)]), np.array([(0, 1), (2, 3)])
    )
    result = cable_connectivity(truth, halves, tolerance=2.0, step=0.01)
    assert result.matched_length == pytest.approx(80, abs=0.05)
    assert result.kept == pytest.approx(2 * 0.4**2, rel=1e-3)
    assert result.parted == pytest.approx(2 * 0.4 * 0.4, rel=1e-3)
    assert result.lost == pytest.approx(1 - 0.8**2, rel=1e-3)
    assert result.infeasible == pytest.approx(1 - 0.32, rel=1e-3)
    assert result.true == pytest.approx(1)
    assert result.split_bits == pytest.approx(1) and result.merge_bits == 0
    assert result.score == pytest.approx(2 * 0.32 / (1 + 0.32), rel=1e-3)


def test_a_false_join_by_hand() -> None:
    result = of_event("bridge between trees")
    assert result.kept == 1 and result.true == pytest.approx(0.5)
    assert result.merge_bits == pytest.approx(1) and result.split_bits == 0


def test_components_in_another_order_than_the_trees_change_nothing() -> None:
    one, two = chain((0, 0, 0), (0, 0, 30)), chain((0, 50, 0), (0, 50, 10))
    result = cable_connectivity(joined([one, two]), joined([two, one]), tolerance=1.0)
    assert result.kept == pytest.approx(1) and result.true == pytest.approx(1)
    assert result.kept_pairs == pytest.approx(30**2 + 10**2)
    assert result.split_bits == pytest.approx(0) and result.merge_bits == pytest.approx(0)


@settings(max_examples=15)
@given(seed=seeds)
def test_shares_are_those_of_pairs_of_points_one_by_one(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_forest(seed), seed)
    result = cable_connectivity(truth, predicted, tolerance=2.0, step=0.5)
    pieces = split_long_edges(truth, 0.5).graph
    label = nearest_components(pieces.positions, predicted, 2.0)
    cable = np.zeros(len(pieces))
    for (a, b), length in zip(pieces.edges, pieces.lengths, strict=True):
        cable[[a, b]] += length / 2
    weight = np.outer(cable, cable)
    tree = pieces.components[:, None] == pieces.components
    one = (label[:, None] == label) & (label >= 0) & (label[:, None] >= 0)
    assert result.truth_pairs == pytest.approx((weight * tree).sum())
    assert result.kept_pairs == pytest.approx((weight * (tree & one)).sum())
    assert result.joined_pairs == pytest.approx((weight * one).sum())
    assert result.kept + result.parted + result.lost == pytest.approx(1)


@settings(max_examples=15)
@given(seed=seeds)
def test_turns_numbers_scale_and_cuts_change_nothing(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_forest(seed), seed)
    expected = cable_connectivity(truth, predicted, tolerance=2.0, step=0.05)
    turn = rotation(seed)
    for change in (
        lambda g: NeuriteGraph(g.positions @ turn.T + 50, g.edges),
        lambda g: renumbered(g, seed),
        split_edges,
    ):
        result = cable_connectivity(change(truth), change(predicted), tolerance=2.0, step=0.05)
        assert result.kept == pytest.approx(expected.kept, abs=5e-3)
        assert result.true == pytest.approx(expected.true, abs=5e-3)
        assert result.split_bits == pytest.approx(expected.split_bits, abs=2e-2)
    scaled = [NeuriteGraph(g.positions * 4, g.edges) for g in (truth, predicted)]
    result = cable_connectivity(*scaled, tolerance=8.0, step=0.2)
    assert result.kept == pytest.approx(expected.kept)


def test_a_tracing_like_the_truth_is_perfect_and_worse_ones_are_worse() -> None:
    perfect = of_event("identical")
    assert perfect.score == perfect.kept == perfect.true == 1
    assert perfect.split_bits == perfect.merge_bits == 0
    order = ["identical", "break of one edge", "gap", "longer gap", "nothing"]
    scores = [of_event(name).score for name in order]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 5


def test_no_truth_is_undefined_and_no_tracing_is_the_worst() -> None:
    for predicted in (EMPTY, fork()):
        result = cable_connectivity(EMPTY, predicted, tolerance=3)
        assert math.isnan(result.score) and math.isnan(result.true) and math.isnan(result.kept)
        assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["connectivity"] is None
    nothing = cable_connectivity(fork(), EMPTY, tolerance=3)
    assert nothing.score == nothing.kept == nothing.true == 0 and nothing.lost == 1
    with pytest.raises(ValueError, match="`tolerance` must be a positive number of µm"):
        cable_connectivity(fork(), fork(), tolerance=0)
