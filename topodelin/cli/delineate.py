"""`topodelin delineate`: trace the neurites of a volume of any size."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app

FINISHED_WITH_FAILURES = 3
INTERRUPTED = 130


@app.command("delineate")
def delineate(
    volume: Annotated[Path, typer.Argument(help="TIFF, folder of slices, .npy or OME-Zarr.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the run; a run begun there goes on.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Model file or name of a bundled one; default: bundled.")
    ] = None,
    seeds: Annotated[
        Path | None, typer.Option(help="CSV of z,y,x; without it the volume is scanned.")
    ] = None,
    seed_unit: Annotated[str, typer.Option(help="Unit of the seeds: um or voxel.")] = "um",
    spacing: Annotated[
        str | None, typer.Option(help="z,y,x in µm per voxel, if the file does not say.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that predict.")] = 1,
    memory: Annotated[
        str | None, typer.Option(help="What all processes together may hold, such as 2G.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    threshold: Annotated[
        float | None,
        typer.Option(help="Distance below which a voxel is neurite, over the model's."),
    ] = None,
    min_branch_um: Annotated[float, typer.Option(help="Shorter side branches are pruned.")] = 5.0,
    min_tree_um: Annotated[float, typer.Option(help="Shorter trees are dropped.")] = 10.0,
    max_cubes: Annotated[
        int | None, typer.Option(min=1, help="Stop once that many cubes are done.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Discard the run in OUTPUT.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take; write nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Trace neurites outwards from seeds. Running the same command again goes on."""
    import shlex
    import sys
    from json import dumps

    from topodelin import delineation
    from topodelin.cli.options import parse_spacing
    from topodelin.models import load_distance_model
    from topodelin.volumes import open_volume

    name = model or delineation.default_model()
    network, card = load_distance_model(name)
    network = delineation.to_device(network, device)
    image = open_volume(volume, spacing=parse_spacing(spacing))
    places = None if seeds is None else delineation.read_seeds(seeds, seed_unit, image.spacing)
    rule = delineation.search_rule(card, threshold=threshold)
    limit = None if memory is None else delineation.parse_bytes(memory)
    if dry_run:
        plan = delineation.plan_delineation(
            image, network, card, seeds=places, rule=rule, workers=workers, memory=limit
        )
        print(dumps(plan.as_dict()) if json else plan)
        return
    try:
        result = delineation.delineate(
            image,
            output,
            network,
            card,
            seeds=places,
            rule=rule,
            trees=delineation.TreeRule(min_branch_um=min_branch_um, min_tree_um=min_tree_um),
            workers=workers,
            memory=limit,
            max_cubes=max_cubes,
            restart=restart,
            volume_name=volume.resolve().name,
            model_name=Path(name).stem,
            progress=sys.stderr,
        )
    except KeyboardInterrupt:
        again = [word for word in sys.argv[1:] if word != "--restart"]
        print(f"\nstopped; go on with: topodelin {shlex.join(again)}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(dumps(result.as_dict()) if json else result)
    if result.failed:
        raise typer.Exit(FINISHED_WITH_FAILURES)
