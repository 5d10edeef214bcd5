"""`topodelin convert`: an image of any size from one format to another."""

from pathlib import Path
from typing import Annotated, TextIO

import typer

from topodelin.cli.app import app

INTERRUPTED = 130


@app.command("convert")
def convert(
    image: Annotated[str, typer.Argument(help="A file, a folder or a URL.")],
    out: Annotated[
        Path, typer.Argument(help="Ends in .ome.zarr, .tif, .v3draw or .npy; else say --to.")
    ],
    to: Annotated[
        str | None, typer.Option(help="ome-zarr, tiff, v3draw, npy or terafly (a folder).")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help="z,y,x in µm per voxel, over what the image says.")
    ] = None,
    chunks: Annotated[
        str | None, typer.Option(help="z,y,x voxels of a chunk (OME-Zarr) or tile (TeraFly).")
    ] = None,
    levels: Annotated[
        int | None, typer.Option(min=1, help="Levels of the pyramid of a folder.")
    ] = None,
    channel: Annotated[
        int | None, typer.Option(min=0, help="Write only this one, counted from 0.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Another type, such as uint8; values must fit into it.")
    ] = None,
    rescale: Annotated[
        bool,
        typer.Option("--rescale", help="Map percentiles 0.1 to 99.9 to the range of --dtype."),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard an interrupted conversion to OUT.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write IMAGE as OUT, a band in memory at a time. Nothing finished is overwritten."""
    import json
    import sys

    from topodelin.cli.options import parse_spacing
    from topodelin.volumes import open_volume
    from topodelin.volumes.changed import as_type, one_channel
    from topodelin.volumes.convert import FOLDERS, source_text, target_of
    from topodelin.volumes.convert import convert as write

    if rescale and dtype is None:
        raise ValueError("`--rescale` needs `--dtype`, for example --dtype uint8")
    target = to or target_of(out)
    volume = open_volume(image, spacing=parse_spacing(spacing))
    if channel is not None:
        volume = one_channel(volume, channel)
    if dtype is not None:
        volume = as_type(volume, dtype, rescale=rescale)
    made_of = source_text(image, channel=channel, dtype=dtype, rescale=rescale)
    try:
        done = write(
            volume,
            out,
            target=target,
            source=made_of,
            chunks=_voxels(chunks),
            levels=levels,
            restart=restart,
            progress=PartCount(sys.stderr),
        )
    except KeyboardInterrupt:
        again = "the same command goes on" if target in FOLDERS else "nothing was written"
        print(f"\nstopped; {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(json.dumps(done.as_dict()) if as_json else done)


def _voxels(text: str | None) -> tuple[int, int, int] | None:
    """`"64,64,64"` or `"64"` as voxels (z, y, x)."""
    if text is None:
        return None
    try:
        numbers = [int(part) for part in text.split(",")]
        z, y, x = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError:
        raise ValueError(f"`--chunks` must be z,y,x or one whole number, got {text!r}") from None
    return z, y, x


class PartCount:
    """Says how much is done: one live line in a terminal, else a line every tenth."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.tenth = stream, 0

    def __call__(self, done: int, total: int) -> None:
        line = f"{done} of {total} parts"
        if self.stream.isatty():
            print(f"\r{line}", end="\n" if done == total else "", file=self.stream, flush=True)
            return
        tenth = 10 * done // total
        if tenth < self.tenth:
            self.tenth = 0  # the pyramid after the full image
        if tenth > self.tenth:
            self.tenth = tenth
            print(line, file=self.stream, flush=True)
