"""Too long, too short, infeasible: by hand, by law, against the slow program."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, random_network, rotation, seeds
from tests.graphs.events import EVENTS, TOLERANCE
from tests.graphs.test_centreline_quality import golden_graph, moved_a_little, renumbered
from tests.shared_files import needs_shared, shared
from topodelin.graphs import NeuriteGraph, PathLengthAgreement, PathShares, tlts


def of_event(name: str) -> PathLengthAgreement:
    return tlts(EVENTS[name].truth, EVENTS[name].predicted, tolerance=TOLERANCE)


def test_a_gap_makes_the_paths_across_it_infeasible() -> None:
    predicted = NeuriteGraph(
        np.array([(0, 0, 0), (0, 0, 24), (0, 0, 36), (0, 0, 60)]), np.array([(0, 1), (2, 3)])
    )
    result = tlts(chain((0, 0, 0), (0, 0, 60)), predicted, tolerance=3.0)
    assert result.truth_paths == PathShares(
        correct=4, too_long=0, too_short=0, infeasible=8, points=4, starts=4, standard_error=0.0
    )
    assert result.predicted_paths.correct_share == 1


@pytest.mark.parametrize(
    ("height", "slack", "kind"),
    [(4.0, 0.05, "too_long"), (4.0, 0.11, "correct"), (0.0, 0.05, "correct")],
)
def test_a_detour_is_too_long_beyond_the_slack(height: float, slack: float, kind: str) -> None:
    detour = chain((0, 0, 0), (0, 0, 17), (0, height, 20), (0, 0, 23), (0, 0, 40))
    truth = chain((0, 0, 0), (0, 0, 40))
    result = tlts(truth, detour, tolerance=5.0, interval=80.0, slack=slack)
    assert getattr(result.truth_paths, kind) == result.truth_paths.paths == 2
    back = tlts(detour, truth, tolerance=5.0, interval=80.0, slack=0.05).truth_paths
    assert back.too_short == (2 if height else 0)


def test_each_direction_sees_its_own_errors() -> None:
    assert of_event("identical").truth_paths.correct_share == 1
    assert of_event("bridge between trees").truth_paths.correct_share == 1
    assert of_event("bridge between trees").predicted_paths.infeasible_share > 0.3
    assert of_event("ring cut at one edge").truth_paths.too_long > 0
    assert of_event("bridge within a tree").truth_paths.too_short > 0
    assert of_event("spur").truth_paths.correct_share == 1
    assert of_event("spur").predicted_paths.infeasible > 0


def test_no_truth_is_undefined_and_no_tracing_is_the_worst() -> None:
    result = tlts(EMPTY, fork(), tolerance=3)
    assert math.isnan(result.truth_paths.correct_share)
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["tlts_correct"] is None
    assert tlts(fork(), EMPTY, tolerance=3).truth_paths.infeasible_share == 1
    assert tlts(EMPTY, EMPTY, tolerance=3).truth_paths.paths == 0


@settings(max_examples=20)
@given(seed=seeds)
def test_shares_add_up_and_turns_numbers_and_swaps_change_nothing(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_network(seed), seed, by=0.5)
    expected = tlts(truth, predicted, tolerance=3.0, interval=10.0)
    paths = expected.truth_paths
    shares = paths.correct_share + paths.too_long_share + paths.too_short_share
    assert shares + paths.infeasible_share == pytest.approx(1)
    turn = rotation(seed)
    moved = [NeuriteGraph(g.positions @ turn.T + 50, g.edges) for g in (truth, predicted)]
    shuffled = [renumbered(g, seed) for g in (truth, predicted)]
    assert tlts(*moved, tolerance=3.0, interval=10.0) == expected
    assert tlts(*shuffled, tolerance=3.0, interval=10.0) == expected
    back = tlts(predicted, truth, tolerance=3.0, interval=10.0)
    assert back.truth_paths == expected.predicted_paths
    assert tlts(truth, renumbered(truth, seed), tolerance=0.1).truth_paths.correct_share == 1


def test_some_starts_judge_their_paths_only() -> None:
    graph = random_network(3)
    some = tlts(graph, graph, tolerance=1.0, interval=5.0, starts=3).truth_paths
    every = tlts(graph, graph, tolerance=1.0, interval=5.0).truth_paths
    assert 0 < some.paths < every.paths and some.correct_share == 1


@pytest.mark.parametrize("options", [{"slack": -1}, {"min_path": -1}, {"starts": 0}])
def test_wrong_parameters_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        tlts(fork(), fork(), tolerance=1, **options)


@needs_shared
def test_the_numbers_of_the_slow_program_are_met() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "oracle_definitions.json").read_text())["values"]
    for case, values in cases.items():
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        graphs = golden_graph(pair["gt"]), golden_graph(pair["pred"])
        found = tlts(*graphs, tolerance=4.0, interval=None).truth_paths
        expected = values["tlts_tol4"]
        for kind in ("correct", "too_long", "too_short", "infeasible"):
            share = getattr(found, f"{kind}_share")
            assert share == pytest.approx(expected[kind], abs=1e-6), (case, kind)
        assert found.paths == 2 * expected["n_pairs"], case
