"""The volumes that a run learns from or is judged on, on the target's grid, with their truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tifffile

from topodelin.annotation import centreline_mask, check_planes
from topodelin.graphs import NeuriteGraph, read_swc
from topodelin.training.config import TrainingConfig
from topodelin.training.config_data import Entry
from topodelin.training.rendered import RenderedVolume
from topodelin.training.targets import planes_centreline
from topodelin.volumes import (
    Box,
    IntensityRange,
    Spacing,
    Volume,
    VolumeError,
    intensity_range,
    open_volume,
    resample,
)

SLAB = 64  # slices of centreline looked at together


@dataclass(frozen=True)
class Stack:
    """An image on the target's grid, its brightness range and its centrelines.

    Args:
        name: as errors and scores call it.
        image: single-channel volume.
        brightness: that its voxels are normalised with.
        truth: centrelines, µm, in the frame of the image; empty where only `planes` are known.
        weight: how often it is drawn, relative to the others.
        rendered: whether it is synthetic.
        planes: True on the lines annotated in the projections along z, y and x, where the volume
            itself is not annotated.
    """

    name: str
    image: Volume
    brightness: IntensityRange
    truth: NeuriteGraph
    weight: float = 1.0
    rendered: bool = False
    planes: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def read(self, box: Box) -> np.ndarray:
        """The normalised voxels of a box inside the image, float32."""
        return self.brightness.normalize(self.image.read(box))

    @cached_property
    def centreline(self) -> np.ndarray:
        """(K, 3) voxels that the centrelines pass, in order."""
        if self.planes is not None:
            return planes_centreline(self.planes, self.image.shape)
        depth, height, width = self.image.shape
        found = [np.zeros((0, 3), np.int64)]
        for first in range(0, depth, SLAB):
            shape = (min(SLAB, depth - first), height, width)
            origin = (first, 0, 0)
            mask = centreline_mask(self.truth, shape, self.image.spacing, origin=origin)
            found.append(np.argwhere(mask) + origin)
        return np.concatenate(found)


def open_stacks(
    entries: Sequence[Entry], rendered: Iterable[RenderedVolume], config: TrainingConfig
) -> list[Stack]:
    """The stacks of some entries of the configuration.

    Args:
        entries: real stacks and sets of rendered volumes.
        rendered: the volumes of all those sets, in order.
        config: target spacing, percentiles, and how much is held in memory: stacks are loaded in
            the order given until `data.memory_gb` is used up, the others are read box by box.
    """
    volumes = iter(rendered)
    stacks, memory = [], config.data.memory_gb * 1e9
    for entry in entries:
        count, planes = entry.rendered.count if entry.rendered else 1, None
        for index in range(count):
            if entry.rendered:
                made = next(volumes)
                name, graph = f"rendered volume {index}", made.graph
                volume = Volume(made.image, made.spacing)
            else:
                name, volume, graph = _open_real(entry)
                if entry.projections is not None:
                    planes = _read_planes(entry, volume, config.target.spacing)
            # in its own spacing, as the volumes that the network will be used on
            brightness = intensity_range(volume, percentiles=config.data.percentiles)
            volume = resample(volume, config.target.spacing)
            size = int(np.prod(volume.shape)) * volume.dtype.itemsize
            if size <= memory:
                volume, memory = Volume(volume.read(volume.box), volume.spacing), memory - size
            stacks.append(
                Stack(
                    name,
                    volume,
                    brightness,
                    graph,
                    entry.weight,
                    entry.rendered is not None,
                    planes,
                )
            )
    return stacks


def _open_real(entry: Entry) -> tuple[str, Volume, NeuriteGraph]:
    assert entry.image is not None  # `Entry` holds it where nothing is rendered
    try:
        volume = open_volume(entry.image, spacing=entry.spacing)
    except VolumeError as error:
        if "--spacing" not in str(error):
            raise
        raise VolumeError(f"{error}; in a run's YAML: `spacing: [z, y, x]` beside it") from None
    if len(volume.data.shape) != 3:
        raise ValueError(
            f"{entry.image}: a training stack must have one channel, "
            f"got shape {tuple(volume.data.shape)}"
        )
    if entry.truth is None:
        return entry.image.name, volume, NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    spacing: Spacing | None = volume.spacing if entry.unit == "voxel" else None
    graph = read_swc(entry.truth, unit=entry.unit, spacing=spacing)
    extent = (np.array(volume.shape) - 1) * volume.spacing
    inside = ((graph.positions >= -5) & (graph.positions <= extent + 5)).all(axis=1)
    if inside.mean() < 0.5:
        raise ValueError(
            f"{entry.truth}: {np.mean(~inside):.0%} of the tracing lies outside its image of "
            f"{_um(extent)} µm (z, y, x); set `unit: voxel` if its coordinates are voxels, and "
            "check `spacing`"
        )
    return entry.image.name, volume, graph


def _read_planes(
    entry: Entry, volume: Volume, target: Spacing
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The annotated projections of an entry, True on their lines."""
    assert entry.projections is not None
    if not np.allclose(volume.spacing, target, rtol=1e-3):
        raise ValueError(
            f"{entry.image}: a stack annotated in projections must have the spacing of the target, "
            f"{target}, got {volume.spacing}: pixels of a line cannot be resampled; set "
            "`target.spacing` to that of the stack"
        )
    planes = []
    for path in entry.projections:
        try:
            plane = np.asarray(tifffile.imread(path))
        except (tifffile.TiffFileError, ValueError) as error:
            raise ValueError(f"{path}: must be a TIFF of one plane, got {error}") from None
        planes.append(plane != 0)
    try:
        check_planes(planes, volume.shape)
    except ValueError as error:
        raise ValueError(f"{entry.image}: `projections`: {error}") from None
    z, y, x = planes
    return z, y, x


def _um(extent: np.ndarray) -> str:
    return " x ".join(f"{value:.0f}" for value in extent)
