"""Thinning keeps every neurite, whatever its width."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.morphology import skeletonize

from topodelin.graphs import graph_from_mask
from topodelin.graphs.thinning import thin


def tube(height: int, width: int, axis: int = 2, length: int = 30) -> np.ndarray:
    """A straight bar along an axis."""
    mask = np.zeros((10, 12, length + 4), dtype=bool)
    mask[2 : 2 + height, 3 : 3 + width, 2 : 2 + length] = True
    return np.moveaxis(mask, 2, axis)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("height", range(1, 7))
@pytest.mark.parametrize("width", range(1, 7))
def test_a_bar_of_any_width_has_one_line_along_its_middle(
    height: int, width: int, axis: int
) -> None:
    mask = tube(height, width, axis)
    graph = graph_from_mask(mask, (1.0, 1.0, 1.0))
    assert graph.components.max(initial=-1) == 0
    # thinning takes off the ends what it takes off the sides
    assert 28 - 2 * max(height, width) <= graph.length <= 31
    across = np.delete(graph.positions, axis, axis=1)
    middle = (2 + (height - 1) / 2, 3 + (width - 1) / 2)
    assert np.abs(across.mean(axis=0) - middle).max() <= 1


def test_a_lost_bar_beside_another_stays_apart_from_it() -> None:
    mask = tube(2, 2) | np.roll(tube(2, 2), 3, axis=1)
    graph = graph_from_mask(mask, (1.0, 1.0, 1.0))
    assert graph.components.max() == 1


@given(seed=st.integers(0, 1000))
def test_what_is_not_lost_is_thinned_as_before(seed: int) -> None:
    mask = np.random.default_rng(seed).random((6, 8, 8)) < 0.3
    before, now = np.asarray(skeletonize(mask, method="lee")).astype(bool), thin(mask)
    assert now[before].all() and mask[now].all()
    assert thin(tube(3, 3)).sum() == np.count_nonzero(skeletonize(tube(3, 3), method="lee"))
