"""Where a tracing is wrong: the catalogue, planted errors, laws, goldens."""

import json

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
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import golden_graph, moved_a_little, renumbered
from tests.shared_files import needs_shared, shared
from topodelin.graphs import (
    NeuriteGraph,
    TracingErrors,
    centreline_quality,
    find_errors,
    joined,
    resample,
)

# Kind, place (y, x) and length of every error, µm. A gap of n characters is 4 (n + 1) µm long, and
# 3 µm at either end are within the tolerance.
EXPECTED = {
    "identical": [],
    "break of one edge": [("gap", (0, 26), 0)],
    "gap": [("gap", (0, 28), 18)],
    "longer gap": [("gap", (0, 28), 34)],
    "two gaps": [("gap", (0, 28), 18), ("gap", (0, 76), 18)],
    "missing branch": [("missing_branch", (16, 60), 40 - 3)],
    "branch cut off": [("gap", (6, 52), 6)],
    "short end": [("missing_branch", (0, 90), 24 - 3)],
    "spur": [("spurious_branch", (6, 76), 5)],
    "island": [("spurious_branch", (24, 22), 20)],
    "detour": [("displaced", (0, 24), 34)],
    "bridge within a tree": [("bridge", (8, 72), 10)],
    "bridge between trees": [("bridge", (10, 40), 14)],
    "one tree missing": [("missing_branch", (20, 42), 84)],
    "ring": [],
    "ring cut": [("gap", (16, 40), 18)],
    "ring cut at one edge": [("gap", (16, 38), 0)],
    "nothing": [("missing_branch", (4, 52), 140)],
}


def places(errors: TracingErrors) -> list[tuple[str, float]]:
    return [(error.kind, round(error.length, 6)) for error in errors.errors]


def without(graph: NeuriteGraph, *edges: int) -> NeuriteGraph:
    return NeuriteGraph(graph.positions, np.delete(graph.edges, edges, axis=0))


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_of_the_catalogue_is_named_and_placed(name: str) -> None:
    event = EVENTS[name]
    found = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).errors
    assert [error.kind for error in found] == [kind for kind, _, _ in EXPECTED[name]]
    for error, (_, place, length) in zip(found, EXPECTED[name], strict=True):
        assert error.length == pytest.approx(length, abs=0.4)
        np.testing.assert_allclose(error.position, (0, *place), atol=1.5)


@pytest.mark.parametrize("name", EVENTS)
def test_swapping_the_graphs_turns_missing_into_superfluous(name: str) -> None:
    event = EVENTS[name]
    swap = {"gap": "bridge", "bridge": "gap"}
    swap |= {"missing_branch": "spurious_branch", "spurious_branch": "missing_branch"}
    there = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).counts
    back = find_errors(event.predicted, event.truth, tolerance=TOLERANCE).counts
    assert {kind: back[swap.get(kind, kind)] for kind in there} == pytest.approx(there)


def test_two_neurites_that_cross_are_no_error_whichever_is_nearer() -> None:
    truth = joined([chain((0, 0, -60), (0, 0, 60)), chain((1, -60, 0), (1, 60, 0))])
    swerve = chain((0.6, 0, -60), (0.6, 0, 60)), chain((0.4, -60, 0), (0.4, 60, 0))
    assert find_errors(truth, joined(swerve), tolerance=3.0).errors == ()


def test_a_join_at_a_crossing_is_one_bridge() -> None:
    truth = joined([chain((0, 0, -60), (0, 0, 60)), chain((2, -60, 0), (2, 60, 0))])
    arms = [(0, 0, -60), (0, 0, 60), (1, -60, 0), (1, 60, 0), (1, 0, 0)]
    cross = NeuriteGraph(np.array(arms), np.array([(0, 4), (1, 4), (2, 4), (3, 4)]))
    found = find_errors(truth, cross, tolerance=3.0)
    assert found.counts["bridge"] == 1 and len(found.errors) == 1
    np.testing.assert_allclose(found.errors[0].position, (1, 0, 0), atol=3)


