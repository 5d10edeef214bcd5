"""Branches, pruning, smoothing, resampling."""

import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import EMPTY, betti, chain, fork, random_network, ring, seeds
from topodelin.graphs import (
    NeuriteGraph,
    branches,
    prune_branches,
    resample,
    smooth_branches,
    split_long_edges,
)


def lasso() -> NeuriteGraph:
    """A stem of 20 µm that ends in a loop of 4 nodes: 0 - 1 - 2 = 3, 4, 5 = 2."""
    positions = [(0, 0, 0), (0, 0, 10), (0, 0, 20), (0, 5, 25), (0, 0, 30), (0, -5, 25)]
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 2)]
    return NeuriteGraph(np.array(positions), np.array(edges))


def as_sets(graph: NeuriteGraph) -> set[tuple[int, ...]]:
    return {min(tuple(p.tolist()), tuple(p[::-1].tolist())) for p in branches(graph)}


def test_a_fork_has_three_branches() -> None:
    assert as_sets(fork()) == {(0, 1), (1, 2), (1, 3, 4)}


def test_a_loop_is_a_branch_from_a_junction_to_itself() -> None:
    assert as_sets(lasso()) == {(0, 1, 2), (2, 3, 4, 5, 2)}


def test_a_closed_loop_starts_at_its_lowest_node() -> None:
    (path,) = branches(ring(5))
    assert path[0] == path[-1] == 0
    assert sorted(path[1:].tolist()) == [0, 1, 2, 3, 4]


def test_two_edges_between_the_same_nodes_are_a_closed_loop() -> None:
    twice = NeuriteGraph(np.eye(3)[:2], np.array([(0, 1), (1, 0)]))
    assert [path.tolist() for path in branches(twice)] == [[0, 1, 0]]


def test_no_edges_no_branches() -> None:
    assert branches(EMPTY) == []
    assert branches(NeuriteGraph(np.zeros((1, 3)), np.zeros((0, 2)))) == []


@given(seed=seeds)
def test_every_edge_lies_in_exactly_one_branch(seed: int) -> None:
    graph = random_network(seed)
    paths = branches(graph)
    walked = np.concatenate([np.sort(np.stack([p[:-1], p[1:]], 1), axis=1) for p in paths])
    np.testing.assert_array_equal(
        np.unique(walked, axis=0), np.unique(np.sort(graph.edges), axis=0)
    )
    assert len(walked) == len(graph.edges)
    inner = np.concatenate([p[1:-1] for p in paths])
    assert (graph.degrees[inner] == 2).all()


def test_a_short_side_branch_is_pruned_and_a_long_one_stays() -> None:
    assert prune_branches(fork(), 15.0).length == pytest.approx(30.0)
    # One of the two branches of 10 µm goes; what is left is one neurite of 30 µm without a
    # junction, and a neurite is not a side branch.
    assert prune_branches(fork(), 100.0).length == pytest.approx(30.0)
    assert prune_branches(fork(), 10.0).length == pytest.approx(40.0)


def test_pruning_never_eats_the_end_of_a_neurite() -> None:
    # A neurite of 100 µm that ends in two twigs of 3 and 4 µm: only the shorter goes.
    positions = [(0, 0, 0), (0, 0, 100), (0, 3, 100), (0, 0, 104)]
    graph = NeuriteGraph(np.array(positions), np.array([(0, 1), (1, 2), (1, 3)]))
    pruned = prune_branches(graph, 5.0)
    assert pruned.length == pytest.approx(104.0)
    assert pruned.degrees.max() == 2


def test_a_comb_of_short_teeth_becomes_its_back() -> None:
    back = [(0, 0, 10 * i) for i in range(8)]
    teeth = [(0, 2 + 0.1 * i, 10 * i) for i in range(1, 7)]
    edges = [(i, i + 1) for i in range(7)] + [(i, 7 + i) for i in range(1, 7)]
    pruned = prune_branches(NeuriteGraph(np.array(back + teeth), np.array(edges)), 3.0)
    assert pruned.length == pytest.approx(70.0)
    assert len(branches(pruned)) == 1


def test_pruning_the_stem_of_a_loop_leaves_the_loop() -> None:
    pruned = prune_branches(lasso(), 25.0)
    assert betti(pruned) == (1, 1)
    assert len(pruned) == 4


@given(seed=seeds)
def test_pruning_leaves_no_short_side_branch_and_no_cut(seed: int) -> None:
    graph = random_network(seed)
    graph = graph.select(graph.degrees > 0)
    pruned = prune_branches(graph, 12.0)
    assert betti(pruned) == betti(graph)
    for path in branches(pruned):
        degrees = np.sort(pruned.degrees[path[[0, -1]]])
        length = np.linalg.norm(np.diff(pruned.positions[path], axis=0), axis=1).sum()
        assert not (degrees[0] == 1 and degrees[1] > 2 and length < 12.0)


def wave(length: float, count: int = 241) -> NeuriteGraph:
    """A chain along x that swings in y, with `length` nodes to a period."""
    x = np.arange(count)
    points = np.stack([0 * x, np.sin(2 * np.pi * x / length), x], axis=1)
    return NeuriteGraph(points, np.stack([x[:-1], x[1:]], axis=1))


def swing(graph: NeuriteGraph) -> float:
    """Height of the wave far from its ends."""
    return float(np.ptp(graph.positions[60:-60, 1]) / 2)


