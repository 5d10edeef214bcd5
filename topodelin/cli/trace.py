"""`topodelin trace`: neurons from a distance map that is there already."""

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


@app.command("trace")
def trace(
    source: Annotated[
        str, typer.Argument(help="A distance map (any format), or the folder of a run.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder; without it a run is traced again in place."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Image, for radii and bright ends; default: the run's.")
    ] = None,
    seeds: Annotated[
        Path | None, typer.Option(help="CSV of z,y,x where neurons are rooted, in µm.")
    ] = None,
    seed_unit: Annotated[str, typer.Option(help="Unit of the seeds: um or voxel.")] = "um",
    spacing: Annotated[
        str | None, typer.Option(help="z,y,x in µm per voxel of the map, if it does not say.")
    ] = None,
    image_spacing: Annotated[
        str | None, typer.Option(help="z,y,x in µm per voxel of the image, if it does not say.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Distance below which a voxel is neurite, in voxels.")
    ] = None,
    min_voxels: Annotated[
        int | None, typer.Option(min=1, help="Smaller components of the mask are dropped.")
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
    workers: Annotated[int, typer.Option(min=1, help="Processes that thin cubes.")] = 1,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard the tracing in OUTPUT.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Trace neurons in a finished distance map. Running the same command again goes on."""
    import shlex
    import sys
    from json import dumps

    from topodelin.cli.options import parse_spacing
    from topodelin.delineation.seeds import read_seeds
    from topodelin.delineation.tracing.trace_map import trace_map
    from topodelin.delineation.tracing.tree_rule import TreeRule
    from topodelin.volumes import open_volume

    step = parse_spacing(spacing)
    places = None
    if seeds is not None:
        voxel = open_volume(source, spacing=step).spacing if seed_unit == "voxel" else None
        places = read_seeds(seeds, seed_unit, voxel)
    rule = TreeRule(
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
    )
    try:
        result = trace_map(
            source,
            output,
            spacing=step,
            image=image,
            image_spacing=parse_spacing(image_spacing),
            seeds=places,
            threshold=threshold,
            min_voxels=min_voxels,
            rule=rule,
            workers=workers,
            restart=restart,
            progress=sys.stderr,
        )
    except KeyboardInterrupt:
        again = [word for word in sys.argv[1:] if word != "--restart"]
        print(f"\nstopped; go on with: topodelin {shlex.join(again)}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(dumps(result.as_dict()) if json else result)
    if "failed_cube" in result.spots:
        raise typer.Exit(FINISHED_WITH_FAILURES)
