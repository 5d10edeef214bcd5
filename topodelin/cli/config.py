"""`topodelin config`: what a run's YAML may hold, and whether one is right."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app

config = typer.Typer(help="Check the YAML of a run, or print what it may hold.")
app.add_typer(config, name="config")


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of a run's YAML, for editors and for reading."""
    import json

    from topodelin.training.config import TrainingConfig

    print(json.dumps(TrainingConfig.model_json_schema(), indent=2))


@config.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="The run's YAML.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value over the YAML.")
    ] = None,
) -> None:
    """Say whether a run could start: keys, values, files, network and losses; print them all."""
    from topodelin.training import check_config, dump_config, load_config

    checked = load_config(path, overrides=settings or [])
    check_config(checked)
    print(dump_config(checked), end="")
