"""Which paths are compared: all pairs, or those from a part of the points, with an error."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import fork, random_network, ring, seeds
from tests.graphs.test_centreline_quality import moved_a_little
from topodelin.graphs import apls, joined, tlts
from topodelin.graphs.compared_paths import control_paths, ratio_error
from topodelin.graphs.contraction import contract
from topodelin.graphs.path_distances import NodeDistances

TRUTH = random_network(3, count=200, extra=15)
PREDICTED = moved_a_little(TRUTH, 4, by=1.0)
OPTIONS: dict[str, Any] = {"tolerance": 3.0, "interval": 4.0}


def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topodelin.graphs.compared_paths._at_once", lambda goals: 3)
    monkeypatch.setattr("topodelin.graphs.path_distances.TOGETHER", 10)


@settings(max_examples=20)
@given(seed=seeds)
def test_pairs_are_each_met_once_and_starts_meet_all_they_reach(seed: int) -> None:
    truth = joined([random_network(seed, extra=2), random_network(seed + 1, extra=0), ring()])
    predicted = moved_a_little(truth, seed)
    both = (NodeDistances(contract(graph)) for graph in (truth, predicted))
    paths = control_paths(*both, interval=8.0, tolerance=3.0)
    count = len(paths)
    with pytest.MonkeyPatch.context() as patch:
        few_at_once(patch)
        once, twice = np.zeros((count, count), int), np.zeros((count, count), int)
        expected, found = np.zeros((count, count)), np.zeros((count, count))
        for block in paths.compared(None):
            joins = np.isfinite(block.expected)
            once[np.ix_(block.rows, block.goals)] += joins
            place = np.ix_(block.rows, block.goals)
            expected[place] = np.where(joins, block.expected, expected[place])
            found[place] = np.where(joins, block.found, found[place])
        for block in paths.compared(np.arange(count)):
            joins, place = np.isfinite(block.expected), np.ix_(block.rows, block.goals)
            twice[place] += joins
            both_ways = (expected + expected.T)[place][joins], (found + found.T)[place][joins]
            np.testing.assert_allclose(block.expected[joins], both_ways[0], atol=1e-9)
            np.testing.assert_allclose(block.found[joins], both_ways[1], atol=1e-9)
    np.testing.assert_array_equal(once + once.T, twice)
    joined_by = paths.here.components[:, None] == paths.here.components
    np.testing.assert_array_equal(twice, joined_by & ~np.eye(count, dtype=bool))


def test_results_do_not_depend_on_how_many_paths_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [apls(TRUTH, PREDICTED, **OPTIONS, starts=n).as_dict() for n in ("all", 60)]
    shares = [tlts(TRUTH, PREDICTED, **OPTIONS, starts=n) for n in ("all", 60)]
    few_at_once(monkeypatch)
    for n, result, share in zip(("all", 60), results, shares, strict=True):
        again = apls(TRUTH, PREDICTED, **OPTIONS, starts=n).as_dict()
        assert again == pytest.approx(result, rel=1e-12)
        assert tlts(TRUTH, PREDICTED, **OPTIONS, starts=n) == share


def test_a_part_of_the_starts_estimates_all_within_its_standard_error() -> None:
    every, some = (
        apls(TRUTH, PREDICTED, tolerance=3.0, interval=4.0, starts=n) for n in ("all", 60)
    )
    assert every.truth_paths.standard_error == 0 and some.truth_paths.starts == 60
    assert 0 < some.truth_paths.standard_error < 0.05
    error = abs(some.truth_to_predicted - every.truth_to_predicted)
    assert error < 3 * some.truth_paths.standard_error
    shares = [tlts(TRUTH, PREDICTED, **OPTIONS, starts=n).truth_paths for n in ("all", 60)]
    assert shares[0].standard_error == 0 and 0 < shares[1].standard_error < 0.05
    error = abs(shares[1].correct_share - shares[0].correct_share)
    assert error < 3 * shares[1].standard_error


def test_errors_of_starts_drawn_at_random_are_as_large_as_said() -> None:
    rng = np.random.default_rng(0)
    wholes = rng.integers(50, 100, 400).astype(float)
    parts = wholes * rng.random(400)
    share = parts.sum() / wholes.sum()
    drawn = [rng.permutation(400)[:200] for _ in range(500)]
    misses = [parts[rows].sum() / wholes[rows].sum() - share for rows in drawn]
    said = [ratio_error(parts[rows], wholes[rows], 400) for rows in drawn]
    assert np.mean(said) == pytest.approx(np.std(misses), rel=0.1)
    assert ratio_error(parts, wholes, 400) == 0
    assert np.isnan(ratio_error(parts[:1], wholes[:1], 400))


def test_large_graphs_start_from_a_part_unless_all_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = apls(TRUTH, PREDICTED, **OPTIONS).truth_paths.points
    assert apls(TRUTH, PREDICTED, **OPTIONS).truth_paths.starts == points > 150
    monkeypatch.setattr("topodelin.graphs.compared_paths.WORK", 2000)
    monkeypatch.setattr("topodelin.graphs.compared_paths.LEAST", 40)
    some = apls(TRUTH, PREDICTED, **OPTIONS).truth_paths
    assert some.starts == 40 and some.standard_error > 0
    assert tlts(TRUTH, PREDICTED, **OPTIONS).truth_paths.starts == 40
    assert apls(TRUTH, PREDICTED, **OPTIONS, starts="all").truth_paths.starts == points
    monkeypatch.setattr("topodelin.graphs.compared_paths.LEAST", 1)
    fewer = apls(TRUTH, PREDICTED, **OPTIONS).truth_paths
    assert 1 < fewer.starts < 40 and fewer.paths < 2000


def test_many_small_trees_are_less_work_than_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = joined([fork() for _ in range(40)])  # 5 points each: 40 * 25 lengths, not 200 * 200
    monkeypatch.setattr("topodelin.graphs.compared_paths.LEAST", 1)
    monkeypatch.setattr("topodelin.graphs.compared_paths.WORK", 1000)
    assert tlts(forest, forest, tolerance=1.0, interval=20.0).truth_paths.starts == 200
    monkeypatch.setattr("topodelin.graphs.compared_paths.WORK", 100)
    assert tlts(forest, forest, tolerance=1.0, interval=20.0).truth_paths.starts < 200


@pytest.mark.parametrize("starts", [0, -1])
def test_starts_are_a_number_all_or_left_to_the_metric(starts: int) -> None:
    with pytest.raises(ValueError, match='`starts` must be at least 1, "all", or None'):
        apls(fork(), fork(), tolerance=1, starts=starts)
