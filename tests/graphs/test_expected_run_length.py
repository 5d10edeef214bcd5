"""Expected run length: by hand, by law, by brute force and against reference numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, random_network, rotation, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import moved_a_little, renumbered, split_edges
from tests.shared_files import needs_shared, shared
from topodelin.graphs import (
    ExpectedRunLength,
    NeuriteGraph,
    expected_run_length,
    joined,
    labels_at_nodes,
    run_length_of_labels,
)


def of_event(name: str) -> ExpectedRunLength:
    event = EVENTS[name]
    return expected_run_length(event.truth, event.predicted, tolerance=TOLERANCE, step=0.01)


def two_lines() -> NeuriteGraph:
    """Nodes 0 to 10 and 11 to 15, 1 µm apart, on two lines 50 µm apart."""
    return joined([chain(*[(0, 0, x) for x in range(11)]), chain(*[(0, 50, x) for x in range(5)])])


def slow(graph: NeuriteGraph, labels: np.ndarray, nodes: int, length: float) -> tuple:
    """The definition, pair by pair: squared runs, merged labels."""
    on: dict[tuple[int, int], list[int]] = {}
    for node in np.flatnonzero(graph.degrees).tolist():
        if labels[node]:
            on.setdefault((int(graph.components[node]), int(labels[node])), []).append(node)
    run = {
        pair: sum(
            graph.lengths[i]
            for i, (a, b) in enumerate(graph.edges)
            if labels[a] == labels[b] == pair[1] and graph.components[a] == pair[0]
        )
        for pair in on
    }
    lies = [pair[1] for pair in on if len(on[pair]) > nodes and run[pair] >= length]
    merged = {label for label in lies if lies.count(label) > 1}
    return sum(run[pair] ** 2 for pair in on if pair[1] not in merged), len(merged)


def test_a_split_an_omission_and_a_merger_by_hand() -> None:
    labels = np.array([7, 7, 7, 7, 7, 0, 8, 8, 9, 9, 9, 9, 9, 5, 5])
    graph = joined([chain(*[(0, 0, x) for x in range(11)]), chain(*[(0, 9, x) for x in range(4)])])
    result = run_length_of_labels(graph, labels)
    assert (result.correct_edges, result.split_edges) == (6, 2)
    assert (result.merged_edges, result.omitted_edges) == (2 + 1, 2) and result.splits == 3
    assert result.mergers == 1
    assert result.squared_runs == 4**2 + 1**2 + 1**2
    assert result.expected_run_length == pytest.approx(18 / 13)
    assert result.best_run_length == pytest.approx((100 + 9) / 13)
    assert result.normalised == pytest.approx(18 / 109)
    assert result.edge_accuracy == pytest.approx(6 / 13)


def test_a_stray_node_voids_two_neurites_unless_it_takes_more() -> None:
    labels = np.array([3] * 11 + [3] + [4] * 4)
    assert run_length_of_labels(two_lines(), labels).squared_runs == 9
    assert run_length_of_labels(two_lines(), labels, merge_nodes=1).squared_runs == 100 + 9
    assert run_length_of_labels(two_lines(), labels, merge_length=1.0).squared_runs == 100 + 9


def test_what_is_cut_off_along_the_truth_counts_together_unless_it_must_be_contiguous() -> None:
    labels = np.array([3, 3, 3, 0, 3, 3, 3, 3, 3, 3, 3] + [4] * 5)
    assert run_length_of_labels(two_lines(), labels).squared_runs == 8**2 + 16
    parted = run_length_of_labels(two_lines(), labels, contiguous=True)
    assert parted.squared_runs == 2**2 + 6**2 + 16


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("identical", [140]),
        ("break of one edge", [26, 114]),  # in the middle of an edge of 4 µm,
        ("gap", [4 * 4 + 3, 100 + 3]),  # 3 µm of the gap are within reach of either end
        ("missing branch", [103]),
        ("branch cut off", [103, 4 + 24 + 3]),
        ("spur", [140]),
        ("bridge within a tree", [140]),
        ("bridge between trees", []),
        ("one tree missing", [84]),
    ],
)
def test_runs_of_the_catalogue(name: str, runs: list[float]) -> None:
    assert of_event(name).squared_runs == pytest.approx(sum(r**2 for r in runs), rel=2e-3)


def test_a_neurite_that_only_crosses_another_is_no_merger() -> None:
    lines = [chain((0, 0, -50), (0, 0, 50)), chain((0, -50, 0), (0, 50, 0))]
    only_one = expected_run_length(joined(lines), lines[0], tolerance=3.0)
    assert only_one.mergers == 0
    assert only_one.squared_runs == pytest.approx(100**2 + 6**2, rel=0.05)
    strict = expected_run_length(joined(lines), lines[0], tolerance=3.0, merge_length=1.0)
    assert strict.mergers == 1 and strict.normalised == 0


def test_no_truth_is_undefined_and_no_tracing_is_the_worst() -> None:
    for predicted in (EMPTY, fork()):
        result = expected_run_length(EMPTY, predicted, tolerance=3)
        assert math.isnan(result.normalised) and math.isnan(result.expected_run_length)
        assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["edge_accuracy"] is None
    nothing = expected_run_length(fork(), EMPTY, tolerance=3)
    assert nothing.normalised == nothing.expected_run_length == nothing.edge_accuracy == 0
    dot = NeuriteGraph(np.zeros((1, 3)), np.zeros((0, 2)))
    assert expected_run_length(fork(), dot, tolerance=3).normalised == 0
    assert math.isnan(expected_run_length(dot, fork(), tolerance=3).normalised)


@given(seed=seeds, nodes=st.integers(0, 3), length=st.sampled_from([0.0, 6.0]))
def test_sums_are_those_of_the_definition(seed: int, nodes: int, length: float) -> None:
    graph = random_network(seed, count=30)
    labels = np.random.default_rng(seed).integers(0, 4, len(graph)) * (graph.components + 1)
    result = run_length_of_labels(graph, labels, merge_nodes=nodes, merge_length=length)
    squared, mergers = slow(graph, labels, nodes, length)
    assert result.squared_runs == pytest.approx(squared)
    assert result.mergers == mergers
    assert result.truth_length == pytest.approx(graph.length)
    contiguous = run_length_of_labels(
        graph, labels, merge_nodes=nodes, merge_length=length, contiguous=True
    )
    assert contiguous.squared_runs <= result.squared_runs + 1e-9


@settings(max_examples=20)
@given(seed=seeds)
def test_a_tracing_like_the_truth_gets_the_best(seed: int) -> None:
    graph = random_network(seed)
    result = expected_run_length(graph, graph, tolerance=0.01, step=2.0, merge_length=1e9)
    assert result.omitted_edges == 0
    own = run_length_of_labels(graph, graph.components + 1)
    assert own.normalised == pytest.approx(1)
    assert own.expected_run_length == pytest.approx(own.best_run_length)


@settings(max_examples=20)
@given(seed=seeds)
def test_renumbering_and_moving_both_change_nothing(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_network(seed), seed)
    expected = expected_run_length(truth, predicted, tolerance=2.0)
    turn, shift = rotation(seed), np.array([100.0, -50, 7])
    moved = [NeuriteGraph(g.positions @ turn.T + shift, g.edges) for g in (truth, predicted)]
    shuffled = [renumbered(g, seed) for g in (truth, predicted)]
    for pair in (moved, shuffled):
        result = expected_run_length(*pair, tolerance=2.0)
        assert result.squared_runs == pytest.approx(expected.squared_runs)
        assert result.omitted_um == pytest.approx(expected.omitted_um)
    scaled = [NeuriteGraph(3 * g.positions, g.edges) for g in (truth, predicted)]
    result = expected_run_length(*scaled, tolerance=6.0)
    assert result.expected_run_length == pytest.approx(3 * expected.expected_run_length)


@settings(max_examples=10)
@given(seed=seeds)
def test_cutting_edges_changes_nothing(seed: int) -> None:
    truth, predicted = random_forest(seed), moved_a_little(random_forest(seed), seed)
    whole = expected_run_length(truth, predicted, tolerance=2.0, step=0.02)
    cut = expected_run_length(split_edges(truth), split_edges(predicted), tolerance=2.0, step=0.02)
    assert cut.expected_run_length == pytest.approx(whole.expected_run_length, rel=1e-2)


def test_a_longer_gap_never_helps() -> None:
    truth = chain(*[(0, 0, x) for x in range(101)])
    scores = [
        expected_run_length(
            truth,
            NeuriteGraph(truth.positions, np.delete(truth.edges, np.arange(30, 30 + k), axis=0)),
            tolerance=2.0,
        ).normalised
        for k in (0, 1, 2, 5, 10, 30)
    ]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) >= 5


def test_labels_are_read_from_the_voxel_of_each_node() -> None:
    volume = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    graph = chain((0, 0, 0), (5.0, 2.9, 2.0), (5.0, 4.2, 9.0), (90, 0, 0))
    labels = labels_at_nodes(graph, volume, spacing=(5.0, 2.0, 3.0))
    np.testing.assert_array_equal(labels, [volume[0, 0, 0], volume[1, 1, 1], volume[1, 2, 3], 0])
    shifted = labels_at_nodes(graph, volume, spacing=(5, 2, 3), origin=(0, 0, 3.0))
    np.testing.assert_array_equal(shifted, [0, volume[1, 1, 0], volume[1, 2, 2], 0])


def test_wrong_input_is_answered_in_one_line() -> None:
    with pytest.raises(ValueError, match="`tolerance` must be a positive number of µm"):
        expected_run_length(fork(), fork(), tolerance=0)
    with pytest.raises(ValueError, match="`merge_length` must be a finite number from 0 up"):
        expected_run_length(fork(), fork(), tolerance=1, merge_length=-1)
    with pytest.raises(ValueError, match="one integer for each of 5 nodes, got float64"):
        run_length_of_labels(fork(), np.zeros(5))
    with pytest.raises(ValueError, match="`volume` must hold integers"):
        labels_at_nodes(fork(), np.zeros((2, 2, 2)), spacing=(1, 1, 1))


@needs_shared
def test_reference_numbers_are_met() -> None:
    folder = shared("goldens", "metrics")
    record = json.loads((folder / "labels" / "erl_skeletons.json").read_text())
    graph = NeuriteGraph(np.array(record["nodes"])[:, ::-1], np.array(record["edges"]))
    volumes = np.load(folder / "labels" / "erl_volumes.npz")
    cases = json.loads((folder / "expected" / "erl.json").read_text())["values"]
    for name, tools in cases.items():
        labels = labels_at_nodes(graph, volumes[name], spacing=(1, 1, 1))
        for threshold in (0, 5):
            result = run_length_of_labels(graph, labels, merge_nodes=threshold)
            expected = tools["em_erl"][f"merge_threshold_{threshold}"]
            assert result.expected_run_length == pytest.approx(expected["erl"], abs=1e-6), name
            assert result.normalised == pytest.approx(expected["nerl"], abs=1e-6), name
            assert result.best_run_length == pytest.approx(expected["gt_erl"], abs=1e-6), name
        result = run_length_of_labels(graph, labels)
        edges = tools["funlib"]["edges"].values()
        assert result.correct_edges == sum(tree["correct"] for tree in edges), name
        assert result.split_edges == sum(tree["split"] for tree in edges), name
        assert result.merged_edges == sum(tree["merged"] for tree in edges), name
        assert result.omitted_edges == sum(tree["omitted"] for tree in edges), name
    assert len(cases) == 11