def test_branches_side_by_side_are_no_gap_however_the_nearest_one_changes() -> None:
    # The branch leaves the trunk at an acute angle, and the tracing wobbles about both.
    x = np.arange(0.0, 61.0)
    trunk, branch = [(0, 0, v) for v in x], [(0, 0.05 * v, v) for v in x[1:]]
    edges = [(i, i + 1) for i in range(60)] + [(0, 61)] + [(i, i + 1) for i in range(61, 120)]
    truth = NeuriteGraph(np.array(trunk + branch), np.array(edges))
    for seed in range(10):
        wobbly = moved_a_little(truth, seed, by=0.3)
        assert find_errors(truth, wobbly, tolerance=3.0).errors == ()


def test_a_stretch_beside_the_truth_is_displaced_and_told_once() -> None:
    truth = chain((0, 0, 0), (0, 0, 100))
    bow = chain((0, 0, 0), (0, 0, 30), (0, 6, 40), (0, 6, 60), (0, 0, 70), (0, 0, 100))
    (error,) = find_errors(truth, bow, tolerance=3.0).errors
    assert error.kind == "displaced" and 25 < error.length < 33
    np.testing.assert_allclose(error.position, (0, 0, 50), atol=1)
    assert find_errors(truth, bow, tolerance=7.0).errors == ()


def test_a_doubled_neurite_is_superfluous_and_not_displaced() -> None:
    truth = chain((0, 0, 0), (0, 0, 100))
    twice = joined([truth, chain((0, 6, 0), (0, 6, 100))])
    (error,) = find_errors(truth, twice, tolerance=3.0).errors
    assert error.kind == "spurious_branch" and error.length == pytest.approx(100)


RINGS = st.floats(1.5, 12.0)


def lollipop(radius: float, *cut: int) -> NeuriteGraph:
    """A stem of 40 µm with a ring of 24 edges at its end."""
    loop = ring(24, radius)
    around = loop.positions[:, ::1] * (1, 1, -1) + (0, 0, 40 + radius)
    edges = np.delete(loop.edges, cut, axis=0) + 1
    return NeuriteGraph(np.vstack([[0, 0, 0], around]), np.vstack([[(0, 1)], edges]))


@settings(max_examples=15)
@given(radius=RINGS, cut=st.integers(4, 19), seed=seeds)
def test_a_ring_cut_at_one_edge_is_a_gap_there_however_small(
    radius: float, cut: int, seed: int
) -> None:
    truth, broken = lollipop(radius), moved_a_little(lollipop(radius, cut), seed, by=0.03 * radius)
    (error,) = find_errors(truth, broken, tolerance=3.0).errors
    middle = truth.positions[truth.edges[cut + 1]].mean(axis=0)
    assert error.kind == "gap" and error.length == 0 and error.cable == 0
    np.testing.assert_allclose(error.position, middle, atol=0.3 * radius)
    (error,) = find_errors(broken, truth, tolerance=3.0).errors
    assert error.kind == "bridge" and error.cable == 0
    np.testing.assert_allclose(error.position, middle, atol=0.3 * radius)
    same = moved_a_little(truth, seed, by=0.03 * radius)
    assert find_errors(truth, same, tolerance=3.0).errors == ()


def test_a_neurite_drawn_twice_within_the_tolerance_is_a_loop_and_one_bridge() -> None:
    line = chain((0, 0, 0), (0, 0, 100))
    points = [(0, 20), (2, 25), (2, 75), (0, 80), (-2, 25), (-2, 75), (0, 0), (0, 100)]
    edges = [(6, 0), (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 3)]
    twice = NeuriteGraph(np.array([(0, y, x) for y, x in points]), np.array(edges))
    (error,) = find_errors(line, twice, tolerance=3.0).errors
    assert error.kind == "bridge" and 20 < error.position[2] < 80
    (error,) = find_errors(twice, line, tolerance=3.0).errors
    assert error.kind == "gap"


