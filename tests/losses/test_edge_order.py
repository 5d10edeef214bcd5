"""The order in which a spanning tree takes edges, ties included."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.losses.kernels.edge_order import (
    BY_INDEX,
    FAR_FIRST,
    NEAR_FIRST,
    order_edges,
    sort_edges,
    word,
)

COSTS = st.floats(-5, 5, width=32) | st.sampled_from([0.0, -0.0, 1.0])


@given(values=st.lists(COSTS, max_size=300), decreasing=st.booleans())
def test_edges_of_equal_value_keep_their_order(values: list[float], decreasing: bool) -> None:
    numbers = np.array(values, np.float32)
    order = np.arange(len(numbers), dtype=np.int32)
    sort_edges(order, numbers, decreasing)
    expected = np.argsort(-numbers if decreasing else numbers, kind="stable")
    np.testing.assert_array_equal(order, expected)


def ordered(
    cost: np.ndarray, far: np.ndarray, constrained: np.ndarray, common: float, ties: int
) -> np.ndarray:
    """The order by the kernel."""
    count = len(cost)
    bits = (cost.astype(np.float32) + np.float32(0)).view(np.uint32)
    free = np.flatnonzero(~constrained)
    words = np.zeros(count, np.uint64)
    words[: len(free)] = [word(bits[edge], True, edge) for edge in free]
    order = np.empty(count, np.int32)
    used = order_edges(
        words,
        len(free),
        np.flatnonzero(constrained).astype(np.int32),
        int(constrained.sum()),
        np.float32(common).view(np.uint32),
        far.astype(np.float32),
        ties,
        np.empty(count, np.uint64),
        order,
    )
    assert used == count
    return order


@pytest.mark.parametrize(
    ("ties", "expected"),
    [(BY_INDEX, [0, 1, 2, 3, 4]), (NEAR_FIRST, [0, 2, 3, 1, 4]), (FAR_FIRST, [0, 2, 1, 3, 4])],
)
def test_constrained_edges_enter_where_their_cost_falls(ties: int, expected: list[int]) -> None:
    cost, far = np.array([3.0, 2, 0, 2, 1]), np.array([0.0, 9, 0, 4, 0])
    constrained = np.array([0, 0, 1, 0, 0], bool)
    assert ordered(cost, far, constrained, 2.0, ties).tolist() == expected


@given(
    edges=st.lists(st.tuples(st.integers(-2, 3), st.integers(0, 3), st.booleans()), max_size=100),
    common=st.integers(-3, 4) | st.sampled_from([math.inf, -math.inf]),
    ties=st.sampled_from([BY_INDEX, NEAR_FIRST, FAR_FIRST]),
)
def test_equal_costs_are_ordered_by_the_rule(
    edges: list[tuple[int, int, bool]], common: float, ties: int
) -> None:
    def rank(index: int) -> tuple[float, float, int]:
        cost, far, constrained = edges[index]
        second = {BY_INDEX: 0, NEAR_FIRST: far, FAR_FIRST: -far}[ties]
        if constrained:
            return -common, 0 if ties == BY_INDEX else -math.inf, index
        return -cost, second, index

    table = np.array(edges, float).reshape(-1, 3)
    found = ordered(table[:, 0], table[:, 1], table[:, 2] > 0, common, ties)
    assert found.tolist() == sorted(range(len(edges)), key=rank)
