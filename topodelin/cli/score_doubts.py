"""What makes a score doubtful although it can be computed: one line each, in the result."""

from pathlib import Path

import numpy as np

from topodelin.cli.score_files import Labels, Mask, Side, Tracing, Voxels
from topodelin.graphs import NeuriteGraph
from topodelin.graphs.swc.rows import read_rows


def doubts_of(truth: Side, traced: Side, tolerance: float) -> list[str]:
    """One line for each thing about two files, or two sets of files, that a user should know."""
    sides = {"truth": truth, "tracing": traced}
    found = list(dict.fromkeys(line for side in sides.values() for line in _radii(side)))
    found += [line for name, side in sides.items() for line in _emptiness(name, side)]
    if isinstance(truth, Labels | Mask) and isinstance(traced, Labels | Mask):
        found += _different_voxels(truth, traced)
    if isinstance(truth, Tracing) and isinstance(traced, Labels):
        return found + _outside(truth, traced)
    if not isinstance(truth, Labels) and not isinstance(traced, Labels):
        found += _flatness(truth.graph, traced.graph, tolerance)
    return found


def _radii(side: Side) -> list[str]:
    """SWC files with radii that nobody can have measured."""
    if not isinstance(side, Tracing) or not np.isnan(side.graph.radii).any():
        return []
    files = [file for file in side.files if file.suffix.lower() in (".swc", ".eswc")]
    return [line for file in files for line in _radii_of_file(file)]


def _radii_of_file(path: Path) -> list[str]:
    rows = read_rows(path)
    wrong = np.flatnonzero(rows.values[:, 5] <= 0)
    if not len(wrong):
        return []
    first = int(wrong[0])
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return [
        f"{path}, line {rows.line_numbers[first]}: radius {rows.values[first, 5]:g} is not "
        f"positive and is read as unknown{more}; no number here depends on radii"
    ]


def _emptiness(name: str, side: Side) -> list[str]:
    what = "label" if isinstance(side, Labels) else "cable"
    if side.values.any() if isinstance(side, Labels) else len(side.graph.edges):
        return []
    follows = "undefined, not 0" if name == "truth" else "the worst that there is"
    return [f"the {name}, {side.path}, holds no {what}: its ratios are {follows}; check the file"]


def _different_voxels(truth: Voxels, traced: Voxels) -> list[str]:
    if np.allclose(truth.spacing, traced.spacing, rtol=1e-3, atol=0):
        return []
    one, two = (" x ".join(f"{s:g}" for s in side.spacing) for side in (truth, traced))
    return [
        f"the voxels of the truth are {one} µm and those of the tracing {two} (z, y, x): if the "
        "files are wrong, --spacing overrules both"
    ]


def _outside(truth: Tracing, traced: Labels) -> list[str]:
    """A truth beside the label volume is omitted there, whatever the segmentation is worth."""
    positions = truth.graph.positions
    if not len(positions):
        return []
    voxel = np.rint(positions / traced.spacing)
    share = 1 - ((voxel >= 0) & (voxel < traced.values.shape)).all(axis=1).mean()
    if share == 0:
        return []
    size = " x ".join(
        f"{n * s:g}" for n, s in zip(traced.values.shape, traced.spacing, strict=True)
    )
    return [
        f"{100 * share:.0f} % of the nodes of the truth lie outside the label volume of {size} µm "
        "(z, y, x) and count as omitted: check unit, --spacing and origin"
    ]


def _flatness(truth: NeuriteGraph, traced: NeuriteGraph, tolerance: float) -> list[str]:
    """A drawing in one plane against one in space, such as a projection against the volume.

    A small part of the other graph may well lie in one plane.
    """
    if not len(truth.edges) or not len(traced.edges):
        return []
    sizes = {"truth": np.ptp(truth.positions, axis=0), "tracing": np.ptp(traced.positions, axis=0)}
    flat, deep = sorted(sizes, key=lambda name: float(sizes[name][0]))
    depth = float(sizes[deep][0])
    if sizes[flat][0] > 0 or depth <= 2 * tolerance:
        return []
    if (sizes[flat][1:] < sizes[deep][1:] / 2).any():
        return []
    return [
        f"the {flat} lies in one plane (2-D) and the {deep} spans {depth:.1f} µm of depth "
        "(3-D): if one is a projection, project the other too; if z is missing, add it"
    ]
