"""`topodelin score`: how much of a neurite a tracing found, and how much of the tracing is true."""

import typer

from topodelin.cli.app import app

UNIT_HELP = "Unit of the SWC files: um, or voxel together with --spacing."


@app.command("score")
def score(
    truth: str = typer.Argument(help="SWC file of the truth."),
    traced: str = typer.Argument(help="SWC file of the tracing to judge."),
    tolerance_um: float = typer.Option(3.0, help="How far apart a match may lie, µm."),
    step_um: float | None = typer.Option(
        None, help="Longest piece judged as a whole, µm; a tenth of the tolerance by default."
    ),
    unit: str = typer.Option("um", help=UNIT_HELP),
    truth_unit: str | None = typer.Option(
        None, help="Unit of the truth where it differs from that of the tracing."
    ),
    spacing: str | None = typer.Option(None, help="µm per voxel z,y,x of files in voxels."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, for programs."),
) -> None:
    """Compare two tracings along their length: completeness, correctness, quality."""
    import json

    from topodelin import __version__
    from topodelin.cli.options import parse_spacing
    from topodelin.graphs import centreline_quality, read_swc

    units = {"truth": truth_unit or unit, "traced": unit}
    voxel = parse_spacing(spacing)
    if voxel is not None and "voxel" not in units.values():
        raise ValueError(
            "`--spacing` has no meaning where both files are in um; add --unit voxel, "
            "or --truth-unit voxel if only the truth is in voxels"
        )
    graphs = {
        name: read_swc(path, unit=units[name], spacing=voxel if units[name] == "voxel" else None)
        for name, path in (("truth", truth), ("traced", traced))
    }
    result = centreline_quality(
        graphs["truth"], graphs["traced"], tolerance=tolerance_um, step=step_um
    )
    if as_json:
        answer = {
            "truth": truth,
            "traced": traced,
            "truth_unit": units["truth"],
            "traced_unit": units["traced"],
            "spacing": voxel,
            "truth_nodes": len(graphs["truth"]),
            "traced_nodes": len(graphs["traced"]),
            **result.as_dict(),
            "topodelin": __version__,
        }
        print(json.dumps(answer, indent=2))
    else:
        print(result.table())
