"""`topodelin models`: the networks that can be trained by name."""

import typer

from topodelin.cli.app import app

models = typer.Typer(no_args_is_help=True, help="The networks that a run can name.")
app.add_typer(models, name="models")

HEADER = ["network", "axes", "weights", "asked for by; paper"]


@models.command("list")
def list_models(
    as_json: bool = typer.Option(False, "--json", help="Print JSON, for programs."),
) -> None:
    """List the published networks: axes, weights, the experiment that asks for them, the paper."""
    import json
    import tomllib
    from pathlib import Path

    import topodelin
    from topodelin.cli.tables import aligned

    # not topodelin.models.zoo: that would load torch first
    folders = [Path(folder) / "models" for folder in topodelin.__path__]
    text = next(f for f in folders if f.is_dir()).joinpath("zoo.toml").read_text("utf-8")
    zoo = tomllib.loads(text)
    if as_json:
        print(json.dumps(zoo, indent=2, ensure_ascii=False))
        return
    rows = [
        [name, f"{facts['dims']}-D", f"{facts['parameters']:,}", facts["seed"]]
        for name, facts in zoo.items()
    ]
    below = [facts["paper"] for facts in zoo.values()]
    print(aligned(HEADER, rows, words=len(HEADER), below=below))
