"""What Vaa3D and TeraFly draw on a picture: tracings (SWC, ESWC), markers (APO), and the ANO file.

Coordinates are voxels of that picture, counted from 0 at the centre of the first voxel, and so
without the halves and ones that differ between programs; whether Vaa3D shows them half a voxel or
one voxel off was not tested, as the program cannot be run here.
"""

from pathlib import Path

from topodelin.export.finished_run import FinishedRun
from topodelin.export.frame import Frame
from topodelin.graphs import (
    Marker,
    NeuriteGraph,
    joined,
    write_ano,
    write_apo,
    write_eswc,
    write_swc,
)

SEED_COLOUR = (0, 255, 0)
SPOT_COLOURS = {
    "gap": (255, 0, 0),
    "weak_bridge": (255, 128, 0),
    "crossing": (255, 0, 255),
    "several_seeds": (255, 255, 0),
    "bright_end": (0, 255, 255),
    "failed_cube": (160, 160, 160),
}


def run_markers(run: FinishedRun) -> list[Marker]:
    """Suspicious spots, the worst first and coloured by kind, then the seeds; in µm."""
    spots = [
        Marker(
            position=spot.position,
            name=f"{rank:03d} {spot.kind}",
            comment=f"severity {spot.severity:.2f}; {spot.size_um:.1f} um; {spot.note}",
            colour=SPOT_COLOURS[spot.kind],
        )
        for rank, spot in enumerate(run.spots, start=1)
    ]
    seeds = [
        Marker((float(z), float(y), float(x)), f"seed {number}", "", SEED_COLOUR)
        for number, (z, y, x) in enumerate(run.seeds.tolist(), start=1)
    ]
    return spots + seeds


def write_drawings(
    folder: Path,
    name: str,
    frame: Frame,
    graphs: list[NeuriteGraph],
    markers: list[Marker],
    images: list[Path],
) -> list[Path]:
    """Write what lies in a picture as `name.vox.swc`, `name.vox.eswc`, `name.apo` and `name.ano`.

    Args:
        graphs, markers: in µm of the image of the run.
        images: files of the picture, in the same folder, the one to open first.

    All neurons are in one file, one root each. A picture without neurites has no SWC files.
    """
    parts = [part for part in (frame.graph(graph) for graph in graphs) if len(part)]
    paths: list[Path] = []
    if parts:
        drawn = joined(parts)
        swc, eswc = folder / f"{name}.vox.swc", folder / f"{name}.vox.eswc"
        place = "the first voxel lies at z {} y {} x {} um of the image".format(*frame.origin)
        write_swc(swc, drawn, spacing=frame.spacing, header=[place])
        write_eswc(eswc, drawn, spacing=frame.spacing, header=[place])
        paths += [swc, eswc]
    apo = folder / f"{name}.apo"
    write_apo(apo, frame.markers(markers), spacing=frame.spacing)
    ano = folder / f"{name}.ano"
    write_ano(ano, swc=paths[-1:], apo=apo, image=images[:1])
    return [ano, *paths, apo]
