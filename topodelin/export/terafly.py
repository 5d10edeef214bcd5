"""A run as a TeraFly pyramid with its tracings and markers, for whole brains."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path

import numpy as np

from topodelin.annotation.overlay import CLIP, FACTOR, POWER
from topodelin.export.disk_space import check_room
from topodelin.export.exported import Exported
from topodelin.export.finished_run import FinishedRun
from topodelin.export.frame import Frame
from topodelin.export.overlay_volume import OverlayRecipe, overlay_source
from topodelin.export.vaa3d_drawings import run_markers, write_drawings
from topodelin.volumes import Box
from topodelin.volumes.terafly import terafly_levels
from topodelin.volumes.terafly_writer import TILE, write_terafly

PYRAMID = "pyramid"
NAME = "tracing"
ALL_LEVELS = 8 / 7  # voxels of a pyramid whose axes are all halved, per voxel of its finest level

Progress = Callable[[int, int], None]


NEXT_STEP = (
    "in Vaa3D choose Advanced > Big-Image-Data > TeraFly, open {level}, then load the annotations "
    "{ano}, which names the .vox.eswc and the .apo; check one marker first, as the places were not "
    "tried in TeraFly itself"
)


def export_terafly(
    run: FinishedRun,
    folder: Path,
    *,
    dtype: str = "uint8",
    clip: float = CLIP,
    power: float = POWER,
    factor: float = FACTOR,
    box: Box | None = None,
    levels: int | None = None,
    tile: Sequence[int] = TILE,
    reduce: str = "max",
    progress: Progress | None = None,
) -> Exported:
    """Write the overlay of a run as a TeraFly pyramid, and what is drawn on it. Can be resumed.

    The folder gets `pyramid/RES(YxXxZ)/...`, and beside it `tracing.vox.swc`, `tracing.vox.eswc`,
    `tracing.apo` and `tracing.ano`. Their coordinates are voxels of the finest level, the only one
    that a neurite can be placed on exactly, counted from 0 at the centre of the first voxel. That
    TeraFly takes them so, and whether it counts from 0 or 1, was not tested.

    Args:
        run: as opened by `open_run`.
        folder: made if needed. A pyramid that was begun there with the same arguments is gone on
            with.
        dtype: "uint8" or "uint16".
        clip, power, factor: of the overlay, see `topodelin.annotation.overlay`; with `factor=0` the
            pyramid shows the image alone.
        box: voxels of the image `(z, y, x)`; the whole image if not given.
        levels, tile, reduce: of the pyramid, see `write_terafly`. "max" keeps thin neurites visible
            on the coarse levels.
        progress: called with the number of tiles done and their total.

    Grey, not colour: coloured cubes did not work in Vaa3D when the recipe was made.

    Raises:
        ValueError: a box outside the image, a pyramid with other arguments in the folder, too much
            for the disk; the image is not there.
    """
    recipe = OverlayRecipe(dtype, "grey", clip, power, factor)
    source = overlay_source(run, recipe)
    wanted = source.image.box if box is None else box
    volume = source.volume(wanted)
    folder.mkdir(parents=True, exist_ok=True)
    pyramid = folder / PYRAMID
    if not pyramid.exists():
        needed = int(ALL_LEVELS * prod(wanted.shape) * np.dtype(dtype).itemsize)
        check_room(folder, needed, "name a box of the image with --box, or another folder")
    made_of = {**asdict(recipe), **asdict(source.intensity), **asdict(wanted)}
    write_terafly(
        pyramid,
        volume,
        levels=levels,
        tile=tile,
        reduce=reduce,
        source=made_of,
        progress=progress,
    )
    graphs = [graph for _, graph in run.graphs()]
    frame = Frame.of_box(source.image, wanted)
    paths = write_drawings(folder, NAME, frame, graphs, run_markers(run), [])
    level = terafly_levels(pyramid)[0].relative_to(folder)
    return Exported(folder, (pyramid, *paths), NEXT_STEP.format(level=level, ano=paths[0].name))
