"""Radii of drawn tubes, whatever their direction and the spacing."""

import numpy as np
import pytest

from topodelin.delineation.tracing.cross_section import image_radii, mask_radii
from topodelin.graphs import NeuriteGraph
from topodelin.volumes import Volume


def tube(
    radius: float, spacing: tuple[float, float, float], direction: tuple[float, float, float]
) -> tuple[Volume, NeuriteGraph]:
    """A tube with an edge of one finest voxel, 200 grey values on 20, and nodes in its middle."""
    shape = tuple(int(24 / step) for step in spacing)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) * spacing
    middle, along = np.full(3, 11.5), np.array(direction) / np.linalg.norm(direction)
    away = grid - middle
    apart = np.linalg.norm(away - (away @ along)[..., None] * along, axis=-1)
    inside = np.clip((radius - apart) / min(spacing) + 0.5, 0, 1)
    positions = middle + np.arange(-4, 5)[:, None] * along
    edges = np.stack([np.arange(8), np.arange(1, 9)], axis=1)
    return Volume((20 + 200 * inside).astype(np.float32), spacing), NeuriteGraph(positions, edges)


@pytest.mark.parametrize("radius", [0.8, 1.5, 3.0])
@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 1, 1), (1, 0, 2)])
@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.4, 0.4)])
def test_the_radius_of_a_tube_is_found_to_a_sixth_of_a_voxel(
    radius: float, direction: tuple, spacing: tuple
) -> None:
    volume, graph = tube(radius, spacing, direction)
    noisy = np.asarray(volume.data) + np.random.default_rng(0).normal(0, 5, volume.shape)
    for image in (volume, Volume(noisy, spacing)):
        found = image_radii(graph, image)
        np.testing.assert_allclose(found, radius, atol=0.15 * max(spacing))


def test_a_neighbour_beside_it_does_not_count() -> None:
    volume, graph = tube(1.5, (0.5, 0.5, 0.5), (0, 0, 1))
    image = np.array(volume.data)
    image[:, 25:, :] = 220.0  # a wall that the tube runs along, 1 um from its middle
    found = image_radii(graph, Volume(image, volume.spacing))
    np.testing.assert_allclose(found, 1.5, atol=0.3)


def test_the_mask_of_a_distance_map_has_the_radius_of_its_threshold() -> None:
    volume, graph = tube(1.5, (0.5, 0.5, 0.5), (0, 0, 1))
    z, y = np.indices(volume.shape[:2]) * 0.5
    apart = np.minimum(np.hypot(z - 11.5, y - 11.5) / 0.5, 8.0)
    flat = np.repeat(apart[:, :, None], volume.shape[2], axis=2).astype(np.float32)
    read = Volume(flat, volume.spacing)
    np.testing.assert_allclose(mask_radii(graph, read.read, read, 3.0), 1.5, atol=0.05)


def test_without_contrast_there_is_no_radius() -> None:
    _, graph = tube(1.5, (0.5, 0.5, 0.5), (0, 0, 1))
    flat = Volume(np.full((48, 48, 48), 7.0, np.float32), (0.5, 0.5, 0.5))
    assert np.isnan(image_radii(graph, flat)).all()


def test_only_boxes_around_the_neurite_are_read() -> None:
    volume, graph = tube(0.8, (0.5, 0.5, 0.5), (0, 0, 1))
    big = Volume(np.pad(np.asarray(volume.data), ((0, 0), (0, 200), (0, 0))), volume.spacing)
    boxes: list[slice] = []

    class Watched:
        shape, dtype = big.data.shape, big.data.dtype

        def __getitem__(self, key: tuple) -> np.ndarray:
            boxes.append(key[1])
            return big.data[key]

    image_radii(graph, Volume(Watched(), volume.spacing))
    assert boxes
    assert all(part.stop < 60 for part in boxes)