def test_a_fragment_with_a_false_branch_is_cut_off_by_two_gaps() -> None:
    # What is left between two cuts is shorter than the spur on it, and nothing else lies there.
    truth = chain(*[(0, 0, 3 * x) for x in range(26)])
    kept = np.delete(truth.edges, [10, 13], axis=0)
    spur = [(0, 6 * k, 33) for k in range(1, 5)]
    edges = np.vstack([kept, [(11, 26), (26, 27), (27, 28), (28, 29)]])
    predicted = NeuriteGraph(np.vstack([truth.positions, spur]), edges)
    found = find_errors(truth, predicted, tolerance=3.0)
    assert found.counts["gap"] == 2 and found.counts["spurious_branch"] == 1


def test_a_gap_tells_the_cable_on_either_side_and_a_bridge_what_it_joins() -> None:
    event = EVENTS["gap"]
    (error,) = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).errors
    # 16 µm and a tolerance before the gap; behind it 4 + 48 along, and the branch of 40.
    assert error.parts == pytest.approx((12 + 48 + 40 + 3, 16 + 3), abs=0.8)
    assert error.cable == error.parts[1]
    event = EVENTS["bridge between trees"]
    (error,) = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).errors
    assert error.parts == pytest.approx((84 + 3, 84 + 3), abs=0.8)
    assert error.cable == error.parts[1]
    event = EVENTS["ring cut"]
    (error,) = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).errors
    assert len(error.parts) == 1 and error.cable == 0  # the rest of the ring holds it
    event = EVENTS["missing branch"]
    (error,) = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).errors
    assert error.cable == error.length and error.parts == pytest.approx((100 + 3,), abs=0.8)
    event = EVENTS["island"]
    (error,) = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).errors
    assert error.cable == error.length == 20 and error.parts == ()


def test_an_error_by_name_is_ready_for_json() -> None:
    event = EVENTS["gap"]
    (error,) = find_errors(event.truth, event.predicted, tolerance=TOLERANCE).errors
    record = json.loads(json.dumps(error.as_dict(), allow_nan=False))
    assert record["kind"] == "gap" and record["position_um"] == list(error.position)
    assert record["parts_um"] == list(error.parts) and record["cable_um"] == error.cable
    assert record["length_um"] == error.length and len(record["ends_um"]) == 2


@settings(max_examples=15)
@given(seed=seeds)
def test_networks_moved_within_the_tolerance_have_no_error(seed: int) -> None:
    graph = resample(random_network(seed, 20, 2), 2.0)
    assert find_errors(graph, moved_a_little(graph, seed, by=0.02), tolerance=2.0).errors == ()


@settings(max_examples=30)
@given(seed=seeds)
def test_every_edge_cut_from_a_tree_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal((0, 0, 4), 1.0, (60, 3)), axis=0)
    truth = chain(*walk)
    cuts = rng.choice(np.arange(1, 11), 3, replace=False) * 5
    found = find_errors(truth, without(truth, *cuts.tolist()), tolerance=3.0)
    assert found.counts == {**dict.fromkeys(found.counts, 0), "gap": 3}
    middles = truth.positions[truth.edges[cuts]].mean(axis=1)
    for error in found.errors:
        assert np.linalg.norm(middles - error.position, axis=1).min() < 3


@settings(max_examples=20)
@given(seed=seeds)
def test_a_tracing_like_the_truth_has_no_error(seed: int) -> None:
    graph = random_network(seed)
    assert find_errors(graph, graph, tolerance=2.0).errors == ()
    assert find_errors(graph, renumbered(graph, seed), tolerance=2.0).errors == ()


@settings(max_examples=20)
@given(seed=seeds)
def test_moving_and_renumbering_both_graphs_change_nothing(seed: int) -> None:
    truth = random_forest(seed)
    predicted = without(moved_a_little(truth, seed, by=0.3), 3, 11, 20)
    expected = find_errors(truth, predicted, tolerance=2.0)
    turn, shift = rotation(seed), np.array([100.0, -50, 7])
    moved = [NeuriteGraph(g.positions @ turn.T + shift, g.edges) for g in (truth, predicted)]
    found = find_errors(*moved, tolerance=2.0)
    assert found.counts == expected.counts
    assert list(found.lengths.values()) == pytest.approx(list(expected.lengths.values()))
    shuffled = [renumbered(g, seed) for g in (truth, predicted)]
    found = find_errors(*shuffled, tolerance=2.0)
    assert list(found.lengths.values()) == pytest.approx(list(expected.lengths.values()))


