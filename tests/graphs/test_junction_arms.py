"""Junctions by their arms: by hand, by law, against reference numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, random_network, rotation, seeds
from tests.graphs.test_centreline_quality import (
    golden_graph,
    moved_a_little,
    renumbered,
    split_edges,
)
from tests.shared_files import needs_shared, shared
from topodelin.graphs import NeuriteGraph, junction_arms

STAR = NeuriteGraph(
    np.array([(0, 0, 0), (0, 0, 20), (0, 20, 0), (0, 0, -20)], float),
    np.array([(0, 1), (0, 2), (0, 3)]),
)


def test_an_arm_cut_short_does_not_fit_and_no_tip_is_an_arm() -> None:
    positions = STAR.positions.copy()
    positions[2] = (0, 5, 0)  # ends before the 10 µm at which directions are taken
    found = junction_arms(STAR, NeuriteGraph(positions, STAR.edges), tolerance=10.0)
    assert (found.truth, found.predicted, found.matched) == (1, 1, 1)
    assert found.fitting == pytest.approx(2 / 3) and found.not_fitting == 0
    found = junction_arms(NeuriteGraph(positions, STAR.edges), STAR, tolerance=10.0)
    assert found.fitting == 1 and found.not_fitting == pytest.approx(1 / 3)


def test_a_junction_turned_away_is_no_match() -> None:
    # One arm keeps its direction, the two across it turn round to point away from all others.
    one = NeuriteGraph(
        np.array([(0, 0, 0), (0, 20, 1), (0, 20, -1), (0, 20, 0)], float), STAR.edges
    )
    other = NeuriteGraph(one.positions * (1, -1, 1), STAR.edges)
    found = junction_arms(one, other, tolerance=10.0)
    assert found.matched == 0 and found.correct == 0 and found.error == 1


def test_junctions_close_together_are_one_cluster() -> None:
    crossing = NeuriteGraph(
        np.array([(0, 0, 0), (0, 0, 4), (0, 20, 0), (0, -20, 0), (0, 20, 4), (0, -20, 4)], float),
        np.array([(0, 1), (0, 2), (0, 3), (1, 4), (1, 5)]),
    )
    assert junction_arms(crossing, crossing, tolerance=10.0).truth == 1
    assert junction_arms(crossing, crossing, tolerance=10.0, cluster_radius=3.0).truth == 2


def test_without_junctions_shares_are_undefined() -> None:
    line = chain((0, 0, 0), (0, 0, 10))
    for nothing in (EMPTY, line):
        found = junction_arms(nothing, fork(), tolerance=5.0)
        assert math.isnan(found.correct) and found.error == 1
        found = junction_arms(fork(), nothing, tolerance=5.0)
        assert found.correct == 0 and math.isnan(found.error)
        assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["junct_error"] is None
    with pytest.raises(ValueError, match="`arm_length` must be a positive number"):
        junction_arms(fork(), fork(), tolerance=5.0, arm_length=0)


@settings(max_examples=25)
@given(seed=seeds)
def test_numbering_motion_and_scale_change_nothing(seed: int) -> None:
    truth = random_network(seed)
    predicted = moved_a_little(truth, seed, 0.5)
    found = junction_arms(truth, predicted, tolerance=4.0)
    turn = rotation(seed)
    moved = [
        NeuriteGraph(2 * (graph.positions @ turn.T + 7), graph.edges)
        for graph in (renumbered(split_edges(truth), seed), predicted)
    ]
    again = junction_arms(*moved, tolerance=8.0)
    assert (again.truth, again.predicted, again.matched) == (
        found.truth,
        found.predicted,
        found.matched,
    )
    assert again.fitting == pytest.approx(found.fitting)
    assert again.not_fitting == pytest.approx(found.not_fitting)
    same = junction_arms(truth, truth, tolerance=4.0)
    assert same.not_fitting == same.truth - same.matched  # clusters without an arm match nothing


# Junctions of the tracing without a partner that the tool leaves out of its error, where the paper
# counts 1 for each: in every case those less than 2.5 times the matching radius from a true one.
LEFT_OUT = {
    "tree2d/combo": 1,  # the spur, 13.5 from a true junction
    "tree2d/false_bridge": 2,  # the ends of the bridge, 28.7 and 29.0
    "tree2d/shift_far": 1,  # one of four shifted junctions, 30.8; the others are 32.6 and farther
    "tree2d/spurious_branch": 1,  # the spur, 16.4; in roads2d it is 36.0 away and counts
}


@needs_shared
def test_reference_numbers_are_met() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "roadtracer_junct.json").read_text())["values"]
    for case, expected in cases.items():
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        truth, predicted = golden_graph(pair["gt"]), golden_graph(pair["pred"])
        found = junction_arms(truth, predicted, tolerance=13.0, cluster_radius=10.0)
        assert (found.truth, found.matched) == (expected["gt_junctions"], expected["matched"]), case
        assert found.fitting == pytest.approx(expected["correct_score"], abs=1e-6), case
        counted = found.not_fitting - LEFT_OUT.get(case, 0)
        assert counted == pytest.approx(expected["extra_score"], abs=1e-6), case
    assert len(cases) == 31 and set(LEFT_OUT) <= set(cases)
