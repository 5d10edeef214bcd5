"""What `topodelin score` reads: tracings, masks and label volumes, alone or in folders."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from topodelin.cli.score_options import ScoreOptions
from topodelin.graphs import NeuriteGraph, graph_from_mask, joined, read_graph_json, read_swc

TRACINGS = (".swc", ".eswc", ".json")
VOLUMES = (".npy", ".tif", ".tiff", ".zarr")
SLICES = (".tif", ".tiff", ".png")


@dataclass(frozen=True, eq=False)
class Tracing:
    """A graph in µm, and the files it was read from."""

    path: str
    graph: NeuriteGraph
    files: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Voxels:
    """A volume of integers `(z, y, x)` and its voxel size, µm."""

    path: str
    values: np.ndarray
    spacing: tuple[float, float, float]

    @cached_property
    def holds_several(self) -> bool:
        """Whether there are two values or more beside 0."""
        there = self.values[self.values != 0]
        return bool(there.size) and bool(there.min() != there.max())


@dataclass(frozen=True, eq=False)
class Labels(Voxels):
    """Each value but 0 is a segment."""


@dataclass(frozen=True, eq=False)
class Mask(Voxels):
    """Neurite where not 0; side branches of its centreline below a length, µm, are pruned."""

    min_branch_um: float

    @cached_property
    def graph(self) -> NeuriteGraph:
        """The centreline."""
        return graph_from_mask(self.values != 0, self.spacing, min_branch_um=self.min_branch_um)


Side = Tracing | Mask | Labels


def read_pair(truth: str, traced: str, options: ScoreOptions) -> tuple[Side, Side]:
    """Both sides of a comparison; with volumes on either side, all are masks or all are labels."""
    units = options.units
    read = [_read(truth, units["truth"], options), _read(traced, units["traced"], options)]
    volumes = [side for side in read if isinstance(side, Voxels)]
    labels = options.volumes == "labels" or (
        options.volumes == "auto" and any(side.holds_several for side in volumes)
    )
    one, two = (_seen(side, labels, options) for side in read)
    return one, two


def is_volume(path: str) -> bool:
    """Whether a path is read as an image: everything but SWC and JSON files."""
    return Path(path).suffix.lower() not in TRACINGS


def is_folder_of_files(path: str) -> bool:
    """Whether a path is a folder that is no OME-Zarr image."""
    where = Path(path)
    inside = (".zgroup", ".zattrs", ".zarray", "zarr.json")
    return where.is_dir() and not any((where / name).exists() for name in inside)


def pairs(truth: str, traced: str) -> tuple[list[tuple[str, Path, Path]], list[str]]:
    """Files of two folders with the same stem, by name, and the names without a partner.

    Files in folders below pair by their path: `day1/a.swc` with `day1/a.json`.
    """
    here, there = (_by_stem(Path(folder), TRACINGS + VOLUMES) for folder in (truth, traced))
    both = sorted(here.keys() & there.keys())
    if not both:
        raise ValueError(
            f"{truth} and {traced} hold no files with the same stem, such as a.swc and a.json; "
            "rename them, or add --union if each folder is one tracing"
        )
    alone = [str(here.get(stem, there.get(stem))) for stem in sorted(here.keys() ^ there.keys())]
    return [(stem, here[stem], there[stem]) for stem in both], alone


def _read(path: str, unit: str | None, options: ScoreOptions) -> Tracing | Voxels:
    files = _tracing_files(path)
    if files:
        spacing = options.voxel if unit == "voxel" else None
        graphs = [
            read_graph_json(file)
            if file.suffix.lower() == ".json"
            else read_swc(file, unit=unit, spacing=spacing)
            for file in files
        ]
        return Tracing(path, graphs[0] if len(graphs) == 1 else joined(graphs), files)
    return _read_voxels(path, options)


def _tracing_files(path: str) -> tuple[Path, ...]:
    """The file, or those of a folder whose files are one tracing together; none for a volume."""
    if is_folder_of_files(path):
        files = tuple(_by_stem(Path(path), TRACINGS).values())
        if not files and not any(file.suffix.lower() in SLICES for file in Path(path).iterdir()):
            raise ValueError(
                f"{path}: holds no SWC or JSON files and no slices of a volume; check the path"
            )
        return files
    return () if is_volume(path) else (Path(path),)


def _read_voxels(path: str, options: ScoreOptions) -> Voxels:
    from topodelin.volumes import open_volume

    volume = open_volume(path, spacing=options.voxel)
    if len(volume.data.shape) == 4:
        raise ValueError(f"{path}: has several channels; give one of them as a mask or as labels")
    if volume.dtype.kind not in "iub":
        raise ValueError(
            f"{path}: a mask or label volume must hold integers, got {volume.dtype}; threshold it"
        )
    return Voxels(path, volume.read(volume.box), volume.spacing)


def _seen(side: Tracing | Voxels, labels: bool, options: ScoreOptions) -> Side:
    if isinstance(side, Tracing):
        return side
    if labels:
        return Labels(side.path, side.values, side.spacing)
    return Mask(side.path, side.values, side.spacing, options.min_branch_um)


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in _walk(folder):
        if path.suffix.lower() not in suffixes:
            continue
        stem = path.relative_to(folder).with_suffix("").as_posix().removesuffix(".ome")
        if stem in found:
            raise ValueError(
                f"{path.parent}: holds {found[stem].name} and {path.name} with the same stem; "
                "keep one of them there"
            )
        found[stem] = path
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Files and OME-Zarr images of a folder and of those below, in order; no hidden ones."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and path.suffix.lower() != ".zarr":
            if not path.is_symlink():  # which may lead back to where it stands
                yield from _walk(path)
        else:
            yield path
