"""Random neurites: trees in a box, of every thickness, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.annotation.drawings import EMPTY, drawn
from topodelin.annotation import neurites_from_swc, random_neurites
from topodelin.graphs import NeuriteGraph

EXTENT = (40.0, 50.0, 60.0)
seeds = st.integers(0, 2**16)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def loops(graph: NeuriteGraph) -> int:
    """Independent cycles of a graph."""
    return len(graph.edges) - len(graph) + len(set(graph.components.tolist()))


@given(seed=seeds)
def test_neurites_stay_in_their_box_and_have_a_radius(seed: int) -> None:
    graph = random_neurites(rng(seed), EXTENT)
    assert ((graph.positions >= 0) & (graph.positions <= EXTENT)).all()
    assert ((graph.radii >= 0.15 - 1e-9) & (graph.radii <= 2.0)).all()


@given(seed=seeds)
def test_neurites_are_trees_of_short_steps(seed: int) -> None:
    graph = random_neurites(rng(seed), EXTENT)
    assert loops(graph) == 0
    assert graph.lengths.max(initial=0) < 1.5


def test_a_seed_always_grows_the_same_neurites() -> None:
    first, second = random_neurites(rng(3), EXTENT), random_neurites(rng(3), EXTENT)
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.edges, second.edges)
    assert len(random_neurites(rng(4), EXTENT)) != len(first)


def test_no_trees_means_nothing() -> None:
    assert len(random_neurites(rng(), EXTENT, trees=(0, 0))) == 0


def test_neurites_branch_as_often_as_they_are_told() -> None:
    def junctions(every: float) -> int:
        graph = random_neurites(
            rng(), EXTENT, trees=(8, 8), branch_every_um=(every, every), neighbours=0.0
        )
        return int((graph.degrees >= 3).sum())

    assert junctions(5.0) > 3 * junctions(50.0) > 0


def test_persistent_neurites_are_straighter() -> None:
    def turn(persistence: float) -> float:
        graph = random_neurites(
            rng(1),
            EXTENT,
            trees=(10, 10),
            persistence_um=(persistence, persistence),
            branch_every_um=(1e6, 1e6),
            wiggle_um=(0.0, 0.0),
            neighbours=0.0,
        )
        step = graph.positions[graph.edges[:, 1]] - graph.positions[graph.edges[:, 0]]
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        joined = graph.edges[:-1, 1] == graph.edges[1:, 0]
        return float((step[:-1] * step[1:]).sum(axis=1)[joined].mean())

    # Two transverse directions, each disturbed by step / persistence: the mean cosine is
    # 1 - 0.5 / 20 for isotropic walks, a little more for flat ones.
    assert 1 - 0.5 / 20 <= turn(20.0) < 1 - 0.25 / 20
    assert turn(200.0) > turn(20.0)


def test_neighbours_come_close_but_keep_apart() -> None:
    def components(share: float) -> int:
        graph = random_neurites(rng(2), EXTENT, trees=(6, 6), neighbours=share)
        return len(set(graph.components.tolist()))

    assert components(1.0) > components(0.0)


@given(seed=seeds)
def test_flat_neurites_keep_their_depth(seed: int) -> None:
    graph = random_neurites(rng(seed), EXTENT, trees=(1, 1), depth_share=(0.0, 0.0), neighbours=0.0)
    assert len(graph) == 0 or np.ptp(graph.positions[:, 0]) < 1e-9


def test_a_wrong_number_of_trees_is_named() -> None:
    with pytest.raises(ValueError, match="`trees` must be"):
        random_neurites(rng(), EXTENT, trees=(3, 1))


@pytest.fixture
def fork() -> NeuriteGraph:
    """A trunk that forks, 10 µm a step.

    0 --- 1 --- 2
          |
          3
    """
    positions = np.array([[0, 0, 0], [0, 0, 10], [0, 0, 20], [0, 10, 10]])
    return drawn(positions, [[0, 1], [1, 2], [1, 3]], 0.5)


@given(seed=seeds)
def test_a_turned_morphology_keeps_its_shape(seed: int) -> None:
    tiny = drawn(np.array([[0, 0, 0], [0, 0, 1e-3], [0, 2e-3, 0]]), [[0, 1], [0, 2]])
    turned = neurites_from_swc(tiny, EXTENT, rng(seed), scale=(2.0, 2.0))
    # A morphology smaller than the box is seldom cut; a cut one is shorter.
    assert turned.length <= 2 * tiny.length * (1 + 1e-6)
    assert len(turned) < 3 or turned.lengths.tolist() == pytest.approx([2e-3, 4e-3], rel=1e-6)


@given(seed=seeds)
def test_a_morphology_is_cropped_to_the_box_and_never_lost(seed: int) -> None:
    # A square far larger than the box: most places of it, its middle too, hold no neurite.
    square = drawn(
        [[0, 0, 0], [0, 0, 99], [0, 99, 99], [0, 99, 0]], [[0, 1], [1, 2], [2, 3], [3, 0]]
    )
    turned = neurites_from_swc(square, (9.0, 9.0, 9.0), rng(seed))
    assert len(turned) > 1
    assert ((turned.positions >= 0) & (turned.positions <= 9)).all()


def test_radii_grow_with_the_morphology(fork: NeuriteGraph) -> None:
    turned = neurites_from_swc(fork, EXTENT, rng(), scale=(1.2, 1.2))
    assert turned.radii == pytest.approx(0.6)


def test_an_empty_morphology_stays_empty() -> None:
    assert len(neurites_from_swc(EMPTY, EXTENT, rng())) == 0
