"""Ends of neurites: where the medial line of a drawn tube ends, and no whiskers on blobs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import betti, seeds, tubes
from topodelin.graphs import NeuriteGraph, graph_from_mask
from topodelin.graphs.thinning import thin
from topodelin.graphs.tips import lead_on_tips
from topodelin.graphs.voxel_edges import voxel_edges

UNIT = (1.0, 1.0, 1.0)


def distance_to_segment(shape: np.ndarray, size: np.ndarray, a: np.ndarray, b: np.ndarray):
    """(z, y, x) µm from the centre of each voxel to the segment from a to b."""
    at = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) * size
    along = np.clip((at - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(at - a - along[..., None] * (b - a), axis=-1)


def direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def ends_beyond(graph: NeuriteGraph, a: np.ndarray, b: np.ndarray) -> list[float]:
    """How far the two tips lie beyond the ends of the segment, along it."""
    assert len(graph.tips) == 2
    length = float(np.linalg.norm(b - a))
    along = np.sort((graph.positions[graph.tips] - a) @ (b - a) / length)
    return [-along[0], along[1] - length]


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("spacing", [UNIT, (2.0, 1.0, 1.0)])
def test_a_tube_with_round_ends_ends_a_radius_before_its_surface(
    radius: float, spacing: tuple[float, float, float]
) -> None:
    rng, size = np.random.default_rng(int(radius)), np.array(spacing)
    radius *= size.max()
    beyond, lengths = [], []
    for _ in range(8):
        line = 45 * direction(rng)
        a = radius + 2 * size.max() + rng.random(3) - np.minimum(line, 0)
        b = a + line
        shape = np.ceil((np.maximum(a, b) + radius + 2) / size).astype(int) + 1
        graph = graph_from_mask(distance_to_segment(shape, size, a, b) <= radius, spacing)
        beyond += ends_beyond(graph, a, b)
        lengths.append(graph.length - 45)
    assert abs(np.mean(beyond)) < 0.5 * size.max()
    assert np.quantile(np.abs(beyond), 0.8) < size.max()
    assert abs(np.mean(lengths)) < size.max()


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0, 4.0])
def test_a_tube_cut_by_the_border_ends_at_the_border(radius: float) -> None:
    rng, side, last = np.random.default_rng(int(radius)), 36, 35.0
    beyond = []
    for _ in range(8):
        along, centre = direction(rng), 17.5 + 2 * rng.normal(size=3)
        enter, leave = np.sort(np.stack([-centre / along, (last - centre) / along]), axis=0)
        a, b = centre + enter.max() * along, centre + leave.min() * along
        far = 60 * along
        away = distance_to_segment(np.full(3, side), np.ones(3), a - far, b + far)
        beyond += ends_beyond(graph_from_mask(away <= radius, UNIT), a, b)
    assert abs(np.mean(beyond)) < 0.5
    assert np.quantile(np.abs(beyond), 0.8) < 1.1


def test_a_bar_reaches_both_faces_of_the_volume() -> None:
    mask = np.zeros((11, 13, 40), dtype=bool)
    mask[3:8, 4:9] = True
    graph = graph_from_mask(mask, UNIT)
    np.testing.assert_array_equal(np.sort(graph.positions[graph.tips, 2]), [0, 39])
    assert graph.length == pytest.approx(39, abs=1)


@pytest.mark.parametrize("radii", [(6, 6, 6), (4, 6, 9), (3, 9, 9), (8, 4, 4)])
@pytest.mark.parametrize("start", [12, 4], ids=["inside", "cut"])
def test_blobs_grow_no_whiskers(radii: tuple[int, int, int], start: int) -> None:
    at = np.stack(np.meshgrid(*[np.arange(25)] * 3, indexing="ij"), axis=-1)
    mask = (((at - (12, 12, start)) / np.array(radii)) ** 2).sum(axis=-1) <= 1
    graph = graph_from_mask(mask, UNIT)
    inner = ((graph.positions - (12, 12, start)) / np.array(radii)) ** 2
    free = graph.positions[:, 2] > 0.5  # a cut blob may go on to where it is cut
    assert (inner[free].sum(axis=1) < 0.8).all()  # the medial disc of the flattest ends at 0.79
    assert len(graph.tips) <= 4


def test_a_slender_cone_ends_at_its_point_and_not_at_its_base() -> None:
    at = np.stack(np.meshgrid(*map(np.arange, (21, 21, 60)), indexing="ij"), axis=-1)
    across = np.linalg.norm(at[..., :2] - 10, axis=-1)
    mask = (across <= 0.15 * (55 - at[..., 2])) & (at[..., 2] >= 5)
    graph = graph_from_mask(mask, UNIT)
    ends = np.sort(graph.positions[graph.tips, 2])
    assert ends[-1] >= 53
    assert 9 <= ends[0] <= 16  # its base has a radius of 7.5


@settings(max_examples=25)
@given(seed=seeds, radius=st.sampled_from([0.0, 1.0, 2.0]))
def test_tips_are_led_on_through_free_voxels_and_nothing_else_changes(
    seed: int, radius: float
) -> None:
    mask, size = tubes(seed, radius=radius), np.array((2.0, 0.5, 0.5))
    voxels = np.argwhere(thin(mask))
    graph = NeuriteGraph(voxels * size, voxel_edges(voxels))
    longer = lead_on_tips(graph, graph, mask, size)
    assert betti(longer) == betti(graph)
    assert len(longer.tips) == len(graph.tips)
    np.testing.assert_array_equal(longer.junctions, graph.junctions)
    np.testing.assert_array_equal(longer.positions[: len(graph)], graph.positions)
    new = np.rint(longer.positions[len(graph) :] / size).astype(int)
    assert mask[tuple(new.T)].all()
    assert not set(map(tuple, new.tolist())) & set(map(tuple, voxels.tolist()))
    start, end = longer.positions[longer.edges[len(graph.edges) :].T] / size
    np.testing.assert_array_equal(np.abs(end - start).max(axis=1, initial=0), np.ones(len(new)))


def test_a_tip_stops_before_another_line() -> None:
    mask = np.pad(np.ones((7, 9, 30), dtype=bool), 2)
    along = [(5, 6, x) for x in range(4, 14)]
    across = [(5, y, 24) for y in range(3, 10)]
    edges = [(n, n + 1) for n in (*range(9), *range(10, 16))]
    graph = NeuriteGraph(np.array(along + across), np.array(edges))
    longer = lead_on_tips(graph, graph, mask, np.ones(3))
    new = longer.positions[len(graph) :]
    on_the_way = new[(new[:, 1] == 6) & (new[:, 2] > 13)]
    np.testing.assert_array_equal(on_the_way[:, 2], np.arange(14, 24))
    assert mask.sum() == 7 * 9 * 30


def test_a_tip_goes_the_way_of_its_branch_and_not_of_its_last_voxel() -> None:
    mask = np.zeros((9, 11, 40), dtype=bool)
    mask[2:7, 3:8, 2:38] = True
    line = [(4, 5, x) for x in range(4, 15)] + [(4, 6, 15)]
    graph = NeuriteGraph(np.array(line), np.array([(n, n + 1) for n in range(11)]))
    assert lead_on_tips(graph, graph, mask, np.ones(3)).positions[:, 2].max() >= 20


def test_a_line_of_single_voxels_ends_where_it_is_drawn() -> None:
    mask = np.zeros((1, 9, 30), dtype=bool)
    mask[0, 4, 5:25] = True
    assert graph_from_mask(mask, UNIT).length == pytest.approx(19)


def test_a_mask_without_an_outside_keeps_its_skeleton() -> None:
    graph = NeuriteGraph(np.array([(0.0, 0, 1), (0, 0, 2)]), np.array([(0, 1)]))
    assert lead_on_tips(graph, graph, np.ones((1, 1, 9), dtype=bool), np.ones(3)) is graph
