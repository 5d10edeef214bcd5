"""Frames, cheapest paths against scipy, and the stretches that cover an annotation."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from tests.losses.drawings import curves, distance_map
from topodelin.losses.kernels.cheapest_path import spread
from topodelin.losses.path_cover import Frame, centreline_stretches
from topodelin.losses.trees import annotated_trees

SEEDS = st.integers(0, 2**32 - 1)
SPACES = st.sampled_from([(11,), (6, 7), (3, 4, 5)])


def neighbours(space: tuple[int, ...]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All pairs of voxels that touch, one by one."""
    steps = itertools.product((-1, 0, 1), repeat=len(space))
    pairs = [
        (voxel, tuple(int(v + s) for v, s in zip(voxel, step, strict=True)))
        for step in steps
        if any(step)
        for voxel in np.ndindex(*space)
    ]
    return [(a, b) for a, b in pairs if all(0 <= v < n for v, n in zip(b, space, strict=True))]


def costs_by_scipy(
    values: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...], base: float, begin: int
) -> np.ndarray:
    """The cost of the cheapest path to every voxel."""
    rows, columns, costs = [], [], []
    for a, b in neighbours(values.shape):
        if inside[a] and inside[b]:
            length = np.linalg.norm((np.array(a) - b) * spacing)
            rows.append(np.ravel_multi_index(a, values.shape))
            columns.append(np.ravel_multi_index(b, values.shape))
            square = (max(values[a], 0) ** 2 + max(values[b], 0) ** 2) / 2
            costs.append(length * (square + base))
    graph = coo_matrix((costs, (rows, columns)), shape=(values.size, values.size))
    return dijkstra(graph.tocsr(), indices=begin)


@given(seed=SEEDS, space=SPACES, coarse=st.sampled_from([1.0, 2.5]))
def test_costs_are_those_of_scipy(seed: int, space: tuple[int, ...], coarse: float) -> None:
    rng = np.random.default_rng(seed)
    spacing = (coarse,) + (1.0,) * (len(space) - 1)
    frame = Frame(space, spacing, 0)
    values = rng.normal(1, 1, space).astype(np.float32)
    inside = rng.random(space) < 0.8
    inside.flat[0] = True
    framed, region = frame.add(values, 0), frame.add(inside.astype(np.int32) * 3, 0)
    size = len(framed)
    cost, before = np.full(size, np.inf), np.zeros(size, np.int32)
    heap, slot = np.empty((2, size), np.int32)
    begin = int(np.flatnonzero(region)[0])
    jumps, lengths = frame.neighbours()
    spread(framed, region, 3, jumps, lengths, 0.25, begin, -1, cost, before, heap, slot)
    expected = costs_by_scipy(values.astype(float), inside, spacing, 0.25, 0)
    there = np.flatnonzero(region)
    np.testing.assert_allclose(cost[there], expected[frame.remove(there)], rtol=1e-12)


def test_a_frame_gives_back_what_was_put_in() -> None:
    frame = Frame((3, 4, 5), (2.0, 1.0, 0.5), 2.5)
    assert frame.width == (1, 2, 5) and frame.shape == (5, 8, 15)
    grid = np.arange(60).reshape(3, 4, 5)
    voxels = np.flatnonzero(frame.add(grid >= 0, 0))
    np.testing.assert_array_equal(frame.remove(voxels), np.arange(60))
    assert frame.add(grid[None], -1).shape == (1, 600)


def test_a_ball_is_sorted_and_knows_the_spacing() -> None:
    jumps, lengths = Frame((5, 5), (2.0, 1.0), 2).ball(2)
    stride = 5 + 2 * 2
    assert jumps[0] == 0 and set(jumps.tolist()) == {0, 1, -1, 2, -2, stride, -stride}
    assert lengths.tolist() == [0, 1, 1, 2, 2, 2, 2]


