"""The report of one tracing: a single HTML file with pictures, errors, metrics and next steps."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from platform import python_version

import numpy as np

from topodelin import __version__
from topodelin.graphs import CentrelineQuality, NeuriteGraph
from topodelin.report import page
from topodelin.report.coverage import Coverage
from topodelin.report.pages import before_and_after, coverage_picture, three_views
from topodelin.report.picture import EMPTY, Overlay
from topodelin.report.projections import maximum_projections
from topodelin.report.stretches import Stretch, stretches
from topodelin.report.wording import computed_share, errors_table, leftover, metrics_table, verdict
from topodelin.volumes import Box, Volume


def write_report(
    path: str | os.PathLike[str],
    volume: Volume,
    tracing: NeuriteGraph,
    *,
    title: str,
    truth: NeuriteGraph | None = None,
    quality: CentrelineQuality | None = None,
    coverage: Coverage | None = None,
    made_with: Mapping[str, str] | None = None,
    next_commands: Sequence[tuple[str, str]] = (),
    boxes: Iterable[Box] | None = None,
    max_listed: int = 10,
) -> Path:
    """Write a report that stands alone: it opens from disk, and on a machine without a network.

    Args:
        path: of the HTML file; replaced at once when it is complete, its folder made if needed.
        volume: the image that was traced.
        tracing: what was traced, µm, in the volume's frame.
        title: plain text, usually the name of the image.
        truth: what a person drew, if anybody did.
        quality: the tracing compared with that truth; gaps and false branches are taken from it.
        coverage: which cubes were computed.
        made_with: name and value of what a reader needs to repeat it (network, thresholds).
        next_commands: what to try next: `(what it does, command)`.
        boxes: the parts of the volume to show, for one too large to read; all by default.
        max_listed: most gaps and most false branches that are numbered and listed.

    Returns the path. Every text is escaped. Raises ValueError when only one of `truth` and
    `quality` is given.
    """
    if (truth is None) != (quality is None):
        given, absent = ("truth", "quality") if quality is None else ("quality", "truth")
        raise ValueError(
            f"`{absent}` must be given with `{given}`, got None; "
            "`centreline_quality(truth, tracing, tolerance=...)` computes one from the other"
        )
    gaps = [] if quality is None else stretches(quality.missed)
    inventions = [] if quality is None else stretches(quality.false)
    overlay = Overlay(
        tracing=tracing,
        truth=EMPTY if truth is None else truth,
        missed=EMPTY if quality is None else quality.missed,
        false=EMPTY if quality is None else quality.false,
        gaps=gaps[:max_listed],
        inventions=inventions[:max_listed],
    )
    projections = maximum_projections(volume, boxes=boxes)
    sentence = verdict(tracing, quality, coverage)
    parts = [
        page.heading(title),
        page.paragraph(sentence, "verdict"),
        page.figure(
            before_and_after(projections, overlay),
            f"Maximum projection of the volume, bare and with the tracing drawn on it. {sentence}",
            "Brightest voxel along z; bright is drawn dark. " + _key(overlay),
        ),
    ]
    if quality is not None:
        listed = _errors(gaps, inventions, volume, max_listed)
        reach = (
            f"Only what lies farther than {quality.tolerance:g} µm from the other is counted, so a "
            f"break in the tracing is up to {2 * quality.tolerance:g} µm longer than its gap here, "
            "and a shorter break is not listed at all."
        )
        parts.append(page.section("Errors", [*listed, page.paragraph(reach, "note")]))
    parts += [
        page.section(
            "Metrics",
            [page.table(("", "value", "meaning"), metrics_table(tracing, quality), numbers=[1])],
        ),
        page.section(
            "Three views",
            [
                page.figure(
                    three_views(projections, overlay),
                    "Maximum projections along z, x and y with the tracing drawn on each.",
                    "Along z, along x (right) and along y (below), to one scale. " + _key(overlay),
                )
            ],
        ),
    ]
    if coverage is not None:
        parts.append(
            page.section(
                "What was never computed",
                [
                    page.paragraph(
                        f"{coverage.computed} of {coverage.cubes} cubes were computed: "
                        f"{computed_share(coverage)}."
                    ),
                    page.figure(
                        coverage_picture(projections, coverage),
                        "The lattice of cubes over the volume; cubes never computed are hatched.",
                        "The lattice from above; a cell stands for every cube below it.",
                    ),
                ],
            )
        )
    parts.append(page.section("How it was made", [page.definitions(_made(volume, made_with))]))
    if next_commands:
        parts.append(page.section("What to try next", [page.commands(next_commands)]))
    return _replace(Path(path), page.page(f"{title}: topodelin report", parts))


def _key(overlay: Overlay) -> str:
    """How to read the drawing, as far as there is something drawn."""
    lines = []
    if len(overlay.truth.edges):
        lines.append("Broad pale blue band: the truth.")
    if len(overlay.tracing.edges):
        lines.append("Thin orange line: the tracing.")
    if overlay.gaps or overlay.inventions:
        lines.append("Ovals: gaps; boxes: false branches; numbered as in the list of errors.")
    return " ".join(lines)


def _errors(
    gaps: list[Stretch], inventions: list[Stretch], volume: Volume, max_listed: int
) -> list[str]:
    head = ("", "length", "place z, y, x (µm)", "voxel z, y, x")
    rows = errors_table("gap", gaps[:max_listed], volume)
    rows += errors_table("false", inventions[:max_listed], volume)
    if not rows:
        return [page.paragraph("No gap and no false branch at this tolerance.")]
    notes = (
        leftover(("gap", "gaps"), gaps, max_listed),
        leftover(("false branch", "false branches"), inventions, max_listed),
    )
    return [page.table(head, rows, numbers=[1, 2, 3])] + [page.paragraph(n) for n in notes if n]


def _made(volume: Volume, made_with: Mapping[str, str] | None) -> list[tuple[str, str]]:
    shape = " x ".join(str(n) for n in volume.shape)
    spacing = " x ".join(f"{step:g}" for step in volume.spacing)
    return [
        ("volume", f"{shape} voxels (z, y, x), {volume.dtype}"),
        ("voxel size", f"{spacing} µm (z, y, x)"),
        *(made_with or {}).items(),
        ("software", f"topodelin {__version__}, numpy {np.__version__}, Python {python_version()}"),
    ]


def _replace(path: Path, text: str) -> Path:
    """Write beside the file and rename, so that a reader never sees half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path
