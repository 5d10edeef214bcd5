"""`topodelin export`: what a run found, for the program that it is proofread with."""

from pathlib import Path
from typing import Annotated, Any

import typer

from topodelin.cli.app import app

exports = typer.Typer(
    no_args_is_help=True, help="Write a run for Vaa3D, TeraFly, napari or neuroglancer."
)
app.add_typer(exports, name="export")

Run = Annotated[Path, typer.Argument(help="Folder of `topodelin delineate` or `topodelin trace`.")]
Folder = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Folder to write; default: export/NAME inside the run."),
]
Image = Annotated[
    str | None, typer.Option(help="The image, where it is no longer where the run found it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
MaxVoxels = Annotated[
    int,
    typer.Option(min=1, help="Of the copy of an image that the viewer cannot read; else coarser."),
]
Type = Annotated[str, typer.Option("--dtype", help="uint8 or uint16.")]
BoxText = Annotated[
    str | None, typer.Option("--box", help="Piece of the image, voxels: z0:z1,y0:y1,x0:x1.")
]
Clip = Annotated[float | None, typer.Option(help="Distance at which the overlay ends.")]
Power = Annotated[float | None, typer.Option(help="Sharpens the distance map.")]
Factor = Annotated[float | None, typer.Option(help="Weight of the distance map; 0 leaves it out.")]


@exports.command("vaa3d")
def vaa3d(
    run: Run,
    output: Folder = None,
    image: Image = None,
    dtype: Type = "uint8",
    colour: Annotated[str, typer.Option(help="grey or rgb.")] = "grey",
    box: BoxText = None,
    clip: Clip = None,
    power: Power = None,
    factor: Factor = None,
    longest: Annotated[
        int | None, typer.Option(min=1, help="Voxels of the preview along its longest axis.")
    ] = None,
    json: Json = False,
) -> None:
    """Overlays (.v3draw, .tif), tracings (.swc, .eswc), markers (.apo) and their linker (.ano)."""
    from topodelin.export import open_run
    from topodelin.export.vaa3d import export_vaa3d

    given = {"clip": clip, "power": power, "factor": factor, "longest": longest}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    exported = export_vaa3d(
        open_run(run, image=image),
        output or run / "export" / "vaa3d",
        dtype=dtype,
        colour=_one_of("colour", colour, ("grey", "rgb")),
        box=_box(box),
        **options,
    )
    _say(exported, json)


@exports.command("terafly")
def terafly(
    run: Run,
    output: Folder = None,
    image: Image = None,
    dtype: Type = "uint8",
    box: BoxText = None,
    clip: Clip = None,
    power: Power = None,
    factor: Factor = None,
    levels: Annotated[int | None, typer.Option(min=1, help="Of the pyramid.")] = None,
    json: Json = False,
) -> None:
    """A pyramid of tiles of the overlay for whole brains, tracings and markers beside it."""
    from topodelin.export import open_run
    from topodelin.export.terafly import export_terafly

    given = {"clip": clip, "power": power, "factor": factor, "levels": levels}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    exported = export_terafly(
        open_run(run, image=image),
        output or run / "export" / "terafly",
        dtype=dtype,
        box=_box(box),
        **options,
    )
    _say(exported, json)


@exports.command("napari")
def napari(
    run: Run,
    output: Folder = None,
    image: Image = None,
    max_voxels: MaxVoxels = 1 << 28,
    json: Json = False,
) -> None:
    """A Python script and its data; opens image, distance map, neurons and spots in napari."""
    from topodelin.export import export_napari, open_run

    folder = output or run / "export" / "napari"
    _say(export_napari(open_run(run, image=image), folder, max_voxels=max_voxels), json)


@exports.command("neuroglancer")
def neuroglancer(
    run: Run,
    output: Folder = None,
    image: Image = None,
    max_voxels: MaxVoxels = 1 << 28,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve it to the browser of this machine until Ctrl-C.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="With --serve; 0 takes a free one.")
    ] = 0,
    json: Json = False,
) -> None:
    """Skeletons, annotations, a description of image and distance map, and a state."""
    from dataclasses import replace

    from topodelin.export import ExportServer, export_neuroglancer, open_run

    folder = output or run / "export" / "neuroglancer"
    exported = export_neuroglancer(open_run(run, image=image), folder, max_voxels=max_voxels)
    if not serve:
        _say(exported, json)
        return
    with ExportServer(folder, exported.stores, port) as server:
        _say(replace(exported, next_step=f"open {server.viewer_url} (Ctrl-C ends it)"), json)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


def _say(exported: Any, json: bool) -> None:
    from json import dumps

    paths = [str(path) for path in exported.paths]
    answer = {"folder": str(exported.folder), "paths": paths, "text": str(exported)}
    print(dumps(answer) if json else exported, flush=True)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"`--{name}` must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _box(text: str | None) -> Any:
    """`"0:10,20:40,30:50"` as a box of voxels; None stays None."""
    from topodelin.volumes import Box

    if text is None:
        return None
    try:
        ends = [tuple(map(int, part.split(":"))) for part in text.split(",")]
        (z0, z1), (y0, y1), (x0, x1) = ends
    except ValueError:
        raise ValueError(
            f"`--box` must be z0:z1,y0:y1,x0:x1 in voxels, got {text!r}; for example "
            "--box 0:64,100:356,0:256"
        ) from None
    return Box((z0, y0, x0), (z1, y1, x1))