def test_smoothing_leaves_straight_lines_parabolas_ends_and_junctions_alone() -> None:
    line = chain(*[(i, 2 * i, 3 * i) for i in range(9)])
    np.testing.assert_allclose(smooth_branches(line, 5).positions, line.positions, atol=1e-9)
    bow = chain(*[(0.1 * i**2, 5 - i, i) for i in range(20)])
    np.testing.assert_allclose(smooth_branches(bow, 5).positions, bow.positions, atol=1e-9)
    graph = split_long_edges(fork(), 1.0).graph
    moved = np.flatnonzero(np.any(smooth_branches(graph, 5).positions != graph.positions, axis=1))
    corner = 3  # straight branches stay but for rounding; the bend moves
    assert corner in moved and not np.isin(moved, [0, 1, 2, 4]).any()
    assert np.linalg.norm(smooth_branches(graph, 5).positions[corner] - (0, 10, 10)) > 0.5


@pytest.mark.parametrize("window", [4, 6, 9])
def test_a_wave_of_two_windows_is_halved_and_twice_that_stays(window: int) -> None:
    assert swing(smooth_branches(wave(2 * window), window)) == pytest.approx(0.5, abs=0.04)
    assert swing(smooth_branches(wave(4 * window), window)) > 0.975
    assert swing(smooth_branches(wave(window), window)) < 0.04


def test_a_window_of_one_changes_nothing() -> None:
    np.testing.assert_array_equal(smooth_branches(wave(3), 1).positions, wave(3).positions)


def test_a_window_longer_than_the_branch_leaves_a_parabola_between_its_ends() -> None:
    smooth = smooth_branches(wave(7, 22), 1000).positions
    np.testing.assert_array_equal(smooth[[0, -1]], wave(7, 22).positions[[0, -1]])
    assert np.abs(np.diff(smooth, 3, axis=0)).max() < 1e-6


def test_far_from_the_origin_no_digits_are_lost() -> None:
    near = wave(5)
    far = NeuriteGraph(near.positions + 1e6, near.edges)
    shift = smooth_branches(far, 50).positions - smooth_branches(near, 50).positions
    np.testing.assert_allclose(shift, 1e6, atol=1e-4)


def test_a_reach_along_z_smooths_z_only() -> None:
    spike = chain(*[(0.5 * (i == 10), 0.5 * (i == 10), i) for i in range(21)])
    smooth = smooth_branches(spike, 1, reach=(8.0, 0.0, 0.0)).positions
    assert 0 < smooth[10, 0] < 0.25
    np.testing.assert_array_equal(smooth[:, 1:], spike.positions[:, 1:])


def test_a_closed_loop_shrinks_evenly_and_stays_open() -> None:
    distance = np.linalg.norm(smooth_branches(ring(), 100).positions, axis=1)
    np.testing.assert_allclose(distance, distance[0], rtol=1e-3)
    assert 9.9 < distance[0] < 10


def test_a_lasso_keeps_its_loop() -> None:
    fine = split_long_edges(lasso(), 1.0).graph
    assert smooth_branches(fine, 12).length > 0.9 * fine.length


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_is_one_node_or_more(window: int) -> None:
    with pytest.raises(ValueError, match="`window` must be 1 or more nodes"):
        smooth_branches(fork(), window)


@given(seed=seeds)
def test_smoothing_keeps_the_topology_ends_and_junctions(seed: int) -> None:
    graph = split_long_edges(random_network(seed), 1.0).graph
    smooth = smooth_branches(graph)
    fixed = graph.degrees != 2
    np.testing.assert_array_equal(smooth.positions[fixed], graph.positions[fixed])
    np.testing.assert_array_equal(smooth.edges, graph.edges)
    assert smooth.length <= 1.001 * graph.length


def test_resampling_a_fork_puts_nodes_at_equal_distances() -> None:
    graph = resample(fork(), 4.0)
    around_the_corner = np.hypot(2, 2)  # from 2 µm before the bend to 2 µm behind it
    np.testing.assert_allclose(
        np.sort(graph.lengths), [around_the_corner] + [10 / 3] * 6 + [4.0] * 4
    )
    assert betti(graph) == (1, 0)


@given(seed=seeds)
def test_resampling_keeps_the_topology_and_nearly_the_length(seed: int) -> None:
    graph = random_network(seed)
    fine, coarse = resample(graph, 0.5), resample(graph, 50.0)
    assert betti(fine) == betti(coarse) == betti(graph)
    assert fine.lengths.max() <= 0.5 + 1e-9
    assert 0.93 * graph.length < fine.length <= graph.length + 1e-9
    assert len(np.unique(np.sort(coarse.edges), axis=0)) == len(coarse.edges)
    assert (fine.degrees == 0).sum() == (graph.degrees == 0).sum()


def test_resampling_interpolates_radii_and_keeps_kinds() -> None:
    line = NeuriteGraph(
        np.array([(0, 0, 0), (0, 0, 10)]),
        np.array([(0, 1)]),
        np.array([1.0, 2.0]),
        np.array([3, 3]),
    )
    fine = resample(line, 2.5)
    order = np.argsort(fine.positions[:, 2])
    np.testing.assert_allclose(fine.radii[order], [1, 1.25, 1.5, 1.75, 2])
    assert (fine.kinds == 3).all()


def test_a_step_must_be_positive() -> None:
    with pytest.raises(ValueError, match="`step_um` must be positive"):
        resample(fork(), 0.0)
    assert len(resample(EMPTY, 1.0)) == 0
