"""Where a tracing is wrong: the catalogue, planted errors, laws, goldens, files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, random_network, rotation, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import golden_graph, moved_a_little, renumbered
from tests.shared_files import needs_shared, shared
from topodelin.graphs import (
    NeuriteGraph,
    TracingErrors,
    centreline_quality,
    find_errors,
    joined,
    write_errors_apo,
    write_errors_csv,
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


def test_errors_are_written_as_a_table_and_as_markers(tmp_path: Path) -> None:
    event = EVENTS["spur"]
    found = find_errors(event.truth, event.predicted, tolerance=3.0)
    write_errors_csv(tmp_path / "errors.csv", found.errors, costs=[1.5])
    (row,) = csv.DictReader((tmp_path / "errors.csv").read_text().splitlines())
    assert row["kind"] == "spurious_branch" and row["rank"] == "1"
    assert row["cost_um"] == "1.500"
    with pytest.raises(ValueError, match="`costs` must hold one number for each of 1 errors"):
        write_errors_csv(tmp_path / "errors.csv", found.errors, costs=[1.0, 2.0])
    z, y, x = found.errors[0].position
    assert (float(row["z_um"]), float(row["y_um"]), float(row["x_um"])) == pytest.approx((z, y, x))
    write_errors_apo(tmp_path / "errors.apo", found.errors, spacing=(2.0, 2.0, 4.0))
    header, marker = (tmp_path / "errors.apo").read_text().splitlines()
    assert header.startswith("##n,orderinfo,name,comment,z,x,y,")
    fields = dict(zip(header.split(","), marker.split(","), strict=True))
    assert fields["name"] == "spurious_branch"
    assert float(fields["x"]) == pytest.approx(x / 4) and float(fields["y"]) == pytest.approx(y / 2)


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
