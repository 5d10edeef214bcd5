"""Degraded annotations keep the neurites recognisable and have the faults that were asked for."""

from typing import Any

import numpy as np
import pytest

from topodelin.annotation import degrade_annotation, random_neurites
from topodelin.graphs import NeuriteGraph, branches, joined

NO_FAULT: dict[str, Any] = {"shift_um": 0.0, "dropped_ends": (0.0, 0.0), "late_starts": (0.0, 0.0)}


def comb(teeth: int, tooth: int = 10, spacing: int = 6) -> NeuriteGraph:
    """A trunk along x with teeth along y:  _|_|_|_"""
    trunk = [(0.0, 0.0, float(x)) for x in range((teeth + 1) * spacing + 1)]
    edges = [(x, x + 1) for x in range(len(trunk) - 1)]
    nodes = list(trunk)
    for number in range(1, teeth + 1):
        last = number * spacing
        for y in range(1, tooth + 1):
            nodes.append((0.0, float(y), float(number * spacing)))
            edges.append((last, len(nodes) - 1))
            last = len(nodes) - 1
    return NeuriteGraph(np.array(nodes), np.array(edges))


def test_without_faults_nothing_changes() -> None:
    graph = random_neurites(np.random.default_rng(1), (30.0, 60.0, 60.0))
    same = degrade_annotation(graph, np.random.default_rng(2), **NO_FAULT)
    np.testing.assert_allclose(np.sort(same.positions, 0), np.sort(graph.positions, 0))
    assert same.length == pytest.approx(graph.length)


def test_the_shift_has_the_deviation_asked_for_and_is_smooth() -> None:
    line = NeuriteGraph(
        np.stack([np.zeros(4000), np.zeros(4000), np.arange(4000.0)], 1),
        np.stack([np.arange(3999), np.arange(1, 4000)], 1),
    )
    faults: dict[str, Any] = NO_FAULT | {"shift_um": 0.8, "shift_correlation_um": 5.0}
    moved = degrade_annotation(line, np.random.default_rng(3), **faults).positions - line.positions
    np.testing.assert_allclose(moved.std(axis=0), 0.8, rtol=0.15)
    # neighbours, a fifth of the correlation apart, move together: step = 0.8 / 5 on average
    np.testing.assert_allclose(np.diff(moved, axis=0).std(axis=0), 0.16, rtol=0.15)


def test_two_trees_are_not_shifted_alike() -> None:
    one = comb(2)
    both = joined([one, one])
    faults: dict[str, Any] = NO_FAULT | {"shift_um": 1.0}
    shifted = degrade_annotation(both, np.random.default_rng(4), **faults)
    half = len(one)
    assert np.abs(shifted.positions[:half] - shifted.positions[half:]).max() > 0.5


def test_all_terminal_branches_can_be_dropped_and_the_trunk_stays() -> None:
    faults: dict[str, Any] = NO_FAULT | {"dropped_ends": (1.0, 1.0)}
    left = degrade_annotation(comb(3), np.random.default_rng(5), **faults)
    # the ends of the trunk are terminal branches too: between the outer teeth 12 µm remain
    assert left.length == pytest.approx(12.0)
    assert left.components.max() == 0


def test_a_star_that_loses_all_its_rays_leaves_no_point() -> None:
    star = NeuriteGraph(np.eye(4, 3), np.array([[3, 0], [3, 1], [3, 2]]))
    faults: dict[str, Any] = NO_FAULT | {"dropped_ends": (1.0, 1.0)}
    assert len(degrade_annotation(star, np.random.default_rng(5), **faults)) == 0


def test_the_share_of_dropped_branches_is_the_one_asked_for() -> None:
    faults: dict[str, Any] = NO_FAULT | {"dropped_ends": (0.3, 0.3)}
    graph = comb(300)
    left = degrade_annotation(graph, np.random.default_rng(6), **faults)
    count = sum(left.degrees[b[[0, -1]]].min() == 1 for b in branches(left))
    assert 0.6 * 302 < count < 0.8 * 302


def test_a_late_start_shortens_one_end_only() -> None:
    line = NeuriteGraph(
        np.stack([np.zeros(101), np.zeros(101), np.arange(101.0)], 1),
        np.stack([np.arange(100), np.arange(1, 101)], 1),
    )
    faults: dict[str, Any] = NO_FAULT | {"late_starts": (1.0, 1.0), "late_by_um": (7.5, 7.5)}
    left = degrade_annotation(line, np.random.default_rng(7), **faults)
    assert left.length == pytest.approx(92.0)  # nodes 0 to 7 are gone


def test_a_late_start_never_takes_more_than_half_of_the_branch() -> None:
    nodes = np.array([[0, 0, x] for x in range(5)])
    line = NeuriteGraph(nodes, np.array([[0, 1], [1, 2], [2, 3], [3, 4]]))
    faults: dict[str, Any] = NO_FAULT | {"late_starts": (1.0, 1.0), "late_by_um": (50.0, 50.0)}
    assert degrade_annotation(line, np.random.default_rng(8), **faults).length == 2.0


def test_the_same_seed_gives_the_same_tracing() -> None:
    graph = comb(20)
    first, second = (degrade_annotation(graph, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)


def test_nothing_stays_nothing() -> None:
    empty = NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    assert len(degrade_annotation(empty, np.random.default_rng(0))) == 0


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        ({"shift_um": -1.0}, "shift_um"),
        ({"shift_correlation_um": 0.0}, "shift_correlation_um"),
        ({"dropped_ends": (0.5, 1.5)}, "dropped_ends"),
        ({"late_starts": (0.5, 0.1)}, "late_starts"),
        ({"late_by_um": (-1.0, 2.0)}, "late_by_um"),
    ],
)
def test_impossible_faults_are_refused(faults: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        degrade_annotation(comb(1), np.random.default_rng(0), **faults)
