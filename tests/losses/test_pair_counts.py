"""The pair counts of a window against brute force, closed forms and persistent homology."""

import math

import gudhi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.losses import TopologyRule
from topodelin.losses.topology.weights import count_window

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


@given(
    exponents=st.permutations(range(8)),
    power=st.integers(2, 3),
    tall=st.booleans(),
    seed=SEEDS,
)
def test_an_increasing_transform_changes_no_count(
    exponents: list[int], power: int, tall: bool, seed: int
) -> None:
    # Powers of two and their powers: sums of two compare as the larger one does, then the other.
    shape = (4, 2) if tall else (2, 4)
    prediction = 2.0 ** np.array(exponents).reshape(shape)
    target = np.random.default_rng(seed).integers(0, 7, shape)
    rule = TopologyRule(d_max=6, separator_radius=1.5)
    plain = count_window(prediction, target.astype(float), rule)
    raised = count_window(prediction**power, target.astype(float), rule)
    np.testing.assert_array_equal(plain.gap_pairs, raised.gap_pairs)
    np.testing.assert_array_equal(plain.bridge_pairs, raised.bridge_pairs)


@given(seed=SEEDS, height=SIDES, width=SIDES)
def test_with_equal_regions_each_pair_of_regions_is_shared_out(
    seed: int, height: int, width: int
) -> None:
    # The share of an edge in a pair of regions: the part of their pairs of pixels it decides.
    prediction, target = small_window(seed, height, width)
    rule = TopologyRule(
        d_max=100, edge_lo=1e-6, edge_hi=90, free_from=99, separator_radius=1.5, pairs="regions"
    )
    # Distances above 0: no edge is near, so each has its own cost for both counts.
    counts = count_window(prediction, target + np.float32(1e-3), rule)
    ends = edges(height, width)
    flat = prediction.ravel()
    cost = flat[ends].sum(1, dtype=np.float32).astype(np.float64)
    weakest = maximin_values(cost, ends, height * width)
    labels = counts.labels.ravel()
    sizes = np.bincount(labels)
    a, b = np.triu_indices(height * width, 1)
    a, b = a[(labels[a] > 0) & (labels[b] > 0)], b[(labels[a] > 0) & (labels[b] > 0)]
    gap, bridge = np.zeros((2, len(cost)))
    for u, v in zip(a, b, strict=True):
        edge = np.flatnonzero(cost == weakest[u, v])[0]
        m, n = sizes[labels[u]], sizes[labels[v]]
        if labels[u] == labels[v]:
            bridge[edge] += 2 / (n * (n - 1))
        else:
            gap[edge] += 1 / (m * n)
    np.testing.assert_allclose(counts.gap_pairs, gap, atol=1e-12)
    np.testing.assert_allclose(counts.bridge_pairs, bridge, atol=1e-12)
    regions = labels.max()
    assert counts.gap_pairs.sum() == pytest.approx(regions * (regions - 1) / 2)
    assert counts.bridge_pairs.sum() == pytest.approx((sizes[1:] > 1).sum())


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
