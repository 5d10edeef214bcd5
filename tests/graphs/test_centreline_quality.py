"""Completeness, correctness and quality: by hand, by law, by brute force, by reference numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import (
    EMPTY,
    chain,
    fork,
    random_forest,
    random_network,
    ring,
    rotation,
    seeds,
)
from tests.graphs.test_nearest import slow_distances
from tests.shared_files import needs_shared, shared
from topodelin.graphs import CentrelineQuality, NeuriteGraph, centreline_quality, resample


def moved_a_little(graph: NeuriteGraph, seed: int, by: float = 2.0) -> NeuriteGraph:
    noise = np.random.default_rng(seed).normal(0, by, (len(graph), 3))
    return NeuriteGraph(graph.positions + noise, graph.edges)


def numbers(result: CentrelineQuality) -> tuple[float, float, float]:
    return result.completeness, result.correctness, result.quality


def slow_matched(graph: NeuriteGraph, other: NeuriteGraph, tolerance: float, step: float) -> float:
    """The definition, piece by piece and edge by edge."""
    matched = 0.0
    for (a, b), length in zip(graph.positions[graph.edges], graph.lengths, strict=True):
        pieces = max(1, math.ceil(length / step - 1e-9))
        middles = a + ((np.arange(pieces) + 0.5) / pieces)[:, None] * (b - a)
        near = slow_distances(middles, other).min(axis=1) <= tolerance + 1e-9
        matched += length * near.mean()
    return matched


def test_a_neurite_half_found_with_a_false_branch() -> None:
    # Truth: 100 µm along x. Predicted: its first 60 µm, and 20 µm straight away from there.
    truth = chain((0, 0, 0), (0, 0, 100))
    predicted = chain((0, 0, 0), (0, 0, 60), (0, 20, 60))
    result = centreline_quality(truth, predicted, tolerance=2.0, step=0.01)
    assert result.truth_length == 100 and result.predicted_length == 80
    assert result.matched_truth == pytest.approx(62, abs=0.01)  # 2 µm beyond the end still match
    assert result.matched_predicted == pytest.approx(62, abs=0.01)
    assert result.completeness == pytest.approx(0.62, abs=1e-4)
    assert result.correctness == pytest.approx(62 / 80, abs=2e-4)
    c, k = 0.62, 62 / 80
    assert result.quality == pytest.approx(c * k / (c + k - c * k), abs=1e-3)
    np.testing.assert_allclose(result.missed.positions[:, 2].min(), 62, atol=0.01)
    np.testing.assert_allclose(result.false.positions[:, 1].min(), 2, atol=0.01)


def test_a_point_at_exactly_the_tolerance_matches() -> None:
    truth, beside = chain((0, 0, 0), (0, 0, 10)), chain((0, 3, 0), (0, 3, 10))
    assert numbers(centreline_quality(truth, beside, tolerance=3.0)) == (1, 1, 1)
    assert numbers(centreline_quality(truth, beside, tolerance=2.999)) == (0, 0, 0)


def test_unmatched_stretches_stay_in_one_piece_across_nodes_and_junctions() -> None:
    result = centreline_quality(fork(), chain((0, 0, -20), (0, 0, 2)), tolerance=3.0)
    missed = result.missed
    assert len(np.unique(missed.components)) == 1
    assert (missed.degrees == 3).sum() == 1
    assert missed.length == pytest.approx(result.truth_length - result.matched_truth)
    assert missed.length == pytest.approx(35, abs=0.3)
    assert len(missed) == 5


def test_a_gap_is_one_missed_stretch() -> None:
    truth = chain(*[(0, 0, i) for i in range(41)])
    predicted = NeuriteGraph(truth.positions, np.delete(truth.edges, np.arange(15, 25), axis=0))
    missed = centreline_quality(truth, predicted, tolerance=2.0).missed
    assert len(np.unique(missed.components)) == 1
    assert missed.length == pytest.approx(10 - 2 * 2, abs=0.2)


def test_no_truth_is_undefined_and_no_prediction_is_the_worst() -> None:
    assert all(math.isnan(v) for v in numbers(centreline_quality(EMPTY, fork(), tolerance=3)))
    assert all(math.isnan(v) for v in numbers(centreline_quality(EMPTY, EMPTY, tolerance=3)))
    nothing = centreline_quality(fork(), EMPTY, tolerance=3)
    assert numbers(nothing) == (0, 0, 0)
    assert nothing.missed.length == pytest.approx(40)
    dot = NeuriteGraph(np.zeros((1, 3)), np.zeros((0, 2)))
    assert numbers(centreline_quality(fork(), dot, tolerance=3)) == (0, 0, 0)
    point = NeuriteGraph(np.zeros((2, 3)), np.array([(0, 1)]))
    assert numbers(centreline_quality(fork(), point, tolerance=3))[1:] == (0, 0)
    assert all(math.isnan(v) for v in numbers(centreline_quality(point, fork(), tolerance=3)))


@given(seed=seeds, tolerance=st.sampled_from([0.3, 3.0, 30.0]))
def test_a_graph_matches_itself_completely(seed: int, tolerance: float) -> None:
    graph = random_network(seed)
    result = centreline_quality(graph, graph, tolerance=tolerance)
    assert numbers(result) == (1, 1, 1)
    assert len(result.missed) == len(result.false) == 0


@settings(max_examples=20)
@given(
    seed=seeds, tolerance=st.sampled_from([0.5, 2.0, 6.0]), step=st.sampled_from([0.2, 1.0, 7.0])
)
def test_lengths_are_those_of_the_definition(seed: int, tolerance: float, step: float) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_forest(seed + 7), seed)
    result = centreline_quality(truth, predicted, tolerance=tolerance, step=step)
    assert result.matched_truth == pytest.approx(slow_matched(truth, predicted, tolerance, step))
    assert result.matched_predicted == pytest.approx(
        slow_matched(predicted, truth, tolerance, step)
    )
    assert result.missed.length == pytest.approx(result.truth_length - result.matched_truth)
    assert result.false.length == pytest.approx(result.predicted_length - result.matched_predicted)


@settings(max_examples=20)
@given(seed=seeds)
def test_moving_both_graphs_together_and_renumbering_change_nothing(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_network(seed), seed)
    expected = numbers(centreline_quality(truth, predicted, tolerance=2.0))
    turn, shift = rotation(seed), np.array([100.0, -50, 7])
    moved = [NeuriteGraph(g.positions @ turn.T + shift, g.edges) for g in (truth, predicted)]
    assert numbers(centreline_quality(*moved, tolerance=2.0)) == pytest.approx(expected)
    shuffled = [renumbered(g, seed) for g in (truth, predicted)]
    assert numbers(centreline_quality(*shuffled, tolerance=2.0)) == pytest.approx(expected)


def renumbered(graph: NeuriteGraph, seed: int) -> NeuriteGraph:
    """The same graph with nodes and edges in another order and edges turned round."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(graph))
    edges = np.argsort(order)[graph.edges][rng.permutation(len(graph.edges))]
    flip = rng.random(len(edges)) < 0.5
    edges[flip] = edges[flip, ::-1]
    return NeuriteGraph(graph.positions[order], edges)


