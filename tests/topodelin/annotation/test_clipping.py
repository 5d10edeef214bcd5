"""Cutting a graph at the faces of a box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.annotation.drawings import chain, drawn
from topodelin.annotation import clip_to_extent
from topodelin.graphs import NeuriteGraph

EXTENT = (4.0, 6.0, 8.0)


def length_inside(graph: NeuriteGraph) -> float:
    """Length of the graph in the box, by sampling every edge densely."""
    fraction = (np.arange(4000) + 0.5) / 4000
    start, end = graph.positions[graph.edges[:, 0]], graph.positions[graph.edges[:, 1]]
    points = start[:, None] + fraction[:, None] * (end - start)[:, None]
    inside = ((points >= 0) & (points <= EXTENT)).all(axis=-1)
    return float((inside.mean(axis=1) * graph.lengths).sum())


def test_an_edge_through_the_box_is_cut_at_both_faces() -> None:
    through = drawn(
        np.array([[2.0, 3.0, -2.0], [2.0, 3.0, 10.0]]), [[0, 1]], radii=[1.0, 2.2], kinds=[2, 3]
    )
    cut = clip_to_extent(through, EXTENT)
    np.testing.assert_allclose(cut.positions, [[2, 3, 0], [2, 3, 8]])
    np.testing.assert_allclose(cut.radii, [1.2, 2.0])
    assert cut.edges.tolist() == [[0, 1]]


def test_what_lies_inside_stays_as_it_is() -> None:
    inside = drawn(np.array([[1.0, 1, 1], [2, 2, 2], [4, 6, 8]]), [[0, 1], [1, 2]])
    cut = clip_to_extent(inside, EXTENT)
    np.testing.assert_array_equal(cut.positions, inside.positions)
    np.testing.assert_array_equal(cut.edges, inside.edges)


def test_what_lies_outside_is_gone() -> None:
    outside = drawn(np.array([[-1.0, 1, 1], [-2, 2, 2], [9, 9, 9]]), [[0, 1]])
    assert len(clip_to_extent(outside, EXTENT)) == 0


def test_an_edge_beside_the_box_is_gone() -> None:
    beside = chain((-1.0, 3.0, -9.0), (-1.0, 3.0, 20.0))
    assert len(clip_to_extent(beside, EXTENT)) == 0


@given(seed=st.integers(0, 2**16))
def test_the_length_inside_is_kept(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-4, 12, size=(8, 3))
    graph = chain(*points)
    cut = clip_to_extent(graph, EXTENT)
    assert cut.length == pytest.approx(length_inside(graph), abs=0.05)
    assert ((cut.positions >= 0) & (cut.positions <= EXTENT)).all()


def test_a_wrong_extent_is_named() -> None:
    with pytest.raises(ValueError, match="`extent_um` must be three positive numbers"):
        clip_to_extent(drawn([0, 0, 0]), (4.0, 0.0, 8.0))
