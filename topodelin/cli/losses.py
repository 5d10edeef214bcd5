"""`topodelin losses`: what each loss punishes, takes and costs, and where it was published."""

import typer

from topodelin.cli.app import app

HEADER = ["loss", "axes", "target", "96^3, ms", "punishes; cost; paper"]


@app.command("losses")
def losses(
    as_json: bool = typer.Option(False, "--json", help="Print JSON, for programs."),
) -> None:
    """List the losses: what each punishes, its cost and its paper."""
    import json
    import tomllib
    from pathlib import Path

    import topodelin
    from topodelin.cli.tables import aligned

    # not topodelin.losses.catalogue: that would load torch first
    folders = [Path(folder) / "losses" for folder in topodelin.__path__]
    text = next(f for f in folders if f.is_dir()).joinpath("catalogue.toml").read_text("utf-8")
    catalogue = tomllib.loads(text)
    if as_json:
        print(json.dumps(catalogue, indent=2, ensure_ascii=False))
        return
    rows = [
        [
            name,
            ", ".join(f"{dims}-D" for dims in facts["dims"]),
            facts["takes"],
            f"{facts['milliseconds_96']:g}" if "milliseconds_96" in facts else "-",
            facts["punishes"],
        ]
        for name, facts in catalogue.items()
    ]
    below = [f"{facts['cost']}; {facts['paper']}" for facts in catalogue.values()]
    print(aligned(HEADER, rows, words=len(HEADER), below=below))
