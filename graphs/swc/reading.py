"""SWC file to neurite graph."""

from collections.abc import Sequence
from itertools import takewhile
from os import PathLike

import numpy as np

from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.graphs.swc.checking import errors_of, parent_rows
from topodelin.graphs.swc.rows import SwcError, read_rows
from topodelin.graphs.swc.units import in_plane, um_per_unit, unit_in_comments


def read_swc(
    path: str | PathLike[str],
    *,
    unit: str | None = None,
    spacing: Sequence[float] | None = None,
) -> NeuriteGraph:
    """Read the trees of an SWC file; nodes keep the order of the rows.

    Args:
        path: the file. Any order of rows, any ids, several roots; see `topodelin.graphs.swc.rows`
            for the spellings that are accepted.
        unit: of x, y, z and the radius in the file: `"um"`, `"nm"`, or `"voxel"` where (0, 0, 0) is
            the centre of the first voxel. None takes what `write_swc` wrote at the top of the file,
            and µm where that is missing.
        spacing: µm per voxel `(z, y, x)`, with `unit="voxel"` only.

    Every edge runs from parent to child. A radius of 0 or below means that nobody measured it and
    becomes NaN. In voxel files the radius is one number for three axes: it is taken to be measured
    in the plane of the image and scaled by the geometric mean of the spacing along y and x.

    Raises:
        SwcError: a line breaks a rule of the format (`check_swc` lists all of them).
        OSError: the file cannot be opened.
    """
    rows = read_rows(path)
    if unit is None and spacing is None:
        comments = takewhile(lambda line: line.startswith("#"), rows.lines)
        unit, spacing = unit_in_comments(comments) or ("um", None)
    scale = um_per_unit(unit or "um", spacing)
    errors = errors_of(rows)
    if errors:
        first = errors[0]
        rest = len(errors) - 1
        more = f" ({rest} more such problems; `check_swc` lists them)" if rest else ""
        raise SwcError(f"{path}, line {first.line}: {first.message}{more}")
    values = rows.values
    parent = parent_rows(values)
    child = np.flatnonzero(parent >= 0)
    radii = values[:, 5] * in_plane(scale)
    return NeuriteGraph(
        positions=values[:, [4, 3, 2]] * scale,
        edges=np.stack([parent[child], child], axis=1),
        radii=np.where(radii > 0, radii, np.nan),
        kinds=values[:, 1].astype(np.int64),
    )
