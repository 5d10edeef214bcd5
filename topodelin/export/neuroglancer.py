"""A run for neuroglancer: skeletons, suspicious spots, image and distance map, and a state."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topodelin.delineation.tracing.spots import KINDS, Spot
from topodelin.export.exported import Exported
from topodelin.export.finished_run import FinishedRun
from topodelin.export.fresh_folder import fresh_folder
from topodelin.export.image_preview import MAX_VOXELS, too_far, write_preview
from topodelin.export.neuroglancer_state import Scene, neuroglancer_state
from topodelin.export.node_confidence import node_confidence
from topodelin.export.precomputed_annotations import Property, write_points
from topodelin.export.precomputed_skeletons import (
    Skeleton,
    write_skeleton,
    write_skeleton_info,
)
from topodelin.export.zarr_description import zarr_image
from topodelin.volumes import Volume
from topodelin.volumes.locations import is_url
from topodelin.volumes.ome_zarr import is_zarr

Progress = Callable[[int, int], None]
BASE = "http://127.0.0.1:8000"  # in state.json; the server puts its own address there
KIND = "neuroglancer"


@dataclass(frozen=True)
class NeuroglancerExport(Exported):
    """Files for neuroglancer, and the zarr folders elsewhere that they describe.

    Args:
        stores: below which name of the folder which folder of arrays is to be served as well.
    """

    stores: tuple[tuple[str, Path], ...] = ()


def export_neuroglancer(
    run: FinishedRun,
    folder: Path,
    *,
    max_voxels: int = MAX_VOXELS,
    progress: Progress | None = None,
) -> NeuroglancerExport:
    """Write everything that neuroglancer needs to show a run.

    The folder gets `skeletons/` (one file for each neuron, their names and lengths), `spots/` and
    `seeds/` (annotations), `image/` and `distance_map/` (a description of the zarr arrays, which
    stay where they are, or a copy of what is not zarr), and `state.json`.

    Args:
        run: finished or stopped; without trees, spots or image those layers are empty.
        folder: to create; an earlier export in it is replaced.
        max_voxels: of the copy of an image that is not zarr; coarser than that where need be.
        progress: called with the number of bands of such a copy done and their total.

    Raises:
        ValueError: the folder holds other files, or the image is not where the run says.
    """
    with fresh_folder(folder, KIND) as draft:
        distance_map = run.distance_map
        image = None if run.image_place is None else run.image
        stores, notes = [], []
        source = None
        for name, volume, path, reduce in (
            ("image", image, run.image_place, "mean"),
            ("distance_map", distance_map, run.distance_map_place, "min"),
        ):
            if volume is None or path is None:
                notes.append("the run does not say which image was traced; name it with --image")
                continue
            if name == "image" and (far := _zarr_url(path)):
                notes.append(f"image: shown from {path}, placed as its own metadata say")
                source = far
                continue
            if refused := too_far(path, volume, max_voxels):
                notes.append(f"{name}: {refused}")
                continue
            store = _layer(draft / name, volume, path, reduce, max_voxels, progress)
            source = source or (f"{BASE}/image" if name == "image" else None)
            if isinstance(store, Path):
                stores.append((name, store))
            elif store:
                notes.append(f"{name}: {store}")
        frame = image or distance_map
        skeletons = list(_skeletons(draft / "skeletons", run, distance_map))
        write_skeleton_info(draft / "skeletons", skeletons)
        edge = np.array(frame.spacing)
        low, high = -edge / 2, (np.array(frame.shape) - 0.5) * edge
        spots, seeds = run.spots, run.seeds
        _write_spots(draft / "spots", spots, low, high)
        write_points(draft / "seeds", seeds, low, high)
        longest = sorted(skeletons, key=lambda skeleton: -skeleton.length_um)
        scene = Scene(
            frame.spacing,
            frame.shape,
            source,
            run.grey_range(image) if image and source else None,
            run.d_max,
            [skeleton.number for skeleton in longest],
            spots,
            seeds,
        )
        state = neuroglancer_state(scene, BASE)
        text = json.dumps(state, indent=1, ensure_ascii=False)
        (draft / "state.json").write_text(text + "\n", encoding="utf-8")
    names = ("state.json", "skeletons", "spots", "seeds", "image", "distance_map")
    paths = tuple(folder / name for name in names if (folder / name).exists())
    serve = f"topodelin export neuroglancer {shlex.quote(str(run.folder.path))} --serve"
    if run.image_path is not None:
        serve += f" --image {shlex.quote(run.image_path)}"
    return NeuroglancerExport(folder, paths, serve, tuple(notes), tuple(stores))


def _layer(
    folder: Path,
    volume: Volume,
    path: str,
    reduce: str,
    max_voxels: int,
    progress: Progress | None,
) -> Path | str:
    """Describe the zarr arrays at `path` and return their folder, or copy the volume and say so."""
    described = zarr_image(Path(path), volume.spacing) if is_zarr(Path(path)) else None
    if described is not None:
        described.describe(folder)
        return described.root
    factors = write_preview(folder, volume, reduce=reduce, max_voxels=max_voxels, progress=progress)
    if factors == (1, 1, 1):
        return ""
    merged = " x ".join(map(str, factors))
    return f"shown coarser, {merged} voxels (z, y, x) as one; convert it to OME-Zarr to see all"


def _zarr_url(path: str) -> str | None:
    """The address of zarr at a URL, which neuroglancer reads itself."""
    address = path.removeprefix("zarr://")
    far = is_url(path) and (path.startswith("zarr://") or address.rstrip("/").endswith(".zarr"))
    return address.rstrip("/") if far else None


def _skeletons(folder: Path, run: FinishedRun, distance_map: Volume) -> Iterator[Skeleton]:
    folder.mkdir()
    for number, name, graph in run.numbered_graphs():
        confidence = node_confidence(distance_map, graph.positions, run.d_max)
        yield write_skeleton(folder, number, name, graph, confidence)


def _write_spots(folder: Path, spots: list[Spot], low: np.ndarray, high: np.ndarray) -> None:
    write_points(
        folder,
        np.array([spot.position for spot in spots], dtype=np.float64).reshape(-1, 3),
        low,
        high,
        properties=(
            Property("rank", "uint32", range(1, len(spots) + 1)),
            Property("severity", "float32", [spot.severity for spot in spots]),
            Property("size_um", "float32", [spot.size_um for spot in spots]),
            Property("kind", "uint8", [KINDS.index(spot.kind) for spot in spots], KINDS),
        ),
        related={"tree": [spot.trees for spot in spots]},
    )
