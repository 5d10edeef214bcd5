"""What `topodelin score` reads: tracings, masks and label volumes, alone or in folders of pairs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topodelin.graphs import NeuriteGraph, graph_from_mask, read_graph_json, read_swc

TRACINGS = (".swc", ".json")
VOLUMES = (".npy", ".tif", ".tiff", ".zarr")


@dataclass(frozen=True)
class Labels:
    """A label volume and its voxel size, µm `(z, y, x)`."""

    volume: np.ndarray
    spacing: tuple[float, float, float]


def is_volume(path: str) -> bool:
    """Whether a path is read as an image: everything but SWC and JSON files."""
    return Path(path).suffix.lower() not in TRACINGS


def is_folder_of_files(path: str) -> bool:
    """Whether a path is a folder that is no OME-Zarr image."""
    where = Path(path)
    inside = (".zgroup", ".zattrs", ".zarray", "zarr.json")
    return where.is_dir() and not any((where / name).exists() for name in inside)


def pairs(truth: str, traced: str) -> tuple[list[tuple[str, Path, Path]], list[str]]:
    """Files of two folders with the same stem, by name, and the names without a partner."""
    here, there = (_by_stem(Path(folder)) for folder in (truth, traced))
    both = sorted(here.keys() & there.keys())
    if not both:
        raise ValueError(
            f"{truth} and {traced} hold no files with the same stem, such as a.swc and a.json; "
            "rename them"
        )
    alone = [str(here.get(stem, there.get(stem))) for stem in sorted(here.keys() ^ there.keys())]
    return [(stem, here[stem], there[stem]) for stem in both], alone


def read(
    path: str,
    *,
    unit: str,
    spacing: tuple[float, float, float] | None,
    volumes: str,
    min_branch_um: float,
) -> NeuriteGraph | Labels:
    """A tracing in µm, from an SWC or JSON file or from a mask, or a label volume."""
    suffix = Path(path).suffix.lower()
    if suffix == ".swc":
        return read_swc(path, unit=unit, spacing=spacing if unit == "voxel" else None)
    if suffix == ".json":
        return read_graph_json(path)
    from topodelin.volumes import open_volume

    volume = open_volume(path, spacing=spacing)
    if len(volume.data.shape) == 4:
        raise ValueError(f"{path}: has several channels; give one of them as a mask or as labels")
    voxels = volume.read(volume.box)
    if voxels.dtype.kind not in "iub":
        raise ValueError(
            f"{path}: a mask or label volume must hold integers, got {voxels.dtype}; threshold it"
        )
    values = np.unique(voxels)
    if volumes == "labels" or (volumes == "auto" and np.count_nonzero(values) > 1):
        return Labels(voxels, volume.spacing)
    return graph_from_mask(voxels != 0, volume.spacing, min_branch_um=min_branch_um)


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in TRACINGS + VOLUMES:
            continue
        stem = path.stem.removesuffix(".ome")
        if stem in found:
            raise ValueError(
                f"{folder}: holds {found[stem].name} and {path.name} with the same stem; "
                "keep one of them there"
            )
        found[stem] = path
    return found
