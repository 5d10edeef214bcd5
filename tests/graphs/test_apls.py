"""Average path length similarity: by hand, by law, by brute force and by the published program."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import EMPTY, chain, fork, random_network, ring, rotation, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import (
    golden_graph,
    moved_a_little,
    renumbered,
    split_edges,
)
from tests.graphs.test_nearest import slow_distances
from tests.graphs.test_path_distances import slow_paths
from tests.shared_files import needs_shared, shared
from topodelin.graphs import NeuriteGraph, PathLengthSimilarity, apls, split_at
from topodelin.graphs.contraction import contract
from topodelin.graphs.control_points import control_points


def of_event(name: str) -> PathLengthSimilarity:
    return apls(EVENTS[name].truth, EVENTS[name].predicted, tolerance=TOLERANCE)


def slow_direction(graph: NeuriteGraph, other: NeuriteGraph, tolerance: float) -> float:
    """One minus the mean cost over all pairs of nodes, pair by pair."""
    nodes = np.flatnonzero(graph.degrees)
    distance = slow_distances(graph.positions[nodes], other)
    edge = distance.argmin(axis=1)
    a, b = other.positions[other.edges[edge]].transpose(1, 0, 2)
    along = ((graph.positions[nodes] - a) * (b - a)).sum(1) / ((b - a) ** 2).sum(1)
    split = split_at(other, edge, np.clip(along, 0, 1))
    here, there = slow_paths(graph, nodes), slow_paths(split.graph, split.nodes)
    lost = distance.min(axis=1) > tolerance
    costs = []
    for i in range(len(nodes)):
        for j in range(i):
            if 0 < here[i, j] < np.inf:
                miss = lost[i] or lost[j] or np.isinf(there[i, j])
                costs.append(1 if miss else min(1, abs(here[i, j] - there[i, j]) / here[i, j]))
    return 1 - sum(costs) / len(costs)


def test_a_gap_by_hand() -> None:
    # Four control points at 0, 20, 40, 60; the tracing lacks what lies between 24 and 36.
    truth = chain((0, 0, 0), (0, 0, 60))
    predicted = NeuriteGraph(
        np.array([(0, 0, 0), (0, 0, 24), (0, 0, 36), (0, 0, 60)]), np.array([(0, 1), (2, 3)])
    )
    result = apls(truth, predicted, tolerance=3.0)
    # Of the 6 pairs only 0 - 20 and 40 - 60 are still joined.
    assert result.truth_paths.points == 4 and result.truth_paths.paths == 12
    assert result.truth_to_predicted == pytest.approx(2 / 6)
    assert result.predicted_to_truth == 1
    assert result.similarity == pytest.approx(2 * (1 / 3) / (4 / 3))
    assert result.arithmetic == pytest.approx(2 / 3)


def test_a_longer_way_costs_its_share() -> None:
    truth = chain((0, 0, 0), (0, 0, 40))
    detour = chain((0, 0, 0), (0, 0, 17), (0, 4, 20), (0, 0, 23), (0, 0, 40))
    result = apls(truth, detour, tolerance=5.0, interval=80.0)
    assert result.truth_paths.paths == 2  # from end to end and back: 40 µm, and 44 in the tracing
    assert result.truth_to_predicted == pytest.approx(0.9)
    assert result.predicted_to_truth == pytest.approx(1 - 4 / 44)


@pytest.mark.parametrize(("length", "inside"), [(14, 0), (15, 1), (20, 1), (21, 1), (41, 2)])
def test_points_along_a_chain(length: float, inside: int) -> None:
    graph = chain((0, 0, 0), (0, 0, 1), (0, 0, length))
    points = control_points(contract(graph), 20.0)
    split = split_at(graph, points.edges, points.fractions)
    x = np.sort(split.graph.positions[split.nodes, 2])
    np.testing.assert_allclose(x, np.linspace(0, length, inside + 2))


@given(seed=seeds)
def test_contraction_keeps_every_place(seed: int) -> None:
    graph = random_network(seed, extra=8)
    contracted = contract(graph)
    assert contracted.lengths.sum() == pytest.approx(graph.length)
    other = np.flatnonzero((graph.degrees > 0) & (graph.degrees != 2))
    assert set(other) <= set(contracted.nodes)
    rng = np.random.default_rng(seed)
    edges, fractions = rng.integers(0, len(graph.edges), 30), rng.random(30)
    ways = contracted.on_chains(edges, fractions)
    back, along = contracted.on_edges(contracted.chain[edges], ways)
    np.testing.assert_array_equal(back, edges)
    np.testing.assert_allclose(along, fractions, atol=1e-9)


@settings(max_examples=15)
@given(seed=seeds, tolerance=st.sampled_from([1.0, 5.0]))
def test_similarities_are_those_of_the_definition(seed: int, tolerance: float) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_network(seed), seed)
    result = apls(truth, predicted, tolerance=tolerance, interval=None, min_path=0.0)
    expected = slow_direction(truth, predicted, tolerance)
    assert result.truth_to_predicted == pytest.approx(expected, abs=1e-9)
    expected = slow_direction(predicted, truth, tolerance)
    assert result.predicted_to_truth == pytest.approx(expected, abs=1e-9)


@settings(max_examples=20)
@given(seed=seeds)
def test_a_tracing_like_the_truth_is_perfect(seed: int) -> None:
    graph = random_network(seed)
    for other in (graph, renumbered(graph, seed), split_edges(graph)):
        assert apls(graph, other, tolerance=0.5).similarity == pytest.approx(1, abs=1e-3)


@settings(max_examples=20)
@given(seed=seeds)
def test_moving_renumbering_scaling_and_cutting_edges_change_nothing(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_network(seed), seed)
    expected = apls(truth, predicted, tolerance=3.0, interval=10.0).as_dict()
    turn, shift = rotation(seed), np.array([100.0, -50, 7])
    moved = [NeuriteGraph(g.positions @ turn.T + shift, g.edges) for g in (truth, predicted)]
    shuffled = [renumbered(g, seed) for g in (truth, predicted)]
    cut = [split_edges(g) for g in (truth, predicted)]
    for pair in (moved, shuffled, cut):
        result = apls(*pair, tolerance=3.0, interval=10.0).as_dict()
        assert result == pytest.approx(expected, nan_ok=True, abs=1e-6)
    scaled = [NeuriteGraph(g.positions * 7, g.edges) for g in (truth, predicted)]
    result = apls(*scaled, tolerance=21.0, interval=70.0, min_path=70.0)
    assert result.similarity == pytest.approx(expected["apls"], abs=1e-6)


@settings(max_examples=20)
@given(seed=seeds)
def test_swapping_the_graphs_swaps_the_directions(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_network(seed), seed)
    one, two = (apls(*pair, tolerance=3.0) for pair in ((truth, predicted), (predicted, truth)))
    assert one.truth_to_predicted == two.predicted_to_truth
    assert one.predicted_to_truth == two.truth_to_predicted
    assert one.similarity == pytest.approx(two.similarity)


def test_each_direction_sees_its_own_errors() -> None:
    assert of_event("identical").similarity == 1
    for name in ("gap", "break of one edge", "missing branch", "ring cut"):
        assert of_event(name).truth_to_predicted < 0.95
    for name in ("bridge between trees", "bridge within a tree"):
        assert of_event(name).predicted_to_truth < 0.95
    assert of_event("bridge between trees").truth_to_predicted == 1
    assert of_event("gap").predicted_to_truth == 1
    assert of_event("ring").similarity == 1


def test_no_truth_is_undefined_and_no_tracing_is_the_worst() -> None:
    for predicted in (EMPTY, fork()):
        result = apls(EMPTY, predicted, tolerance=3)
        assert math.isnan(result.similarity) and math.isnan(result.arithmetic)
        assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["apls"] is None
        assert apls(EMPTY, predicted, tolerance=3, mode="cosmiq").similarity == 0
    assert apls(fork(), EMPTY, tolerance=3).similarity == 0
    dot = NeuriteGraph(np.zeros((1, 3)), np.zeros((0, 2)))
    assert apls(fork(), dot, tolerance=3).similarity == 0
    assert apls(ring(), ring(), tolerance=1, interval=5).similarity == 1


def test_the_published_program_compares_short_paths_from_points_that_are_lost() -> None:
    truth = chain((0, 0, 0), (0, 0, 8), (0, 0, 28))
    far = NeuriteGraph(truth.positions + (0, 0, 500), truth.edges)
    counts = [
        apls(truth, far, tolerance=3.0, interval=9.0, min_path=10.0, mode=mode).truth_paths.paths
        for mode in ("exact", "cosmiq")
    ]
    assert counts == [12, 20]  # points at 0, 7, 14, 21 and 28


def test_wrong_parameters_are_answered_in_one_line() -> None:
    with pytest.raises(ValueError, match="`interval` must be a positive number of µm"):
        apls(fork(), fork(), tolerance=1, interval=0)
    with pytest.raises(ValueError, match="`starts` must be at least 1"):
        apls(fork(), fork(), tolerance=1, starts=0)
    with pytest.raises(ValueError, match="`min_path` must be a finite number"):
        apls(fork(), fork(), tolerance=1, min_path=-1)


@needs_shared
def test_the_numbers_of_the_published_program_are_met() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "cosmiq_apls.json").read_text())["values"]
    compared = 0
    for case, runs in cases.items():
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        truth, predicted = golden_graph(pair["gt"]), golden_graph(pair["pred"])
        for run, expected in runs.items():
            parameters = re.match(r"delta(\d+)_snap(\d+)", run)
            if not parameters:
                continue
            interval, snap = map(float, parameters.groups())
            result = apls(truth, predicted, tolerance=snap, interval=interval, mode="cosmiq")
            found = result.similarity, result.truth_to_predicted, result.predicted_to_truth
            names = "apls", "gt_onto_prop", "prop_onto_gt"
            assert found == pytest.approx([expected[n] for n in names], abs=1e-9), (case, run)
            points = result.truth_paths.points, result.predicted_paths.points
            assert points == (expected["n_cp_gt"], expected["n_cp_prop"]), (case, run)
            compared += 1
    assert compared == 3 * 46


@needs_shared
def test_the_numbers_of_the_slow_program_are_met() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "oracle_definitions.json").read_text())["values"]
    for case, values in cases.items():
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        graphs = golden_graph(pair["gt"]), golden_graph(pair["pred"])
        for name, least in (("apls_nodes_tol4", 0.0), ("apls_nodes_tol4_min10", 10.0)):
            result = apls(*graphs, tolerance=4.0, interval=None, min_path=least)
            expected = [values[name][d] or 0.0 for d in ("gt_to_pred", "pred_to_gt", "harmonic")]
            found = result.truth_to_predicted, result.predicted_to_truth, result.similarity
            assert found == pytest.approx(expected, abs=1e-6), (case, name)
            assert result.truth_paths.paths == 2 * values[name]["n_pairs_gt"], (case, name)
            assert result.predicted_paths.paths == 2 * values[name]["n_pairs_pred"], (case, name)
    assert len(cases) == 92
