"""`topodelin sweep`: the same run from many seeds, and two such sweeps compared."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app
from topodelin.cli.train import INTERRUPTED

sweeps = typer.Typer(
    no_args_is_help=True, help="The same run from many seeds: how much of a score is luck."
)
app.add_typer(sweeps, name="sweep")


@sweeps.command("run")
def run_sweep(
    config: Annotated[Path, typer.Argument(help="The YAML of all runs; its seed is not used.")],
    seeds: Annotated[int, typer.Option(help="How many runs, with the seeds 0, 1, 2, ...")] = 26,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the sweep; NAME-sweep by default.")
    ] = None,
    top: Annotated[int, typer.Option(help="How many of the best networks are joined.")] = 4,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value over the YAML; repeatable.")
    ] = None,
) -> None:
    """Train CONFIG from many seeds. Running the same command again goes on."""
    import sys

    from topodelin.report.histogram import write_histogram
    from topodelin.training import Interrupted, LineReport, load_config
    from topodelin.training.sweep import sweep

    if seeds < 1:
        raise ValueError(f"`--seeds` must be at least 1, got {seeds}")
    folder = out or config.with_name(f"{config.stem}-sweep")
    report = LineReport(lambda line: print(line, flush=True))
    checked = load_config(config, overrides=settings or [])
    try:
        found = sweep(checked, folder=folder, seeds=range(seeds), top=top, progress=report)
    except (Interrupted, KeyboardInterrupt):
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    scores = [peak.score for peak in found.peaks]
    together = found.ensemble.get(found.score_name)
    write_histogram(folder / "histogram.png", scores, name=found.score_name, together=together)
    print(f"{found.score_name} of {len(scores)} runs: {min(scores):.3f} to {max(scores):.3f}")
    if together is not None:
        print(f"the best {found.top} together: {together:.3f}")
    print(f"written to {folder / 'summary.json'} and {folder / 'histogram.png'}")


@sweeps.command("compare")
def compare_sweeps(
    one: Annotated[Path, typer.Argument(help="Folder of a finished sweep.")],
    other: Annotated[Path, typer.Argument(help="Folder of another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """How much better the runs of one sweep are than those of another."""
    import dataclasses
    import json

    from topodelin.training.sweep import compare, read_sweep

    (name, first), (name_other, second) = read_sweep(one), read_sweep(other)
    if name != name_other:
        raise ValueError(f"both sweeps must measure the same, got {name} and {name_other}")
    found = compare(list(first.values()), list(second.values()))
    if as_json:
        print(json.dumps({"score": name, **dataclasses.asdict(found)}))
        return
    print(
        f"{name}: {one} is {found.mean:+.3f} against {other}, 95 % of draws from "
        f"{found.low:+.3f} to {found.high:+.3f} ({found.runs[0]} and {found.runs[1]} runs)"
    )
    print(f"a run of the first beats one of the second in {found.superiority:.0%} of pairs")
