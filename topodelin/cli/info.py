"""`topodelin info`: what an image is, what it lacks and what to type next."""

from typing import Annotated

import typer

from topodelin.cli.app import USAGE_ERROR, app


@app.command("info")
def info(
    path: Annotated[str, typer.Argument(help="A file, a folder or a URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print format, shape, spacing, chunks and values of an image, and what is missing."""
    import json
    from pathlib import Path

    from topodelin.volumes.info import other_than_an_image, volume_info

    other = other_than_an_image(Path(path))
    if other is not None:
        print(json.dumps({"path": path, "note": other}) if as_json else other)
        return
    found = volume_info(path)
    print(json.dumps(found.as_dict(), indent=2, ensure_ascii=False) if as_json else found)
    if found.problems:
        raise typer.Exit(USAGE_ERROR)
