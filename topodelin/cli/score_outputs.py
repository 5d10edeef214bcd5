"""The files that `topodelin score` writes: lists of errors and pictures, one of each for a pair."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from topodelin.cli.score_files import Labels
from topodelin.cli.score_options import FORMATS, ScoreOptions
from topodelin.cli.score_verdict import Verdict
from topodelin.graphs import ErrorCosts, NeuriteGraph, TracingScore, error_costs
from topodelin.graphs.error_costs import Score
from topodelin.graphs.error_files import write_errors


@dataclass(frozen=True)
class Outputs:
    """Where the errors and the picture of one pair go; None where nobody asked."""

    errors: Path | None
    picture: Path | None

    @property
    def paths(self) -> list[Path]:
        return [path for path in (self.errors, self.picture) if path is not None]


def outputs_of_pair(options: ScoreOptions) -> Outputs:
    """The two files that the user named."""
    return Outputs(
        _file("errors", options.errors, FORMATS), _file("picture", options.picture, ("png",))
    )


def outputs_in_folders(options: ScoreOptions, names: Iterable[str]) -> dict[str, Outputs]:
    """One file for each pair in the folders that the user named."""
    errors, picture = (
        _folder(option, given)
        for option, given in (("errors", options.errors), ("picture", options.picture))
    )
    return {
        name: Outputs(
            errors and errors / f"{name}.{options.errors_as}", picture and picture / f"{name}.png"
        )
        for name in names
    }


def refuse_to_replace(inputs: Iterable[Path], outputs: Iterable[Outputs]) -> None:
    """An earlier answer is written anew, what is being judged is not."""
    held = {path.resolve() for path in inputs}
    for path in (path for output in outputs for path in output.paths):
        if path.resolve() in held:
            raise ValueError(f"{path}: would replace a file that is scored; choose another name")


def write_outputs(outputs: Outputs, verdict: Verdict, options: ScoreOptions) -> None:
    """Write what was asked for, the most expensive error first.

    Markers stand in voxels where the tracing does, as Vaa3D shows them on its image; the rest is
    in µm.
    """
    if not outputs.paths:
        return
    one, two = verdict.truth, verdict.traced
    if isinstance(one, Labels) or isinstance(two, Labels):
        raise ValueError("`--errors` and `--picture` need two tracings; add --volumes mask")
    errors = cast(TracingScore, verdict.score).errors
    costs = error_costs(one.graph, two.graph, errors, by=cast(Score, options.rank_by))
    for path in outputs.paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    if outputs.errors:
        shown_in = options.voxel if options.units["traced"] == "voxel" else None
        write_errors(outputs.errors, costs, spacing=shown_in or (1.0, 1.0, 1.0))
    if outputs.picture:
        outputs.picture.write_bytes(_picture(one.graph, two.graph, costs))


def _picture(truth: NeuriteGraph, traced: NeuriteGraph, costs: ErrorCosts) -> bytes:
    from topodelin.report.error_picture import error_picture

    return error_picture(truth, traced, costs.errors)


def _file(option: str, given: str | None, suffixes: tuple[str, ...]) -> Path | None:
    if given is None:
        return None
    path = Path(given)
    if path.suffix.lower().lstrip(".") not in suffixes:
        wanted = " or ".join(f".{suffix}" for suffix in suffixes)
        raise ValueError(f"`--{option}` must end in {wanted} for one pair of files, got {given!r}")
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder; name a file" if path.is_dir() else "has no folder to stand in; make it"
        raise ValueError(f"`--{option}`: {given} {what}")
    return path


def _folder(option: str, given: str | None) -> Path | None:
    if given is None:
        return None
    path = Path(given)
    if path.suffix.lower().lstrip(".") in (*FORMATS, "png") or path.is_file():
        raise ValueError(
            f"`--{option}` must be a folder to write one file for each pair to, got {given!r}"
        )
    if not path.parent.is_dir():
        raise ValueError(f"`--{option}`: {given} has no folder to stand in; make it")
    return path