@pytest.mark.parametrize("seed", [22, 24, 31])
def test_flat_loops_that_noise_shifts_into_each_other_are_no_error(seed: int) -> None:
    graph = random_network(seed, 40, 6)
    noisy = moved_a_little(renumbered(graph, seed), seed, by=0.3)
    assert find_errors(graph, noisy, tolerance=2.0).errors == ()


def test_what_only_passes_by_is_no_error_of_no_length() -> None:
    # The end of a branch that is false passes within the tolerance of a neurite drawn well.
    truth = joined([chain((0, 0, 0), (0, 0, 100)), chain((0, 40, 0), (0, 40, 100))])
    spur = chain((0, 40, 50), (0, 2, 50), (0, 2, 54))
    predicted = joined([truth, spur])
    for min_length in (0.0, 3.0):
        found = find_errors(truth, predicted, tolerance=3.0, min_length=min_length)
        assert [error.kind for error in found.errors] == ["spurious_branch"]
    beside = joined([truth, chain((0, 1, 20), (0, 1, 26))])
    assert find_errors(truth, beside, tolerance=3.0, min_length=0.0).errors == ()


def test_all_unmatched_cable_is_told_when_nothing_is_passed_over() -> None:
    event = EVENTS["gap"]
    found = find_errors(event.truth, event.predicted, tolerance=3.0, step=0.05, min_length=0.0)
    quality = centreline_quality(event.truth, event.predicted, tolerance=3.0, step=0.05)
    assert sum(found.lengths.values()) == pytest.approx(quality.missed.length, abs=0.2)


def test_empty_graphs_never_raise() -> None:
    dot = NeuriteGraph(np.zeros((1, 3)), np.zeros((0, 2)))
    for nothing in (EMPTY, dot):
        assert find_errors(nothing, nothing, tolerance=3).errors == ()
        assert places(find_errors(fork(), nothing, tolerance=3)) == [("missing_branch", 40)]
        found = find_errors(nothing, fork(), tolerance=3)
        assert places(found) == [("spurious_branch", 40)]
        assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["gap_per_mm"] is None


def test_counts_are_given_for_each_mm_of_truth() -> None:
    event = EVENTS["two gaps"]
    found = find_errors(event.truth, event.predicted, tolerance=3.0)
    assert found.per_mm["gap"] == pytest.approx(2 / 0.140)
    assert found.as_dict()["gap_count"] == found.count("gap") == 2


def test_parameters_must_be_positive() -> None:
    with pytest.raises(ValueError, match="`tolerance` must be a positive number of µm"):
        find_errors(fork(), fork(), tolerance=-1)


@needs_shared
def test_the_planted_errors_of_all_reference_pairs_are_found() -> None:
    folder = shared("goldens", "metrics")
    planted = {
        "tiny_gap": {"gap": 1},
        "gap": {"gap": 1},
        "gaps3": {"gap": 3},
        "missing_branch": {"missing_branch": 1},
        "spurious_branch": {"spurious_branch": 1},
        "false_bridge": {"bridge": 1},
        "cycle_broken": {"gap": 1},
        "combo": {"gap": 1, "missing_branch": 1, "spurious_branch": 1},
    } | {name: {} for name in ("identical", "relabelled", "densified", "jitter", "shift2")}
    seen = 0
    for case in json.loads((folder / "graphs" / "index.json").read_text()):
        kinds = planted.get(case.split("/")[1])
        if kinds is None:
            continue
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        found = find_errors(golden_graph(pair["gt"]), golden_graph(pair["pred"]), tolerance=3.0)
        assert {kind: n for kind, n in found.counts.items() if n} == kinds, case
        seen += 1
    assert seen == 74
