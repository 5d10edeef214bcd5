"""`topodelin delineate`: trace the neurites of a volume of any size."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app
from topodelin.cli.tree_options import (
    BridgeCost,
    BridgeUm,
    MinBranchUm,
    MinConfidence,
    MinTreeUm,
    Radius,
    ResampleUm,
    SmoothUm,
    Somas,
    SplitCrossings,
)

FINISHED_WITH_FAILURES = 3
INTERRUPTED = 130


@app.command("delineate")
def delineate(
    volume: Annotated[
        str, typer.Argument(help="Path or URL: TIFF, folder of slices, OME-Zarr, ...; see info.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder of the run; a run begun there goes on. With --cluster ADDRESS it and "
            "VOLUME must be on a file system that all workers share.",
        ),
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
    resample: Annotated[
        bool, typer.Option("--resample", help="Allow a network for quite another spacing.")
    ] = False,
    within: Annotated[str | None, typer.Option(help="Search only z0,y0,x0,z1,y1,x1 in µm.")] = None,
    intensity: Annotated[
        str | None,
        typer.Option(
            help="Grey values low,high of background and bright neurites; default: from around "
            "the seeds."
        ),
    ] = None,
    priority: Annotated[
        str, typer.Option(help="Which cube comes next: distance, confidence or arrival.")
    ] = "distance",
    workers: Annotated[int, typer.Option(min=1, help="Processes that predict.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(help="Dask scheduler (tcp://node:8786, scheduler.json) or local:4."),
    ] = None,
    cube_timeout: Annotated[
        float | None,
        typer.Option(help="Seconds until a cube is taken from a worker that hangs; default 3600."),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="What all processes together may hold, such as 2G.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, mps; cuda:0,cuda:1 for one process on each.")
    ] = "auto",
    threshold: Annotated[
        float | None,
        typer.Option(help="Distance below which a voxel is neurite, over the model's."),
    ] = None,
    min_branch_um: MinBranchUm = 5.0,
    min_tree_um: MinTreeUm = 10.0,
    smooth_um: SmoothUm = None,
    resample_um: ResampleUm = 0.0,
    somas: Somas = False,
    split_crossings: SplitCrossings = False,
    bridge_um: BridgeUm = 8.0,
    bridge_cost: BridgeCost = 4.0,
    min_confidence: MinConfidence = 0.6,
    radius: Radius = "image",
    budget_cubes: Annotated[
        int | None, typer.Option(min=1, help="Stop once that many cubes are done, and trace.")
    ] = None,
    budget_hours: Annotated[
        float | None, typer.Option(help="Stop after that time, and trace.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try cubes again that failed before.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Discard the run in OUTPUT.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take; write nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Trace neurites outwards from seeds. Running the same command again goes on.

    Exit code 0: finished, or the budget is used up; 3: finished, but some cubes failed; 130:
    stopped by Ctrl-C or SIGTERM.
    """
    import shlex
    import sys
    from json import dumps
    from os.path import basename

    from topodelin import delineation
    from topodelin.cli.interruption import terminated_as_interrupted
    from topodelin.cli.options import absolute, parse_bounds, parse_intensity, parse_spacing
    from topodelin.models import load_distance_model
    from topodelin.volumes import IntensityRange, open_volume

    name = model or delineation.default_model()
    network, card = load_distance_model(name)
    given_spacing = parse_spacing(spacing)
    greys = parse_intensity(intensity)
    source = absolute(volume)
    image = open_volume(volume if cluster is None else source, spacing=given_spacing)
    places = None if seeds is None else delineation.read_seeds(seeds, seed_unit, image.spacing)
    rule = delineation.search_rule(card, threshold=threshold)
    limit = None if memory is None else delineation.parse_bytes(memory)
    options = {
        "seeds": places,
        "rule": rule,
        "workers": workers,
        "devices": device.replace(" ", "").split(","),
        "cluster": cluster,
        "cube_timeout": cube_timeout,
        "memory": limit,
        "within": parse_bounds(within),
        "resample": resample,
        "intensity": None if greys is None else IntensityRange(*greys),
    }
    if dry_run:
        plan = delineation.plan_delineation(image, network, card, **options)
        print(dumps(plan.as_dict()) if json else plan)
        return
    try:
        with terminated_as_interrupted():
            result = delineation.delineate(
                image,
                output,
                network,
                card,
                trees=delineation.TreeRule(
                    min_branch_um=min_branch_um,
                    min_tree_um=min_tree_um,
                    smooth_um=smooth_um,
                    resample_um=resample_um,
                    somas=somas,
                    split_crossings=split_crossings,
                    bridge_um=bridge_um,
                    bridge_cost=bridge_cost,
                    min_confidence=min_confidence,
                    radius=radius,
                ),
                priority=priority,
                budget_cubes=budget_cubes,
                budget_hours=budget_hours,
                retry_failed=retry_failed,
                restart=restart,
                image_path=source,
                image_spacing=given_spacing,
                volume_name=basename(source.rstrip("/")),
                model_name=Path(name).stem,
                progress=sys.stderr,
                **options,
            )
    except KeyboardInterrupt:
        again = [word for word in sys.argv[1:] if word != "--restart"]
        print(f"\nstopped; go on with: topodelin {shlex.join(again)}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(dumps(result.as_dict()) if json else result)
    if result.failed:
        raise typer.Exit(FINISHED_WITH_FAILURES)
