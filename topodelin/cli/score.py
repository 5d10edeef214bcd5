"""`topodelin score`: how a tracing is wrong, how much of it, and where."""

import typer

from topodelin.cli.app import app

UNIT_HELP = (
    "Unit of the SWC files: um, nm, or voxel together with --spacing; by default what their first "
    "lines say, else um."
)
FILE_HELP = (
    "SWC, JSON, mask or label volume. A folder of SWC or JSON files beside a single file is one "
    "tracing, their union"
)
APLS_STARTS = 200


@app.command("score")
def score(
    truth: str = typer.Argument(help=f"The truth: {FILE_HELP}."),
    traced: str = typer.Argument(help="What to judge, likewise; two folders pair by stem."),
    tolerance_um: float = typer.Option(3.0, help="How far apart a match may lie, µm."),
    step_um: float | None = typer.Option(
        None, help="Longest piece judged as a whole, µm; a tenth of the tolerance by default."
    ),
    unit: str | None = typer.Option(None, help=UNIT_HELP),
    truth_unit: str | None = typer.Option(
        None, help="Unit of the truth where it differs from that of the tracing."
    ),
    spacing: str | None = typer.Option(
        None, help="µm per voxel z,y,x of SWC files in voxels, and of volumes that do not say."
    ),
    volumes: str = typer.Option(
        "auto", help="Read volumes as mask or as labels; auto: labels if one holds several."
    ),
    union: bool = typer.Option(
        False, "--union", help="Two folders are two tracings, the union of their SWC files each."
    ),
    min_branch_um: float = typer.Option(0.0, help="Prune shorter side branches of masks, µm."),
    apls_starts: int = typer.Option(
        APLS_STARTS, help="Control points that paths start from; 0 for all, exact and slower."
    ),
    also: str = typer.Option(
        "", help="More metrics, such as diadem,tlts; all that suit. A wrong name lists them."
    ),
    errors: str | None = typer.Option(
        None, help="Write the errors, worst first: .csv, .swc, .apo (Vaa3D); of folders, a folder."
    ),
    errors_as: str = typer.Option("apo", help="Which of them for folders: apo, csv or swc."),
    rank_by: str = typer.Option(
        "run_length", help="What makes an error worse: run_length or connectivity."
    ),
    picture: str | None = typer.Option(
        None, help="Write truth, tracing and errors as .png; of folders, a folder."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, for programs."),
) -> None:
    """Compare tracings: completeness, correctness, connectivity, run length, APLS, errors."""
    asked = dict(locals())
    import sys

    from topodelin.cli.score_options import ScoreOptions
    from topodelin.cli.score_run import answer

    found = answer(ScoreOptions(**asked))
    for doubt in found.doubts:
        print(f"warning: {doubt}", file=sys.stderr)
    text, encoding = found.as_json() if as_json else found.table(), sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))  # any path, on any terminal
