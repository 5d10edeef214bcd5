"""Folders of runs, written by hand: the phantom, its three bars traced from the corner."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from topodelin.delineation.run_folder import RunFolder
from topodelin.delineation.tracing.spots import Spot, ranked, write_spots
from topodelin.export import FinishedRun, open_run
from topodelin.graphs import NeuriteGraph, write_swc
from topodelin.volumes import create_ome_zarr, write_ome_zarr
from topodelin.volumes.volume import Volume

D_MAX = 6.0
CORNER = (0.0, 0.0, 0.0)
SPOTS = (
    Spot("gap", (1.5, 2.0, 0.5), 0.4, 3.25, (1, 2), "zwei Enden, 3 µm"),
    Spot("bright_end", CORNER, 0.9, 8.0, (1,), "the corner"),
    Spot("failed_cube", (4.5, 0.25, 9.5), 0.9, 16.0),
)


def bars() -> list[NeuriteGraph]:
    """The bars of the phantom: along z and y as one forking tree, along x as another. µm."""
    z, y, x = SPACING
    fork = NeuriteGraph(
        np.array([[0, 0, 0], [z, 0, 0], [3 * z, 0, 0], [0, 8 * y, 0]]),
        np.array([[0, 1], [1, 2], [0, 3]]),
        radii=np.array([0.5, 0.25, np.nan, 1.0]),
    )
    line = NeuriteGraph(np.array([[0, 0, 0], [0, 0, 19 * x]]), np.array([[0, 1]]))
    return [fork, line]


def write_run(
    folder: Path,
    graphs: Sequence[NeuriteGraph],
    *,
    image: Path | str | None = None,
    spacing: Sequence[float] | None = None,
    spots: Sequence[Spot] = SPOTS,
    **settings: Any,
) -> FinishedRun:
    """A finished run in a grid of half the phantom's resolution along y."""
    run = RunFolder(folder)
    run.trees.mkdir(parents=True)
    for number, graph in enumerate(graphs, 1):
        write_swc(run.trees / f"tree_{number:04d}.swc", graph)
    write_spots(run.spots, ranked(spots))
    run.seeds.write_text("z,y,x\n0.0,0.0,0.0\n3.0,0.0,0.0\n", encoding="utf-8")
    grid = (SPACING[0], 2 * SPACING[1], SPACING[2])
    shape = (SHAPE[0], 9, SHAPE[2])
    distances = create_ome_zarr(
        run.distance_map, shape=shape, spacing=grid, dtype=np.float32, chunks=(8, 16, 32),
        fill_value=D_MAX,
    )  # fmt: skip
    near = np.full(shape, D_MAX, np.float32)
    near[0, 0, :20], near[0, :5, 0], near[:2, 0, 0] = 1.5, 0.0, 0.0
    distances.write(distances.volume.box, near)
    known = {"path": str(image), "spacing": spacing} if image is not None else None
    settings = {"image": known, "search": {"d_max": D_MAX, "threshold": 2.5}, **settings}
    run.settings.write_text(json.dumps(settings), encoding="utf-8")
    return open_run(folder)


def phantom_npy(folder: Path) -> Path:
    np.save(folder / "phantom.npy", phantom())
    return folder / "phantom.npy"


def phantom_zarr(folder: Path, version: str = "0.4") -> Path:
    """The phantom with a pyramid, in nanometres and far from the origin, as some write it."""
    path = folder / "phantom.ome.zarr"
    write_ome_zarr(path, Volume(phantom(), SPACING), chunks=(4, 16, 16), version=version)
    file = path / (".zattrs" if version == "0.4" else "zarr.json")
    stored = json.loads(file.read_text())
    image = (stored if version == "0.4" else stored["attributes"]["ome"])["multiscales"][0]
    for axis in image["axes"]:
        axis["unit"] = "nanometer"
    for dataset in image["datasets"]:
        scale, shift = dataset["coordinateTransformations"]
        scale["scale"] = [1000 * um for um in scale["scale"]]
        shift["translation"] = [1000 * um + 7000 for um in shift["translation"]]
    file.write_text(json.dumps(stored))
    return path
