"""`topodelin train`: learn a network, or go on with a run that was stopped."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app

INTERRUPTED = 130


@app.command("train")
def train(
    config: Annotated[
        Path, typer.Argument(help="The run's YAML; `topodelin config schema` prints every key.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of the run; by default the YAML's name."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew instead of going on.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value over the YAML, e.g. optimizer.lr=3e-4; repeatable."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps, over the YAML.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(help="Devices of a machine that share a batch, over the YAML.")
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            help="Machines that share a batch, over the YAML; start the command on each, by "
            "torchrun or with MASTER_ADDR, MASTER_PORT and NODE_RANK set."
        ),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="32 or bf16-mixed, over the YAML.")] = None,
) -> None:
    """Train the network that CONFIG describes. Running the same command again goes on."""
    import sys
    from contextlib import nullcontext

    from topodelin.training import Interrupted, LineReport, LiveReport, load_config
    from topodelin.training import train as run

    flags = {"device": device, "devices": devices, "nodes": nodes, "precision": precision}
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    checked = load_config(config, overrides=[*(settings or []), *given])
    folder = out or config.with_suffix("")
    live = LiveReport() if sys.stdout.isatty() else nullcontext(LineReport(_print))
    try:
        with live as progress:
            run(checked, run_dir=folder, resume=not restart, progress=progress)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _print(line: str) -> None:
    print(line, flush=True)
