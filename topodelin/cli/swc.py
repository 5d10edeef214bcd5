"""`topodelin swc`: check, mend, convert and measure tracings."""

from pathlib import Path
from typing import Annotated

import typer

from topodelin.cli.app import app

swc = typer.Typer(no_args_is_help=True, help="Check, mend, convert and measure SWC files.")
app.add_typer(swc, name="swc")

PROBLEMS = 1  # exit code of `check`

Paths = Annotated[list[Path], typer.Argument(help="Files, or folders of them.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
UnitOption = Annotated[
    str | None,
    typer.Option(help="Of the file: um, voxel or nm; else what its comments and its name say."),
]
SpacingOption = Annotated[str | None, typer.Option(help="z,y,x in µm per voxel.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
Most = Annotated[int, typer.Option(help="Lines to print for each file; 0 for all.", min=0)]


@swc.command("check")
def check(
    paths: Paths,
    strict: Annotated[
        bool, typer.Option("--strict", help="Let warnings count as problems too.")
    ] = False,
    most: Most = 50,
    as_json: Json = False,
) -> None:
    """Say what is wrong with SWC files, line by line. Exit code 1 if there are errors."""
    import json

    from topodelin.cli.swc_check import answer, checked, summary
    from topodelin.cli.swc_files import ROWS, tracing_files

    files = [checked(path) for path in tracing_files(paths, ROWS)]
    if as_json:
        print(json.dumps(answer(files), indent=2, ensure_ascii=False))
    else:
        for line in (line for file in files for line in file.lines(most)):
            print(line)
        print(summary(files))
    counted = ("error", "warning") if strict else ("error",)
    if any(file.count(severity) for file in files for severity in counted):
        raise typer.Exit(PROBLEMS)


@swc.command("fix")
def fix(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The SWC file to mend.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; a folder for --split.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace FILE; what it was stays as FILE.bak.")
    ] = False,
    join_within: Annotated[
        float | None,
        typer.Option(help="Join further trees whose root is so near to another, in FILE's unit."),
    ] = None,
    root: Annotated[
        str | None, typer.Option(help="Hang trees from: soma, longest, or the id of a node.")
    ] = None,
    root_at: Annotated[
        str | None, typer.Option(help="x,y,z as in FILE; the nearest node becomes a root.")
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Write a file for each tree, into a folder.")
    ] = False,
    scale: Annotated[
        float | None, typer.Option(help="Multiply coordinates and radii by this.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="What FILE is in, um, voxel or nm; then written in µm.")
    ] = None,
    spacing: SpacingOption = None,
    overwrite: Overwrite = False,
    most: Most = 50,
) -> None:
    """Mend an SWC file and print every change: sorted, without cycles, numbered from 1."""
    from topodelin.cli.options import parse_spacing
    from topodelin.cli.swc_files import refuse_to_replace
    from topodelin.cli.swc_fix import (
        FixRule,
        fixed,
        place_of,
        write_fixed,
        write_in_place,
        write_split,
    )

    if (output is None) is not in_place:
        raise ValueError("`fix` writes to --output FILE or, with --in-place, over FILE; give one")
    if split and output is None:
        raise ValueError("`--split` writes several files; give --output FOLDER, not --in-place")
    written_to = path if output is None else output
    if not split and written_to.suffix.lower() != ".swc":
        raise ValueError(f"{written_to}: `fix` writes SWC; give an --output that ends in .swc")
    if output is not None and not split:
        refuse_to_replace(output, overwrite, [path])
    rule = FixRule(join_within, unit, parse_spacing(spacing), scale, root, place_of(root_at))
    found = fixed(path, rule)
    if output is None:
        kept = write_in_place(found, path) if found.changes else None
        where = f"{path}, and {kept} is what it was" if kept else f"{path} stays as it is"
    elif split:
        files = write_split(found, output, path.stem, overwrite=overwrite)
        where = f"{len(files):,} trees in {output}"
    else:
        write_fixed(found, output)
        where = str(output)
    for line in found.changes[:most] if most else found.changes:
        print(line)
    if most and len(found.changes) > most:
        print(f"{path}: {len(found.changes) - most:,} more; --most 0 shows all")
    count = len(found.changes)
    print(f"{count:,} change{'' if count == 1 else 's'}: {where}")


@swc.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(metavar="A", help="SWC, ESWC, JSON, or a folder.")],
    target: Annotated[
        Path, typer.Argument(metavar="B", help="A file that ends so, or a folder of such files.")
    ],
    unit: UnitOption = None,
    to: Annotated[
        str | None, typer.Option(help="Of B: um, voxel or nm; else what its name says, else um.")
    ] = None,
    spacing: SpacingOption = None,
    split: Annotated[
        bool, typer.Option("--split", help="Write a file for each tree, into a folder.")
    ] = False,
    suffix: Annotated[
        str | None, typer.Option("--as", help="swc, eswc or json, for the files of a folder.")
    ] = None,
    cut_cycles: Annotated[
        bool, typer.Option("--cut-cycles", help="Cut cycles of a JSON graph at their longest edge.")
    ] = False,
    min_branch_um: Annotated[
        float, typer.Option(help="Prune side branches that are shorter.", min=0)
    ] = 0.0,
    smooth: Annotated[
        int, typer.Option(help="Nodes of the window that branches are smoothed with.", min=1)
    ] = 1,
    step_um: Annotated[
        float | None, typer.Option(help="Resample: distance of the nodes along branches.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert tracings: SWC, ESWC (Vaa3D), JSON; µm, voxels, nm; one file or one for each tree.

    A folder A becomes one file B, or a folder B of files with the same names. Names that end in
    .vox.swc are in voxels. The columns of an ESWC file after the seventh are made anew.
    """
    from topodelin.cli.options import parse_spacing
    from topodelin.cli.swc_convert import ConvertRule, suffix_of
    from topodelin.cli.swc_convert import convert as convert_files

    rule = ConvertRule(
        unit,
        to,
        parse_spacing(spacing),
        cut_cycles,
        min_branch_um,
        smooth,
        step_um,
        split,
        overwrite,
    )
    for path in convert_files(source, target, rule, suffix_of(suffix)):
        print(path)


@swc.command("stats")
def stats(
    paths: Paths,
    unit: UnitOption = None,
    spacing: SpacingOption = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a row for each tree to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure every tree: length, tips, junctions, branches, orders, distances, radii."""
    import json

    from topodelin.cli.options import parse_spacing
    from topodelin.cli.swc_files import read_tracing, tracing_files
    from topodelin.cli.swc_stats import answer, measured, table, write_table

    size = parse_spacing(spacing)
    trees = [
        tree for path in tracing_files(paths) for tree in measured(read_tracing(path, unit, size))
    ]
    if csv is not None:
        write_table(csv, trees)
    print(json.dumps(answer(trees), indent=2, ensure_ascii=False) if as_json else table(trees))
