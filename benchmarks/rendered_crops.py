"""Rendered volumes with exact and with degraded truth, and random crops of them.

Isotropic voxels of 0.5 µm, thin neurites of medium brightness with dark stretches, parallel
neighbours and crossings; the degraded truth is what a person might have traced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from topodelin.annotation import (
    Microscope,
    degrade_annotation,
    graph_distance_map,
    random_neurites,
    render_microscopy,
)
from topodelin.graphs import NeuriteGraph
from topodelin.losses import VoxelGraph, crop_graph, min_projections
from topodelin.volumes import Volume, intensity_range

SPACING = (0.5, 0.5, 0.5)
D_MAX = 10.0
SHIFT_UM = 0.3  # along each axis: together about one voxel
MEDIUM = Microscope(photons=5.0, gap_share=0.1, gap_length=2.5, axial_sigma=0.8)


@dataclass(frozen=True)
class Rendered:
    """A volume: normalised image, exact graph, degraded graph (µm) and the map of the latter."""

    image: np.ndarray
    truth: NeuriteGraph
    annotation: NeuriteGraph
    distances: np.ndarray


def render(seed: Sequence[int], size: int) -> Rendered:
    """One volume of `size` voxels along each axis."""
    rng = np.random.default_rng(list(seed))
    extent = [(size - 1) * step for step in SPACING]
    truth = random_neurites(
        rng,
        extent,
        trees=(4, 7),
        length_um=(40.0, 200.0),
        radius_um=(0.15, 0.4),
        branch_every_um=(10.0, 60.0),
        neighbour_gap_um=(2.0, 6.0),
    )
    image = render_microscopy(truth, (size,) * 3, SPACING, rng, MEDIUM)
    volume = Volume(image, SPACING)
    normalised = intensity_range(volume).normalize(image)
    annotation = degrade_annotation(truth, rng, shift_um=SHIFT_UM)
    distances = graph_distance_map(annotation, (size,) * 3, SPACING, D_MAX)
    return Rendered(normalised.astype(np.float32), truth, annotation, distances)


def draw(
    volumes: Sequence[Rendered], seed: Sequence[int], crop: int, batch: int, least: int = 60
) -> tuple[Tensor, dict[str, object]]:
    """A batch of crops with at least `least` centreline voxels, flipped and with axes exchanged.

    Returns the images and everything that any loss takes: distance maps, their projections made
    from the volume, and graphs in voxels of the crop.
    """
    rng = np.random.default_rng(list(seed))
    images, maps, graphs = [], [], []
    while len(images) < batch:
        volume = volumes[int(rng.integers(len(volumes)))]
        begin = rng.integers(0, np.array(volume.image.shape) - crop + 1)
        box = tuple(slice(int(b), int(b) + crop) for b in begin)
        if np.count_nonzero(volume.distances[box] == 0) < least:
            continue
        axes, flips = rng.permutation(3), rng.random(3) < 0.5
        images.append(_turn(volume.image[box], axes, flips))
        maps.append(_turn(volume.distances[box], axes, flips))
        whole = VoxelGraph.of(volume.annotation, SPACING)
        part = crop_graph(whole, begin.tolist(), (begin + crop).tolist())
        positions, frozen = part.positions[:, axes], part.frozen[:, axes]
        positions = np.where(flips, crop - 1 - positions, positions)
        graphs.append(VoxelGraph(positions, part.edges, np.ascontiguousarray(frozen)))
    target = torch.from_numpy(np.stack(maps)[:, None])
    annotation = {
        "distance_map": target,
        "projections": tuple(min_projections(target)),
        "graphs": tuple(graphs),
    }
    return torch.from_numpy(np.stack(images)[:, None]), annotation


def _turn(array: np.ndarray, axes: np.ndarray, flips: np.ndarray) -> np.ndarray:
    turned = array.transpose(axes)
    return np.ascontiguousarray(np.flip(turned, tuple(np.flatnonzero(flips).tolist())))
