"""`topodelin presets`: the configurations of published experiments."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app

presets = typer.Typer(
    no_args_is_help=True, help="The configurations of published experiments, to copy and change."
)
app.add_typer(presets, name="presets")

HEADER = ["preset", "task", "network", "what it is"]
Name = Annotated[str, typer.Argument(help="One of `topodelin presets list`.")]


@presets.command("list")
def list_presets(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the presets: task, network and the experiment that each repeats."""
    import json

    from topodelin.cli.tables import aligned
    from topodelin.presets import preset, preset_names

    found = [preset(name) for name in preset_names()]
    rows = [[each.name, each.task, each.network, each.title] for each in found]
    if as_json:
        keys = ("name", "task", "network", "title")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    print(aligned(HEADER, rows, words=len(HEADER)))


@presets.command("show")
def show(name: Name) -> None:
    """Print a preset with its comments."""
    from topodelin.presets import preset

    print(preset(name).text, end="")


@presets.command("copy")
def copy(
    name: Name,
    file: Annotated[Path, typer.Argument(help="The YAML to write.")],
    image: Annotated[
        Path | None, typer.Option(help="The image; the last fifth of its slices judges.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Its labels, or its tracing (SWC).")] = None,
    validation_image: Annotated[
        Path | None, typer.Option(help="An image to judge on, for presets of tracings.")
    ] = None,
    validation_labels: Annotated[Path | None, typer.Option(help="Its tracing.")] = None,
    spacing: Annotated[
        str | None, typer.Option(help="z,y,x in µm per voxel, where the image has none.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Write a preset to FILE, with your files in the place of IMAGE and LABELS."""
    from topodelin.cli.options import parse_spacing
    from topodelin.presets import preset
    from topodelin.presets.filling import OPTIONS, fill_in, placeholders

    if file.exists() and not overwrite:
        raise ValueError(f"{file}: exists already; choose another name or add --overwrite")
    paths = (image, labels, validation_image, validation_labels)
    files = {place: path for place, path in zip(OPTIONS, paths, strict=True) if path is not None}
    text = fill_in(preset(name), files, folder=file.parent, spacing=parse_spacing(spacing))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    print(f"written to {file}; its first lines say what to change for your data")
    left = placeholders(text)
    if left:
        print(f"still to be filled in: {', '.join(left)}")
    print(f"then: topodelin train {file}")
