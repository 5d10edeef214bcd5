"""Pairs on the edges of an affinity graph: by hand, by brute force, by closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.losses.affinity_pairs import affinity_pair_counts

SEEDS = st.integers(0, 2**32 - 1)
SPACES = st.sampled_from([(9,), (4, 5), (6, 2), (3, 3, 3), (2, 3, 4)])
FACES, FULL = None, "full"


def offsets_of(kind: str | None, dims: int) -> list[tuple[int, ...]] | None:
    """The faces, or half of all neighbours, some of them backwards."""
    if kind is None:
        return None
    steps = [tuple(int(n) - 1 for n in step) for step in np.ndindex(*(3,) * dims)]
    return steps[: len(steps) // 2 : 2] + steps[len(steps) // 2 + 2 :: 2]


def graph(
    seed: int, space: tuple[int, ...], kind: str | None = FACES
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, ...]] | None]:
    """Affinities that all differ, labels in pieces with background between, and offsets."""
    rng = np.random.default_rng(seed)
    offsets = offsets_of(kind, len(space))
    shape = (len(space) if offsets is None else len(offsets), *space)
    affinities = rng.permutation(math.prod(shape)).astype(np.float32).reshape(shape)
    return affinities, rng.choice([0, 1, 2, 7], space), offsets


def edge_list(
    shape: tuple[int, ...], offsets: list[tuple[int, ...]] | None
) -> list[tuple[tuple[int, ...], int, int]]:
    """Index, first and second voxel of every edge, one by one."""
    space = shape[1:]
    steps = offsets or [tuple(row) for row in np.eye(len(space), dtype=int)]
    found = []
    for edge_type, step in enumerate(steps):
        for begin in np.ndindex(*space):
            end = tuple(int(b + s) for b, s in zip(begin, step, strict=True))
            if all(0 <= e < n for e, n in zip(end, space, strict=True)):
                a, b = (int(np.ravel_multi_index(voxel, space)) for voxel in (begin, end))
                found.append(((edge_type, *begin), a, b))
    return found


def maximin_values(edges: list[tuple[int, int]], cost: list[float], voxels: int) -> np.ndarray:
    """The weakest edge of the best path between every two voxels, by trying every detour."""
    best = np.full((voxels, voxels), -math.inf)
    for (a, b), value in zip(edges, cost, strict=True):
        best[a, b] = best[b, a] = max(best[a, b], value)
    for via in range(voxels):
        best = np.maximum(best, np.minimum(best[:, via, None], best[None, via]))
    return best


def brute_force(
    affinities: np.ndarray,
    labels: np.ndarray,
    offsets: list[tuple[int, ...]] | None,
    constrained: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """For every pair of voxels, look up which edge is the weakest of their best path."""
    edges = edge_list(affinities.shape, offsets)
    ends = [(a, b) for _, a, b in edges]
    flat = labels.ravel()
    inside = np.array([flat[a] == flat[b] != 0 for a, b in ends])
    cost = np.array([float(affinities[index]) for index, _, _ in edges])
    positive, negative = (np.zeros(affinities.shape, np.int64) for _ in range(2))
    joined = np.where(inside, cost, -math.inf) if constrained else cost
    parted = np.where(inside, math.inf, cost) if constrained else cost
    a, b = np.triu_indices(labels.size, 1)
    labelled = (flat[a] > 0) & (flat[b] > 0)
    for counts, costs, pairs in (
        (positive, joined, labelled & (flat[a] == flat[b])),
        (negative, parted, labelled & (flat[a] != flat[b])),
    ):
        weakest = maximin_values(ends, list(costs), labels.size)[a, b]
        for (index, _, _), value in zip(edges, costs, strict=True):
            if math.isfinite(value):
                counts[index] = (pairs & (weakest == value)).sum()
    return positive, negative


@given(seed=SEEDS, space=SPACES, kind=st.sampled_from([FACES, FULL]), constrained=st.booleans())
def test_counts_are_the_pairs_whose_best_path_is_weakest_there(
    seed: int, space: tuple[int, ...], kind: str | None, constrained: bool
) -> None:
    affinities, labels, offsets = graph(seed, space, kind)
    counts = affinity_pair_counts(affinities, labels, offsets, constrained=constrained)
    positive, negative = brute_force(affinities, labels, offsets, constrained)
    np.testing.assert_array_equal(counts.positive, positive)
    np.testing.assert_array_equal(counts.negative, negative)


def test_two_objects_in_a_row_by_hand() -> None:
    # 1 .9 1 .2 0 .3 2 .8 2: the objects meet at the weaker edge of the background between them.
    labels = np.array([1, 1, 0, 2, 2])
    affinities = np.array([[0.9, 0.2, 0.3, 0.8, 1.0]])
    counts = affinity_pair_counts(affinities, labels)
    assert counts.positive.tolist() == [[1, 0, 0, 1, 0]]
    assert counts.negative.tolist() == [[0, 4, 0, 0, 0]]


def test_a_split_is_blamed_on_the_inside_only_when_constrained() -> None:
    # One object of three voxels around a background voxel, whose edges are stronger:
    #   1 .1 1      the object's own way is weak, the way through the background is not
    #   .2   .8
    #   1 .9 0
    labels = np.array([[1, 1], [1, 0]])
    affinities = np.array([[[0.2, 0.8], [0, 0]], [[0.1, 0], [0.9, 0]]])
    inside = affinity_pair_counts(affinities, labels).positive
    anywhere = affinity_pair_counts(affinities, labels, constrained=False).positive
    assert inside.tolist() == [[[1, 0], [0, 0]], [[2, 0], [0, 0]]]
    assert anywhere.tolist() == [[[2, 1], [0, 0]], [[0, 0], [0, 0]]]


@given(seed=SEEDS, constrained=st.booleans())
def test_every_pair_of_two_objects_is_counted_once(seed: int, constrained: bool) -> None:
    # Many objects: histograms grow, and the smaller moves into the larger.
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 60, (8, 9, 10))
    affinities = rng.random((3, 8, 9, 10)).astype(np.float32)
    counts = affinity_pair_counts(affinities, labels, constrained=constrained)
    sizes = np.bincount(labels.ravel())[1:]
    different = (sizes.sum() ** 2 - (sizes**2).sum()) // 2
    assert counts.negative.sum() == different
    assert constrained or counts.positive.sum() == (sizes * (sizes - 1) // 2).sum()


@given(seed=SEEDS, space=SPACES, constrained=st.booleans())
def test_only_the_order_of_the_affinities_matters(
    seed: int, space: tuple[int, ...], constrained: bool
) -> None:
    affinities, labels, _ = graph(seed, space)
    plain = affinity_pair_counts(affinities, labels, constrained=constrained)
    moved = affinity_pair_counts(affinities * 4 - 100, labels, constrained=constrained)
    np.testing.assert_array_equal(plain, moved)


@given(seed=SEEDS, kind=st.sampled_from([FACES, FULL]))
def test_names_and_mirrors_of_the_array_do_not_matter(seed: int, kind: str | None) -> None:
    affinities, labels, offsets = graph(seed, (3, 4, 2), kind)
    steps = offsets or [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    plain = affinity_pair_counts(affinities, labels, steps)
    renamed = affinity_pair_counts(affinities, (11 - labels) * (labels > 0), steps)
    np.testing.assert_array_equal(plain, renamed)
    backwards = [(-z, y, x) for z, y, x in steps]
    mirrored = affinity_pair_counts(affinities[:, ::-1], labels[::-1], backwards)
    np.testing.assert_array_equal(plain, [counts[:, ::-1] for counts in mirrored])
    turned = affinity_pair_counts(
        affinities.transpose(0, 3, 1, 2),
        labels.transpose(2, 0, 1),
        [(x, z, y) for z, y, x in steps],
    )
    np.testing.assert_array_equal(plain, [c.transpose(0, 2, 3, 1) for c in turned])


def test_equal_affinities_are_taken_in_increasing_index() -> None:
    # A square of equal edges: (0,0)-(1,0), (0,1)-(1,1), (0,0)-(0,1) join it; the last is left over.
    counts = affinity_pair_counts(np.ones((2, 2, 2)), np.ones((2, 2), int))
    assert counts.positive.tolist() == [[[1, 1], [0, 0]], [[4, 0], [0, 0]]]


def test_without_objects_there_is_no_pair() -> None:
    counts = affinity_pair_counts(np.ones((2, 3, 3)), np.zeros((3, 3), int))
    assert not counts.positive.any() and not counts.negative.any()


@pytest.mark.parametrize(
    ("affinities", "labels", "offsets", "message"),
    [
        (np.ones((3, 4, 4)), np.ones((4, 4), int), None, r"`affinities` must be .* \(2, 4, 4\)"),
        (np.full((2, 4, 4), np.nan), np.ones((4, 4), int), None, "`affinities` must not be NaN"),
        (np.ones((2, 4, 4)), -np.ones((4, 4), int), None, "`labels` must be 0 for background"),
        (np.ones((1, 4, 4)), np.ones((4, 4), int), [(0, 0)], "`offsets` must be steps"),
        (np.ones((1, 4, 4)), np.ones((4, 4), int), [(1, 0, 0)], "`offsets` must be steps"),
    ],
)
def test_what_does_not_fit_is_refused(
    affinities: np.ndarray, labels: np.ndarray, offsets: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        affinity_pair_counts(affinities, labels, offsets)
