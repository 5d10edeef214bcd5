"""The pair counts of a window against brute force, closed forms and persistent homology."""

import math

import gudhi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.losses import TopologyRule
from topodelin.losses.maximin_pairs import BY_INDEX, FAR_FIRST, NEAR_FIRST, order_edges, sort_edges
from topodelin.losses.topology_weights import count_window

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(2, 7)


def small_window(seed: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction whose edges all cost differently, and an annotation with several regions."""
    rng = np.random.default_rng(seed)
    prediction = rng.permutation(2 ** np.arange(height * width) % 10007).astype(np.float32)
    prediction += rng.random(height * width).astype(np.float32)
    target = rng.integers(0, 7, (height, width)).astype(np.float32)
    return prediction.reshape(height, width), target


def edges(height: int, width: int) -> np.ndarray:
    """The two pixels of each edge, in the order of the kernel."""
    pixel = np.arange(height * width).reshape(height, width)
    across = np.stack([pixel[:, :-1], pixel[:, 1:]], -1).reshape(-1, 2)
    down = np.stack([pixel[:-1], pixel[1:]], -1).reshape(-1, 2)
    return np.concatenate([across, down])


def maximin_values(cost: np.ndarray, ends: np.ndarray, pixels: int) -> np.ndarray:
    """The weakest edge of the best path between every two pixels, by trying every detour."""
    best = np.full((pixels, pixels), -math.inf)
    best[ends[:, 0], ends[:, 1]] = best[ends[:, 1], ends[:, 0]] = cost
    for via in range(pixels):
        best = np.maximum(best, np.minimum(best[:, via, None], best[None, via]))
    return best


@given(seed=SEEDS, height=SIDES, width=SIDES)
def test_counts_are_the_pairs_whose_best_path_is_weakest_there(
    seed: int, height: int, width: int
) -> None:
    prediction, target = small_window(seed, height, width)
    # Nothing is far and nothing is near: every edge has its own cost.
    rule = TopologyRule(d_max=100, edge_lo=1e-6, edge_hi=90, free_from=99, separator_radius=1.5)
    counts = count_window(prediction, target, rule)
    ends = edges(height, width)
    flat = prediction.ravel()
    cost = (flat[ends[:, 0]] + flat[ends[:, 1]]).astype(np.float64)
    cost[target.ravel()[ends].sum(1) == 0] = -math.inf  # these two are near, hence last
    cost[np.isinf(cost)] = -1 - np.arange(np.isinf(cost).sum())
    weakest = maximin_values(cost, ends, height * width)
    labels = counts.labels.ravel()
    a, b = np.triu_indices(height * width, 1)
    labelled = (labels[a] > 0) & (labels[b] > 0)
    same = labels[a] == labels[b]
    value = weakest[a, b]
    bridge = [(labelled & same & (value == c)).sum() for c in cost]
    np.testing.assert_array_equal(counts.bridge_pairs, bridge)
    free = flat[ends].sum(1, dtype=np.float32).astype(np.float64)
    value = maximin_values(free, ends, height * width)[a, b]
    gap = [(labelled & ~same & (value == c)).sum() for c in free]
    np.testing.assert_array_equal(counts.gap_pairs, gap)


@given(seed=SEEDS, height=SIDES, width=SIDES, connectivity=st.sampled_from([4, 8]))
def test_every_pair_is_counted_once(seed: int, height: int, width: int, connectivity: int) -> None:
    prediction, target = small_window(seed, height, width)
    rule = TopologyRule(d_max=6, separator_radius=1.5, connectivity=connectivity)
    counts = count_window(prediction, target, rule)
    sizes = np.bincount(counts.labels.ravel())[1:]
    different = (sizes.sum() ** 2 - (sizes**2).sum()) // 2
    assert counts.gap_pairs.sum() == different
    assert counts.bridge_pairs.sum() == (sizes * (sizes - 1) // 2).sum()


@given(seed=SEEDS, height=SIDES, width=SIDES)
def test_only_the_order_of_the_costs_matters(seed: int, height: int, width: int) -> None:
    # A pixel's value transforms the edge's cost strictly only if the sum is: so scale and shift.
    prediction, target = small_window(seed, height, width)
    rule = TopologyRule(d_max=6, separator_radius=1.5)
    plain = count_window(prediction, target, rule)
    moved = count_window(prediction * 4 - 1024, target, rule)
    np.testing.assert_array_equal(plain.gap_pairs, moved.gap_pairs)
    np.testing.assert_array_equal(plain.bridge_pairs, moved.bridge_pairs)


@given(seed=SEEDS, height=SIDES, width=SIDES, connectivity=st.sampled_from([4, 8]))
def test_there_are_as_many_regions_as_homology_finds(
    seed: int, height: int, width: int, connectivity: int
) -> None:
    prediction, target = small_window(seed, height, width)
    rule = TopologyRule(d_max=6, separator_radius=1.5, connectivity=connectivity)
    labels = count_window(prediction, target, rule).labels
    outside = np.where(target > 1.5, 0.0, 1.0)
    # Pixels as squares touch at corners; as vertices they are joined along the axes only.
    if connectivity == 8:
        complex_ = gudhi.CubicalComplex(top_dimensional_cells=outside)
    else:
        complex_ = gudhi.CubicalComplex(vertices=outside)
    complex_.compute_persistence()
    assert labels.max() == complex_.persistent_betti_numbers(0.5, 0.5)[0]


def test_a_wall_between_two_halves_by_hand() -> None:
    # Two pixels on each side of a wall. The pairs across it meet in the wall's best crossing.
    target = np.array([[5, 0, 5], [5, 0, 5]], np.float32)
    prediction = np.array([[9, 1, 7], [8, 3, 6]], np.float32)
    counts = count_window(prediction, target, TopologyRule(d_max=5, free_from=9))
    assert counts.labels.tolist() == [[1, 0, 2], [1, 0, 2]]
    # Edges along x: 10, 8 / 11, 9; along y: 17, 4, 13. The far ones, along y, are free.
    assert counts.gap_pairs.tolist() == [0, 0, 0, 4, 0, 0, 0]
    assert counts.bridge_pairs.tolist() == [0, 0, 0, 0, 1, 0, 1]


@given(
    values=st.lists(st.floats(-5, 5, width=32) | st.sampled_from([0.0, -0.0, 1.0]), max_size=300),
    decreasing=st.booleans(),
)
def test_edges_of_equal_value_keep_their_order(values: list[float], decreasing: bool) -> None:
    numbers = np.array(values, np.float32)
    order = np.arange(len(numbers), dtype=np.int32)
    sort_edges(order, numbers, decreasing)
    expected = np.argsort(-numbers if decreasing else numbers, kind="stable")
    np.testing.assert_array_equal(order, expected)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [(BY_INDEX, [0, 1, 2, 3, 4]), (NEAR_FIRST, [0, 2, 3, 1, 4]), (FAR_FIRST, [0, 2, 1, 3, 4])],
)
def test_constrained_edges_enter_where_their_cost_falls(ties: int, expected: list[int]) -> None:
    cost = np.array([3, 2, 0, 2, 1], np.float32)
    far = np.array([0, 9, 0, 4, 0], np.float32)
    state = np.array([0, 0, 1, 0, 0], np.uint8)
    order = np.empty(5, np.int32)
    used = order_edges(np.array([0, 1, 3, 4, 2], np.int32), cost, far, state, 2.0, ties, order)
    assert order[:used].tolist() == expected
