"""`topodelin predict`: classes, probabilities or a distance map for an image of any size."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app

INTERRUPTED = 130


@app.command("predict")
def predict(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Model files or bundled names; several are averaged."
        ),
    ],
    image: Annotated[Path, typer.Argument(help="TIFF, PNG, folder of slices, .npy or OME-Zarr.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Result, .tif or .ome.zarr.")],
    output: Annotated[
        str | None,
        typer.Option(help="classes, probabilities or distance; default: by the model's card."),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Of probabilities and distances: float32 or float16 (OME-Zarr).")
    ] = "float32",
    spacing: Annotated[
        str | None, typer.Option(help="z,y,x in µm per voxel, if the file does not say.")
    ] = None,
    tile: Annotated[
        str | None, typer.Option(help="Voxels computed at once, n or z,y,x; default: the card's.")
    ] = None,
    margin: Annotated[
        str | None, typer.Option(help="Voxels read around a tile, n or z,y,x; default: the card's.")
    ] = None,
    blend: Annotated[
        str, typer.Option(help="Where tiles meet: linear (fade over the margins), mean or none.")
    ] = "linear",
    crf: Annotated[
        Path | None,
        typer.Option(help="YAML with arguments of dense_crf: refine the probabilities."),
    ] = None,
    crf_extent: Annotated[
        str, typer.Option(help="The CRF sees slices, or the volume (in memory).")
    ] = "slices",
    picture: Annotated[
        Path | None, typer.Option(help="PNG of the middle slice beside the prediction.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the CPU; default: all cores.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT and the picture once they are done.")
    ] = False,
) -> None:
    """Predict on IMAGE, slice by slice, and write the result on the image's own grid."""
    import sys

    import torch

    from topodelin import prediction
    from topodelin.cli.options import parse_spacing
    from topodelin.delineation import to_device
    from topodelin.volumes import open_images

    if threads is not None:
        torch.set_num_threads(threads)
    refinement = None if crf is None else prediction.read_crf(crf, crf_extent)
    if out.exists() and out.resolve() == image.resolve():
        raise ValueError(f"{out}: is the image itself; give another name for the result")
    members = prediction.open_members(models)
    for member in members:
        to_device(member.network, device)
    try:
        done = prediction.predict(
            open_images(image, spacing=parse_spacing(spacing)),
            members,
            out,
            output=output,
            precision=precision,
            tile=_sizes("tile", tile),
            margin=_sizes("margin", margin),
            blend=blend,
            crf=refinement,
            overwrite=overwrite,
            picture=picture,
            progress=SliceCount(sys.stderr),
        )
    except KeyboardInterrupt:
        print("\nstopped; nothing was written", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(done)


def _sizes(name: str, text: str | None) -> int | tuple[int, ...] | None:
    """`"64"` or `"32,64,64"` as voxels."""
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise ValueError(f"`--{name}` must be one whole number or three, z,y,x, got {text!r}")
    return numbers[0] if len(numbers) == 1 else numbers


class SliceCount:
    """Says how many slices are done: one live line in a terminal, else a line every tenth."""

    def __init__(self, stream) -> None:
        self.stream, self.tenth = stream, 0

    def __call__(self, done: int, total: int) -> None:
        line = f"{done} of {total} slices"
        if self.stream.isatty():
            print(f"\r{line}", end="\n" if done == total else "", file=self.stream, flush=True)
        elif 10 * done // total > self.tenth:
            self.tenth = 10 * done // total
            print(line, file=self.stream, flush=True)