@settings(max_examples=20)
@given(seed=seeds)
def test_cutting_edges_changes_nothing(seed: int) -> None:
    truth, predicted = random_forest(seed), moved_a_little(random_forest(seed), seed)
    expected = centreline_quality(truth, predicted, tolerance=2.0, step=0.01)
    cut = [split_edges(g) for g in (truth, predicted)]
    result = centreline_quality(*cut, tolerance=2.0, step=0.01)
    assert numbers(result) == pytest.approx(numbers(expected), abs=2e-3)


def split_edges(graph: NeuriteGraph) -> NeuriteGraph:
    """Each edge cut in three unequal parts."""
    (a, b), count = graph.edges.T, len(graph.edges)
    start, end = graph.positions[a], graph.positions[b]
    one, two = len(graph) + np.arange(count), len(graph) + count + np.arange(count)
    positions = [graph.positions, 0.8 * start + 0.2 * end, 0.3 * start + 0.7 * end]
    edges = [np.stack(pair, axis=1) for pair in ((a, one), (one, two), (two, b))]
    return NeuriteGraph(np.concatenate(positions), np.concatenate(edges))


@given(seed=seeds)
def test_swapping_the_graphs_swaps_completeness_and_correctness(seed: int) -> None:
    truth, predicted = random_network(seed), random_forest(seed + 3)
    one = centreline_quality(truth, predicted, tolerance=2.0)
    two = centreline_quality(predicted, truth, tolerance=2.0)
    assert one.completeness == two.correctness and one.correctness == two.completeness
    assert one.quality == pytest.approx(two.quality)
    assert one.missed.length == two.false.length


@settings(max_examples=20)
@given(seed=seeds)
def test_a_wider_tolerance_never_matches_less(seed: int) -> None:
    truth, predicted = random_network(seed), random_forest(seed + 3)
    qualities = [
        centreline_quality(truth, predicted, tolerance=t, step=0.1).quality for t in (1, 2, 4, 8)
    ]
    assert qualities == sorted(qualities)


def test_resampling_the_prediction_barely_matters() -> None:
    result = centreline_quality(ring(), resample(ring(), 0.5), tolerance=1.0)
    assert numbers(result) == (1, 1, 1)


def test_networkx_graphs_are_compared_too() -> None:
    truth, predicted = fork().to_networkx(), chain((0, 0, 0), (0, 0, 20)).to_networkx()
    result = centreline_quality(truth, predicted, tolerance=3.0)
    assert result.correctness == 1
    assert result.completeness == pytest.approx(23 / 40, abs=0.01)


@pytest.mark.parametrize("options", [{"tolerance": 0}, {"tolerance": 1, "step": -1}])
def test_tolerance_and_step_must_be_positive(options: dict) -> None:
    with pytest.raises(ValueError, match="must be a positive number of µm"):
        centreline_quality(fork(), fork(), **options)


def test_the_numbers_of_an_undefined_result_are_valid_json() -> None:
    result = centreline_quality(EMPTY, fork(), tolerance=3)
    read_back = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert read_back["quality"] is None
    assert read_back["false_um"] == pytest.approx(40)
    assert "quality       nan" in result.table()


def golden_graph(record: dict) -> NeuriteGraph:
    if not record["nodes"]:
        return EMPTY
    nodes = np.array(record["nodes"], dtype=np.float64)
    nodes = np.pad(nodes, ((0, 0), (3 - nodes.shape[1], 0)))
    return NeuriteGraph(nodes, np.array(record["edges"], dtype=np.int64))


@needs_shared
def test_reference_numbers_of_all_pairs_are_met() -> None:
    folder = shared("goldens", "metrics")
    expected = json.loads((folder / "expected" / "oracle_definitions.json").read_text())["values"]
    compared = 0
    for case, values in expected.items():
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        truth, predicted = golden_graph(pair["gt"]), golden_graph(pair["pred"])
        for tolerance in (1, 3):
            result = centreline_quality(truth, predicted, tolerance=tolerance)
            oracle = values[f"ccq_tol{tolerance}"]
            for name in ("completeness", "correctness", "quality"):
                reference = 0.0 if oracle[name] is None else oracle[name]
                assert getattr(result, name) == pytest.approx(reference, abs=2e-3), (case, name)
                compared += 1
    assert compared == 6 * 92