def stretches(
    mask: np.ndarray, stretch: float = 10.0, seed: int = 0, spacing: tuple[float, ...] | None = None
) -> tuple[list[np.ndarray], list[float], Frame]:
    """Stretches of a drawing, as voxels of its grid."""
    target = distance_map(mask)
    frame = Frame(mask.shape, spacing or (1.0,) * mask.ndim, 3)
    found = centreline_stretches(
        target[0, 0].numpy(), frame, shortest=2, stretch=stretch, seed=seed
    )
    return [frame.remove(path) for path, _ in found], [length for _, length in found], frame


def test_a_line_is_walked_from_end_to_end_in_stretches_that_share_their_ends() -> None:
    mask = np.zeros((9, 40), bool)
    mask[4] = True
    paths, lengths, _ = stretches(mask)
    columns = [np.array(np.unravel_index(path, mask.shape)) for path in paths]
    assert all((rows == 4).all() for rows, _ in columns)
    joined = [path[0] for path in paths] + [paths[-1][-1]]
    assert [path[-1] for path in paths[:-1]] == joined[1:-1]
    assert {joined[0] % 40, joined[-1] % 40} == {0, 39}
    assert sum(lengths) == 39 and all(5 <= length <= 15 for length in lengths)


def test_lengths_know_the_spacing() -> None:
    mask = np.zeros((7, 30), bool)
    mask[3] = True
    _, lengths, _ = stretches(mask, stretch=1000, spacing=(1.0, 2.0))
    assert lengths == [58]


def test_branches_and_loops_are_covered_and_trees_are_apart() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10, 2:30] = mask[10:25, 15] = True  # a branch
    mask[30, 20:35] = mask[37, 20:35] = mask[30:38, 20] = mask[30:38, 34] = True  # a loop
    mask[35, 3] = True  # a point: no path
    paths, _, _ = stretches(mask)
    walked = np.zeros(mask.size, bool)
    walked[np.concatenate(paths)] = True
    left = distance_map(walked.reshape(mask.shape))[0, 0].numpy()[mask]
    assert (left > 2).sum() == 1
    trees = annotated_trees(distance_map(mask), 0)[0, 0].ravel()
    assert all(len(set(trees[path].tolist())) == 1 for path in paths)


@given(seed=st.integers(0, 30), spread_seed=st.integers(0, 3))
def test_every_stretch_of_random_curves_is_covered(seed: int, spread_seed: int) -> None:
    target = curves(seed, (16, 18, 20), 3)
    mask = target[0, 0].numpy() == 0
    paths, lengths, _ = stretches(mask, 12, spread_seed)
    walked = np.zeros(mask.size, bool)
    walked[np.concatenate(paths)] = True
    assert distance_map(walked.reshape(mask.shape))[0, 0].numpy()[mask].max() <= 2
    assert max(lengths) <= 18
    again = stretches(mask, 12, spread_seed)[0]
    assert all(np.array_equal(a, b) for a, b in zip(paths, again, strict=True))


def test_another_seed_cuts_elsewhere() -> None:
    mask = np.zeros((9, 60), bool)
    mask[4] = True
    ends = {tuple(int(path[-1]) for path in stretches(mask, seed=seed)[0]) for seed in range(4)}
    assert len(ends) > 1


def test_neighbours_a_voxel_apart_are_not_joined() -> None:
    mask = np.zeros((12, 30), bool)
    mask[4] = mask[6] = True
    paths, lengths, _ = stretches(mask, stretch=1000)
    assert lengths == [29, 29] and sorted(set(np.concatenate(paths) // 30)) == [4, 6]


def test_a_line_between_the_voxels_is_walked() -> None:
    # Its voxels are up to 0.7 away from it; every one of them touches the next.
    row, column = np.mgrid[:20, :40]
    distance = np.abs(row - 3.3 - 0.31 * column) / np.hypot(1, 0.31)
    frame = Frame(distance.shape, (1.0, 1.0), 3)
    [(path, length)] = centreline_stretches(distance, frame, shortest=2, stretch=1000, seed=0)
    ends = frame.remove(path[[0, -1]]) % 40
    assert sorted(ends.tolist()) == [0, 39]
    assert distance.ravel()[frame.remove(path)].max() < 0.71 and length < 1.1 * np.hypot(39, 12)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_and_a_point_have_no_stretch(count: int) -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = bool(count)
    assert stretches(mask)[0] == []
