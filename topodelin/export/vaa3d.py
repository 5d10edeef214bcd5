"""A run as pictures and drawings for Vaa3D."""

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from topodelin.annotation.overlay import CLIP, FACTOR, POWER
from topodelin.export.disk_space import check_room
from topodelin.export.exported import Exported
from topodelin.export.finished_run import FinishedRun
from topodelin.export.frame import Frame
from topodelin.export.overlay_volume import OverlayRecipe, overlay_source
from topodelin.export.preview import preview, preview_blocks
from topodelin.export.vaa3d_drawings import run_markers, write_drawings
from topodelin.graphs import Marker, NeuriteGraph, write_eswc, write_swc
from topodelin.volumes import Box, Volume
from topodelin.volumes.tiff_writer import write_tiff_stack
from topodelin.volumes.vaa3d import open_v3d, write_v3draw

MARGIN_UM = 10.0
MAX_VOXELS = 1 << 28  # 512 x 1024 x 512
MAX_TOTAL_VOXELS = 1 << 32
PREVIEW = 512
PREVIEW_NAME = "preview"

Progress = Callable[[int, int], None]


NEXT_STEP = (
    "in Vaa3D drag {picture} into the window (the .tif holds the same voxels), press Ctrl+V for "
    "the 3D view, and drag the .vox.swc and .apo of the same name into it; the .ano names them all"
)


def export_vaa3d(
    run: FinishedRun,
    folder: Path,
    *,
    dtype: str = "uint8",
    colour: str = "grey",
    clip: float = CLIP,
    power: float = POWER,
    factor: float = FACTOR,
    box: Box | None = None,
    longest: int = PREVIEW,
    max_voxels: int = MAX_VOXELS,
    max_total_voxels: int = MAX_TOTAL_VOXELS,
    margin_um: float = MARGIN_UM,
    progress: Progress | None = None,
) -> Exported:
    """Write overlays, tracings and markers of a run as files that Vaa3D opens.

    The folder gets, of the whole image scaled down and of pieces at full resolution, the overlay as
    `NAME.v3draw` and `NAME.tif`, the tracings in its voxels as `NAME.vox.swc` and `NAME.vox.eswc`,
    seeds and suspicious spots as `NAME.apo`, and `NAME.ano` that names them; and in `um/` every
    neuron in µm. The pieces are the whole image, where it is small enough; else the surroundings of
    each neuron.

    Args:
        run: as opened by `open_run`.
        folder: made if needed; files of the same names are replaced.
        dtype: "uint8" or "uint16".
        colour: "grey", or "rgb": image in red and blue, distance map in green.
        clip, power, factor: of the overlay; see `topodelin.annotation.overlay`.
        box: voxels of the image `(z, y, x)`: write this piece, and no other at full resolution.
        longest: voxels of the preview along its longest axis.
        max_voxels: of one piece.
        max_total_voxels: of all pieces together.
        margin_um: around each neuron.
        progress: called with the number of slices done and their total, of one file after another.

    Raises:
        ValueError: a box outside the image or larger than `max_voxels`; too much for the disk or
            for `max_total_voxels`; the image is not there.
    """
    recipe = OverlayRecipe(dtype, colour, clip, power, factor)
    source = overlay_source(run, recipe)
    image = source.image
    graphs = dict(run.graphs())
    pieces, skipped = _pieces(image, graphs, box, max_voxels, margin_um)
    total = sum(piece.size for piece in pieces.values())
    if total > max_total_voxels:
        raise ValueError(
            f"the surroundings of {len(pieces)} neurons have {total:,} voxels, more than "
            f"`max_total_voxels` = {max_total_voxels:,}; name a box, or use `topodelin export "
            "terafly`"
        )
    overlays = {name: source.volume(piece) for name, piece in pieces.items()}
    folder.mkdir(parents=True, exist_ok=True)
    bytes_each = np.dtype(dtype).itemsize * prod(recipe.channels)
    small = Frame.of_blocks(image, preview_blocks(image, longest))
    needed = 2 * bytes_each * (total + prod(small.shape))  # v3draw and TIFF
    check_room(folder, needed, "name a smaller box or another folder")
    markers = run_markers(run)
    drawn = list(graphs.values())
    paths: list[Path] = []
    if small.shape != image.shape:
        volume, frame = preview(run, source, longest=longest, progress=progress)
        paths += _picture(folder, PREVIEW_NAME, volume, frame, drawn, markers, progress)
    for name, volume in overlays.items():
        frame = Frame.of_box(image, pieces[name])
        paths += _picture(folder, name, volume, frame, drawn, markers, progress)
    _write_in_micrometres(folder / "um", graphs)
    paths.append(folder / "um")
    notes = [
        f"{name} are too many for one picture; see --box and export terafly" for name in skipped
    ]
    return Exported(folder, tuple(paths), NEXT_STEP.format(picture=paths[0].name), tuple(notes))


def _pieces(
    image: Volume,
    graphs: dict[str, NeuriteGraph],
    box: Box | None,
    max_voxels: int,
    margin_um: float,
) -> tuple[dict[str, Box], list[str]]:
    """Boxes to write at full resolution by name, and the neurons that are too large for one."""
    if box is not None:
        if box.size > max_voxels:
            raise ValueError(
                f"`box` has {box.shape} = {box.size:,} voxels, more than `max_voxels` = "
                f"{max_voxels:,}; name a smaller one, or use `topodelin export terafly`"
            )
        return {"box_{}_{}_{}".format(*box.begin): box}, []
    if image.box.size <= max_voxels:
        return {"whole": image.box}, []
    pieces, skipped = {}, []
    for name, graph in graphs.items():
        around = _surroundings(image, graph, margin_um)
        if 0 < around.size <= max_voxels:
            pieces[name] = around
        elif around.size:
            skipped.append(f"{name}: {around.shape} voxels")
    return pieces, skipped


def _surroundings(image: Volume, graph: NeuriteGraph, margin_um: float) -> Box:
    if not len(graph):
        return Box((0, 0, 0), (0, 0, 0))
    spacing = np.array(image.spacing)
    low = np.floor((graph.positions.min(axis=0) - margin_um) / spacing).astype(int).tolist()
    high = np.ceil((graph.positions.max(axis=0) + margin_um) / spacing).astype(int).tolist()
    end = (high[0] + 1, high[1] + 1, high[2] + 1)
    return Box((low[0], low[1], low[2]), end).clip(image.shape)


def _picture(
    folder: Path,
    name: str,
    volume: Volume,
    frame: Frame,
    graphs: list[NeuriteGraph],
    markers: list[Marker],
    progress: Progress | None,
) -> list[Path]:
    """Write one picture twice and what is drawn on it.

    The TIFF is copied from the v3draw, so that an overlay is computed once.
    """
    raw, tiff = folder / f"{name}.v3draw", folder / f"{name}.tif"
    write_v3draw(raw, volume, progress=progress)
    rgb = len(volume.data.shape) == 4
    write_tiff_stack(tiff, open_v3d(raw, volume.spacing), rgb=rgb, progress=progress)
    return [raw, tiff, *write_drawings(folder, name, frame, graphs, markers, [raw, tiff])]


def _write_in_micrometres(folder: Path, graphs: dict[str, NeuriteGraph]) -> None:
    folder.mkdir(exist_ok=True)
    for name, graph in graphs.items():
        write_swc(folder / f"{name}.um.swc", graph)
        write_eswc(folder / f"{name}.um.eswc", graph)
