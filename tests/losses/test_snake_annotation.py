"""A lab repairs its traces: the annotation slides to the neurite and leaves as an SWC file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.losses.snake_drawings import bow, empty, fork, map_of, noise
from topodelin.graphs import check_swc, nearest_on_segments, read_swc, write_swc
from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.losses.snake import adjust_graph
from topodelin.losses.voxel_graph import VoxelGraph, crop_graph

SHAPE = (20, 20, 20)
SPACING = (2.0, 0.5, 0.5)  # µm, the finest edge is the unit of the map
IN_UNITS = (4.0, 1.0, 1.0)


def distance_between(graph: NeuriteGraph, truth: NeuriteGraph) -> float:
    """Mean distance, µm, from the nodes of each graph to the other."""
    there = nearest_on_segments(graph.positions, truth).distances.mean()
    back = nearest_on_segments(truth.positions, graph).distances.mean()
    return float(there + back) / 2


def jittered(graph: VoxelGraph, sigma: float) -> VoxelGraph:
    shifts = np.random.default_rng(0).normal(0, sigma, graph.positions.shape)
    return VoxelGraph(graph.positions + shifts, graph.edges)


def test_a_displaced_trace_moves_to_the_neurite_and_is_written(tmp_path: Path) -> None:
    origin = (5, 40, 60)
    neurite, annotation = bow(3, shift=1.5), jittered(bow(3), 0.5)
    prediction = map_of(neurite, SHAPE)
    prediction = prediction + noise(0, prediction.shape, 0.3)
    adjusted = adjust_graph(prediction[0, 0], annotation, steps=40)

    truth = neurite.to_neurite_graph((1, 1, 1), origin)
    before = annotation.to_neurite_graph((1, 1, 1), origin)
    write_swc(tmp_path / "adjusted.swc", adjusted.to_neurite_graph((1, 1, 1), origin))
    assert not check_swc(tmp_path / "adjusted.swc")
    after = read_swc(tmp_path / "adjusted.swc")
    assert len(after) == len(annotation) and len(after.edges) == len(annotation.edges)
    assert distance_between(after, truth) < 0.25 * distance_between(before, truth)


def test_it_moves_in_micrometres_where_voxels_are_long(tmp_path: Path) -> None:
    volume = VoxelGraph.of(bow(3).to_neurite_graph((1, 1, 1)), SPACING, (0, 0, 0))
    neurite = crop_graph(volume, (0, 0, 0), (12, 40, 40))
    shifted = VoxelGraph(neurite.positions + (0.4, 1, 1), neurite.edges)
    annotation = crop_graph(shifted, (0, 0, 0), (12, 40, 40))
    prediction = map_of(neurite, (12, 40, 40), spacing=IN_UNITS)
    adjusted = adjust_graph(prediction[0, 0], annotation, steps=60, spacing=IN_UNITS)
    truth = neurite.to_neurite_graph(SPACING)
    before = distance_between(annotation.to_neurite_graph(SPACING), truth)
    after = distance_between(adjusted.to_neurite_graph(SPACING), truth)
    assert after < 0.4 * before


def test_junctions_pieces_and_frozen_coordinates_survive() -> None:
    annotation = fork(0, SHAPE)
    adjusted = adjust_graph(map_of(bow(3), SHAPE)[0, 0], annotation)
    assert np.array_equal(adjusted.edges, annotation.edges)
    assert np.array_equal(adjusted.frozen, annotation.frozen)
    held = annotation.frozen
    assert np.array_equal(adjusted.positions[held], annotation.positions[held])
    assert (adjusted.positions != annotation.positions).any()


@pytest.mark.parametrize("dims", [2, 3])
def test_an_empty_annotation_stays_empty(dims: int) -> None:
    assert len(adjust_graph(torch.zeros((9,) * dims), empty(dims))) == 0


def test_no_gradient_is_kept() -> None:
    prediction = map_of(bow(2), (20, 20))[0, 0].requires_grad_()
    assert isinstance(adjust_graph(prediction, bow(2)).positions, np.ndarray)


@pytest.mark.parametrize("shape", [(20,), (1, 1, 20, 20)])
def test_a_map_with_other_axes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`prediction` must be"):
        adjust_graph(torch.zeros(shape), bow(2))
