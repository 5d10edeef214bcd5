"""`topodelin demo`: the whole path on a real stack that comes with the library."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app

INTERRUPTED = 130


@app.command("demo")
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for everything that is made.")
    ] = Path("topodelin-demo"),
    model: Annotated[
        str | None, typer.Option(help="Model file or name of a bundled one; default: bundled.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Discard the run in OUTPUT.")] = False,
) -> None:
    """Delineate a real stack, compare it with its truth, write report.html. Offline, no GPU."""
    import sys

    from topodelin.demo import run_demo

    try:
        print(run_demo(output, model=model, restart=restart))
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
