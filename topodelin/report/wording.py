"""The sentences and tables of a report, as plain text."""

from math import isnan

from topodelin.graphs import CentrelineQuality, NeuriteGraph
from topodelin.report.coverage import Coverage
from topodelin.report.stretches import Stretch
from topodelin.volumes import Volume

Row = tuple[str, ...]


def verdict(
    tracing: NeuriteGraph, quality: CentrelineQuality | None, coverage: Coverage | None
) -> str:
    """What a reader in a hurry should know, in one sentence."""
    trees = count_trees(tracing)
    found = f"{tracing.length:.0f} µm of neurite in {trees} tree{'' if trees == 1 else 's'}"
    if not trees:
        found = "no neurite at all"
    if quality is None:
        head = f"Traced {found}; there is no truth to judge it by"
    elif isnan(quality.quality):
        head = f"Traced {found}; its quality is undefined because the truth is empty"
    else:
        head = (
            f"Quality {quality.quality:.2f} at {quality.tolerance:g} µm: "
            f"{percent(quality.completeness)} of the truth was found, and "
            f"{percent(quality.correctness)} of the tracing is right"
        )
    if coverage is None:
        return f"{head}."
    return f"{head}; {computed_share(coverage)}."


def computed_share(coverage: Coverage) -> str:
    """How much of the volume was left alone."""
    if coverage.computed == coverage.cubes:
        return "the whole volume was computed"
    return f"{percent(coverage.never_computed)} of the volume was never computed"


def metrics_table(tracing: NeuriteGraph, quality: CentrelineQuality | None) -> list[Row]:
    """`(name, value, what it means)` for each number; without a truth, what the tracing holds."""
    rows: list[Row] = []
    if quality is not None:
        near = f"within {quality.tolerance:g} µm of"
        rows += [
            (
                "completeness",
                _ratio(quality.completeness),
                f"share of the truth that lies {near} the tracing",
            ),
            (
                "correctness",
                _ratio(quality.correctness),
                f"share of the tracing that lies {near} the truth",
            ),
            ("quality", _ratio(quality.quality), "both in one: 1 only where both are 1"),
            ("length of the truth", _um(quality.truth_length), ""),
            ("of that, found", _um(quality.matched_truth), ""),
        ]
    rows.append(("length traced", _um(tracing.length), ""))
    if quality is not None:
        rows.append(("of that, right", _um(quality.matched_predicted), ""))
    rows.append(("trees", str(count_trees(tracing)), "connected pieces of the tracing"))
    return rows


def errors_table(name: str, errors: list[Stretch], volume: Volume) -> list[Row]:
    """`(name, length, place in µm, voxel)` of each stretch, numbered as in the pictures."""
    rows = []
    for number, stretch in enumerate(errors, start=1):
        voxel = [
            round(at / step) for at, step in zip(stretch.place_um, volume.spacing, strict=True)
        ]
        place = ", ".join(f"{at:.1f}" for at in stretch.place_um)
        rows.append((f"{name} {number}", _um(stretch.length_um), place, ", ".join(map(str, voxel))))
    return rows


def leftover(names: tuple[str, str], errors: list[Stretch], shown: int) -> str:
    """How many errors the table leaves out, and their length together; empty when none.

    `names` are the words for one and for several.
    """
    rest = errors[shown:]
    if not rest:
        return ""
    length = sum(stretch.length_um for stretch in rest)
    return f"Not listed: {len(rest)} shorter {names[len(rest) > 1]}, {_um(length)} together."


def count_trees(graph: NeuriteGraph) -> int:
    """Connected pieces of a graph that have an edge."""
    return len(set(graph.components[graph.edges[:, 0]].tolist())) if len(graph.edges) else 0


def percent(share: float) -> str:
    """A share of one as text; less than a whole percent from either end keeps a decimal."""
    if isnan(share):
        return "an undefined share"
    near_an_end = 0 < share < 0.01 or 0.99 < share < 1
    return f"{100 * share:.1f} %" if near_an_end else f"{100 * share:.0f} %"


def _ratio(value: float) -> str:
    return "undefined" if isnan(value) else f"{value:.3f}"


def _um(length: float) -> str:
    return f"{length:.1f} µm"
