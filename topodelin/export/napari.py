"""A run for napari: a script that anybody can read, and the data it opens."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.delineation.run_folder import write_whole
from topodelin.delineation.tracing.spots import write_spots
from topodelin.export.exported import Exported
from topodelin.export.finished_run import FinishedRun
from topodelin.export.fresh_folder import fresh_folder
from topodelin.export.image_preview import MAX_VOXELS, too_far, write_preview
from topodelin.export.node_confidence import node_confidence
from topodelin.export.zarr_description import ZarrImage, zarr_image
from topodelin.volumes import Volume, open_volume, tiff
from topodelin.volumes.npy import MAGIC as NPY_MAGIC
from topodelin.volumes.ome_zarr import is_zarr

Progress = Callable[[int, int], None]
KIND = "napari"
SCRIPT = Path(__file__).with_name("open_in_napari.py")


def export_napari(
    run: FinishedRun,
    folder: Path,
    *,
    max_voxels: int = MAX_VOXELS,
    progress: Progress | None = None,
) -> Exported:
    """Write `open_in_napari.py` and what it opens: neurons, spots, seeds, and where the images are.

    The script needs napari and not topodelin. OME-Zarr, TIFF and `.npy` are opened where they are,
    and nothing of them is read until it is looked at; any other image is copied to `image/`,
    coarser where it has more than `max_voxels`.

    Args:
        run: finished or stopped; without trees, spots or image those layers are missing.
        folder: to create; an earlier export in it is replaced.
        max_voxels: of such a copy.
        progress: called with the number of bands of such a copy done and their total.

    Raises:
        ValueError: the folder holds other files, or the image is not where the run says.
    """
    images: dict[str, Any] = {}
    notes = []
    with fresh_folder(folder, KIND) as draft:
        image = None if run.image_place is None else run.image
        distance_map = run.distance_map
        if image is None or run.image_place is None:
            notes.append("the run does not say which image was traced; name it with --image")
        elif refused := too_far(run.image_place, image, max_voxels):
            notes.append(f"image: {refused}")
        else:
            found = _image(run.image_place, image, draft, "image", max_voxels, progress)
            grey = run.grey_range(image)
            images["image"] = found | {"range": [grey.low, grey.high], "visible": True}
        found = _image(
            run.distance_map_place, distance_map, draft, "distance_map", max_voxels, progress
        )
        shown = {"range": [0.0, run.d_max], "visible": "image" not in images}
        images["distance map"] = found | shown
        for name, scene in images.items():
            if scene.pop("merged", None):
                notes.append(f"{name}: shown coarser; convert it to OME-Zarr to see all")
            if scene.pop("inside", False):
                continue
            scene["path"] = _portable(Path(scene["path"]), run.folder.path, folder)
        _write_neurons(draft / "neurons.npz", run, distance_map)
        write_spots(draft / "spots.csv", run.spots)
        lines = [",".join(f"{value:.4f}" for value in seed) for seed in run.seeds.tolist()]
        write_whole(draft / "seeds.csv", "\n".join(["z,y,x", *lines]) + "\n")
        write_whole(
            draft / "scene.json",
            json.dumps({"images": images}, indent=1, ensure_ascii=False) + "\n",
        )
        shutil.copyfile(SCRIPT, draft / SCRIPT.name)
    names = (SCRIPT.name, "scene.json", "neurons.npz", "spots.csv", "seeds.csv")
    paths = tuple(folder / name for name in names)
    step = f"python {folder / SCRIPT.name}   # with napari installed; N and B walk the spots"
    return Exported(folder, paths, step, tuple(notes))


def _image(
    path: str,
    volume: Volume,
    draft: Path,
    name: str,
    max_voxels: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """How the script is to open an image: where, in which format, and where it lies in µm."""
    where = Path(path).resolve()
    scene: dict[str, Any] = {"spacing": list(volume.spacing), "translate": [0.0, 0.0, 0.0]}
    zarr = zarr_image(where, volume.spacing) if is_zarr(where) else None
    if zarr is not None:
        return scene | _zarr(zarr)
    plain = _format(where)
    if plain is not None:
        return scene | {"path": str(where), "format": plain}
    reduce = "mean" if name == "image" else "min"
    factors = write_preview(
        draft / name, volume, reduce=reduce, max_voxels=max_voxels, progress=progress
    )
    copy = zarr_image(draft / name, open_volume(draft / name).spacing)
    shift = [0.5 * (f - 1) * edge for f, edge in zip(factors, volume.spacing, strict=True)]
    coarse = [f * edge for f, edge in zip(factors, volume.spacing, strict=True)]
    placed = {"spacing": coarse, "translate": shift, "path": name, "inside": True}
    return (_zarr(copy) if copy else {}) | placed | {"merged": factors != (1, 1, 1)}


def _zarr(image: ZarrImage) -> dict[str, Any]:
    names = [level.path for level in image.levels]
    return {"path": str(image.root), "format": "zarr", "levels": names, "axes": image.axes}


def _format(path: Path) -> str | None:
    """What the script opens without help, by what the file begins with."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(8)
    if start[:4] in tiff.MAGIC:
        return "tiff"
    return "npy" if start.startswith(NPY_MAGIC) else None


def _portable(path: Path, run: Path, folder: Path) -> str:
    """Relative to the export where both are in the folder of the run, so that it can be moved."""
    inside = run.resolve()
    if path.is_relative_to(inside) and folder.resolve().is_relative_to(inside):
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    return str(path)


def _write_neurons(path: Path, run: FinishedRun, distance_map: Volume) -> None:
    """Edges of all neurons: start and step in µm, number of the tree, confidence."""
    starts, steps, trees, sure = [], [], [], []
    for number, _, graph in run.numbered_graphs():
        first, last = graph.edges.T
        places = graph.positions
        confidence = node_confidence(distance_map, graph.positions, run.d_max)
        starts.append(places[first].astype(np.float32))
        steps.append((places[last] - places[first]).astype(np.float32))
        trees.append(np.full(len(graph.edges), number, np.int32))
        sure.append(np.minimum(confidence[first], confidence[last]))
    np.savez_compressed(
        path,
        start=np.concatenate([*starts, np.zeros((0, 3), np.float32)]),
        step=np.concatenate([*steps, np.zeros((0, 3), np.float32)]),
        tree=np.concatenate([*trees, np.zeros(0, np.int32)]),
        confidence=np.concatenate([*sure, np.zeros(0, np.float32)]),
    )
