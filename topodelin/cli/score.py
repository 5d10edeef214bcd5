"""`topodelin score`: how a tracing is wrong, how much of it, and where."""

import typer

from topodelin.cli.app import app

UNIT_HELP = "Unit of the SWC files: um, or voxel together with --spacing."
FILE_HELP = "SWC, JSON, mask or label volume, or a folder of them."
VOLUMES = ("auto", "mask", "labels")
APLS_STARTS = 200


@app.command("score")
def score(
    truth: str = typer.Argument(help=f"The truth: {FILE_HELP}"),
    traced: str = typer.Argument(help="The tracing to judge, likewise; folders pair by stem."),
    tolerance_um: float = typer.Option(3.0, help="How far apart a match may lie, µm."),
    step_um: float | None = typer.Option(
        None, help="Longest piece judged as a whole, µm; a tenth of the tolerance by default."
    ),
    unit: str = typer.Option("um", help=UNIT_HELP),
    truth_unit: str | None = typer.Option(
        None, help="Unit of the truth where it differs from that of the tracing."
    ),
    spacing: str | None = typer.Option(
        None, help="µm per voxel z,y,x of SWC files in voxels, and of volumes that do not say."
    ),
    volumes: str = typer.Option(
        "auto", help="Read volumes as mask or as labels; auto: labels if they hold several."
    ),
    min_branch_um: float = typer.Option(0.0, help="Prune shorter side branches of masks, µm."),
    apls_starts: int = typer.Option(
        APLS_STARTS, help="Control points that paths start from; 0 for all, exact and slower."
    ),
    errors: str | None = typer.Option(
        None, help="Write the errors, the most expensive first: .apo (Vaa3D) or .csv."
    ),
    picture: str | None = typer.Option(None, help="Write truth, tracing and errors as .png."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, for programs."),
) -> None:
    """Compare tracings: completeness, correctness, connectivity, run length, APLS, errors."""
    import json
    import sys
    from functools import partial

    from topodelin import __version__
    from topodelin.cli.options import parse_spacing
    from topodelin.cli.score_files import is_folder_of_files, is_volume, pairs, read
    from topodelin.cli.score_verdict import Folder, judge, write_errors, write_picture
    from topodelin.graphs import NeuriteGraph, TracingScore

    units = {"truth": truth_unit or unit, "traced": unit}
    voxel = parse_spacing(spacing)
    folders = is_folder_of_files(truth) and is_folder_of_files(traced)
    _check(volumes, apls_starts, errors, picture, folders)
    if voxel is not None and "voxel" not in units.values() and not folders:
        if not is_volume(truth) and not is_volume(traced):
            raise ValueError(
                "`--spacing` has no meaning where both files are in um; add --unit voxel, "
                "or --truth-unit voxel if only the truth is in voxels"
            )
    load = partial(read, spacing=voxel, volumes=volumes, min_branch_um=min_branch_um)
    measure = partial(judge, tolerance=tolerance_um, step=step_um, starts=apls_starts or None)
    answer = {
        "truth": truth,
        "traced": traced,
        "truth_unit": units["truth"],
        "traced_unit": units["traced"],
        "spacing": voxel,
    }
    doubts: list[str] = []
    if folders:
        found, alone = pairs(truth, traced)
        result = Folder()
        for name, one, two in found:
            judged = measure(
                load(str(one), unit=units["truth"]), load(str(two), unit=units["traced"])
            )
            if not isinstance(judged, TracingScore):
                raise ValueError(f"{two}: folders are for tracings and masks; add --volumes mask")
            doubts += [f"{name}: {doubt}" for doubt in judged.doubts]
            result.add(name, judged)
        doubts += [f"{path} has no partner of the same stem and is left out" for path in alone]
    else:
        one, two = load(truth, unit=units["truth"]), load(traced, unit=units["traced"])
        result = measure(one, two)
        for name, graph in (("truth", one), ("traced", two)):
            answer[f"{name}_nodes"] = len(graph) if isinstance(graph, NeuriteGraph) else None
        if isinstance(one, NeuriteGraph) and isinstance(result, TracingScore):
            assert isinstance(two, NeuriteGraph)  # the only thing that gives such a score
            doubts += result.doubts
            if errors:
                shown_in = voxel if units["traced"] == "voxel" else None
                write_errors(errors, one, two, result, spacing=shown_in or (1.0, 1.0, 1.0))
            if picture:
                write_picture(picture, one, two, result)
        elif errors or picture:
            raise ValueError("`--errors` and `--picture` need two tracings; add --volumes mask")
    for doubt in doubts:
        print(f"warning: {doubt}", file=sys.stderr)
    if as_json:
        print(json.dumps({**answer, **result.as_dict(), "topodelin": __version__}, indent=2))
    else:
        print(result.table())


def _check(
    volumes: str, apls_starts: int, errors: str | None, picture: str | None, folders: bool
) -> None:
    if volumes not in VOLUMES:
        raise ValueError(f"`--volumes` must be one of {', '.join(VOLUMES)}, got {volumes!r}")
    if apls_starts < 0:
        raise ValueError(f"`--apls-starts` must be 0 for all or more, got {apls_starts}")
    if folders and (errors or picture):
        raise ValueError("`--errors` and `--picture` take one pair of files; name the two files")
    if errors and not errors.lower().endswith((".apo", ".csv")):
        raise ValueError(f"`--errors` must end in .apo or .csv, got {errors!r}")
    if picture and not picture.lower().endswith(".png"):
        raise ValueError(f"`--picture` must end in .png, got {picture!r}")
