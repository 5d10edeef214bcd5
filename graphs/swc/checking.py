"""The rules of the SWC format: what makes a file unreadable, and what is only a bad habit."""

from os import PathLike

import numpy as np

from topodelin.graphs.swc.rows import COLUMNS, SwcProblem, SwcRows, read_rows

LARGEST_POSITION = 1e9  # a kilometre in µm: no microscope sees further
LARGEST_ID = 2**53  # beyond it, float64 skips integers
KNOWN_TYPES = range(8)  # undefined, soma, axon, basal, apical, custom, neurite, glia


def check_swc(path: str | PathLike[str]) -> list[SwcProblem]:
    """Everything that is wrong with an SWC file, in the order of its lines.

    Errors stop `read_swc`: a row that is not seven finite numbers, an id that is not a whole
    number or stands twice, a parent that does not exist or is the node itself, a cycle. Rules that
    need a healthy table are judged once the simpler ones hold. Warnings do not stop it: a radius
    that is not positive (read as unknown), several roots, ids that do not run from 1 without a gap,
    a parent below its child, a root written with another number than -1, a type beyond 0 to 7.

    Raises:
        SwcError: the file is empty or no text, so that there are no lines to speak of.
        OSError: it cannot be opened.
    """
    rows = read_rows(path)
    problems = errors_of(rows)
    if not problems:
        problems = _warnings_of(rows)
    return sorted(problems, key=lambda problem: problem.line)


def errors_of(rows: SwcRows) -> list[SwcProblem]:
    """The problems for which the rows cannot be read as trees, in the order of the lines."""
    problems = list(rows.unreadable) + _bad_numbers(rows)
    if not problems:
        problems = _bad_references(rows)
    if not problems:
        problems = _cycles(rows)
    return sorted(problems, key=lambda problem: problem.line)


def parent_rows(values: np.ndarray) -> np.ndarray:
    """(N,) row of each node's parent; -1 for roots (negative parents) and where there is none."""
    ids, parents = values[:, 0], values[:, 6]
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids[order], parents), len(ids) - 1)
    found = order[place]
    return np.where((parents >= 0) & (ids[found] == parents), found, -1)


def _bad_numbers(rows: SwcRows) -> list[SwcProblem]:
    values = rows.values
    whole, real = values[:, [0, 1, 6]], values[:, 2:6]
    with np.errstate(invalid="ignore"):
        wrong = np.zeros(values.shape, dtype=bool)
        wrong[:, [0, 1, 6]] = (whole != np.rint(whole)) | (np.abs(whole) > LARGEST_ID)
        wrong[:, 2:6] = np.abs(real) > LARGEST_POSITION
        wrong[:, 0] |= values[:, 0] < 0
    wrong |= ~np.isfinite(values)
    problems = []
    for row, column in np.argwhere(wrong).tolist():
        name, value = COLUMNS[column], float(values[row, column])
        if name == "id":
            rule = "must be a whole number from 0 up; renumber the nodes"
        elif column in (1, 6):
            rule = "must be a whole number; correct the line"
        elif name == "radius":
            rule = f"must be finite and at most {LARGEST_POSITION:g}; write 0 where it is unknown"
        else:
            rule = (
                f"must be finite and within {LARGEST_POSITION:g} of 0; correct or delete the node"
            )
        rule, remedy = rule.split("; ")
        message = f"`{name}` {rule}, got {value:g}; {remedy}"
        problems.append(SwcProblem(rows.line_numbers[row], "error", message))
    return problems


def _bad_references(rows: SwcRows) -> list[SwcProblem]:
    ids, parents = rows.values[:, 0], rows.values[:, 6]
    unique, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    first = first[inverse]
    problems = []
    for row in np.flatnonzero(first != np.arange(len(ids))).tolist():
        message = (
            f"id {ids[row]:.0f} is already used on line {rows.line_numbers[int(first[row])]}; "
            "every node needs an id of its own"
        )
        problems.append(SwcProblem(rows.line_numbers[row], "error", message))
    for row in np.flatnonzero(parents == ids).tolist():
        message = f"node {ids[row]:.0f} is its own parent; write -1 if it is a root"
        problems.append(SwcProblem(rows.line_numbers[row], "error", message))
    orphan = (parents >= 0) & ~np.isin(parents, unique)
    for row in np.flatnonzero(orphan).tolist():
        message = (
            f"the parent {parents[row]:.0f} of node {ids[row]:.0f} is not in the file; "
            "add it, or write -1 if the node is a root"
        )
        problems.append(SwcProblem(rows.line_numbers[row], "error", message))
    return problems


def _cycles(rows: SwcRows) -> list[SwcProblem]:
    """One problem for each cycle."""
    problems = []
    for cycle in cycles(parent_rows(rows.values)):
        names = ", ".join(f"{rows.values[row, 0]:.0f}" for row in cycle[:6])
        more = ", ..." if len(cycle) > 6 else ""
        message = (
            f"{len(cycle)} nodes are each other's ancestors ({names}{more}); an SWC file holds "
            "trees, so write -1 as the parent of one of them"
        )
        problems.append(SwcProblem(rows.line_numbers[cycle[0]], "error", message))
    return problems


def cycles(parent: np.ndarray) -> list[list[int]]:
    """The rows of each cycle, from child to parent, given the row of each parent (-1 for roots).

    Following parents 2^k steps at once ends at a root or in a cycle.
    """
    step = np.where(parent < 0, np.arange(len(parent)), parent)
    far = step
    for _ in range(max(1, len(parent)).bit_length()):
        far = far[far]
    found = []
    seen: set[int] = set()
    for node in np.unique(far[parent[far] >= 0]).tolist():
        if node in seen:
            continue
        cycle = [node]
        while (after := int(step[cycle[-1]])) != node:
            cycle.append(after)
        seen.update(cycle)
        found.append(cycle)
    return found


def _warnings_of(rows: SwcRows) -> list[SwcProblem]:
    values, lines = rows.values, rows.line_numbers
    ids, kinds, radii, parents = values[:, 0], values[:, 1], values[:, 5], values[:, 6]
    row = np.arange(len(values))
    roots = np.flatnonzero(parents < 0)
    found = [
        (at, f"radius {radii[at]:g} is not positive and is read as unknown")
        for at in np.flatnonzero(radii <= 0).tolist()
    ]
    for kind in np.unique(kinds[~np.isin(kinds, KNOWN_TYPES)]).tolist():
        same = np.flatnonzero(kinds == kind)
        message = f"type {kind:.0f} is not one of the known types 0 to 7 ({len(same)} rows)"
        found.append((int(same[0]), message))
    found += [
        (at, f"the root is written with parent {parents[at]:.0f}; the format says -1")
        for at in np.flatnonzero((parents < 0) & (parents != -1)).tolist()
    ]
    found += [
        (at, f"the parent {parents[at]:.0f} stands below its child {ids[at]:.0f}")
        for at in np.flatnonzero(parent_rows(values) > row).tolist()
    ]
    if len(roots) > 1:
        found.append((int(roots[1]), f"the file holds {len(roots)} trees; some programs read one"))
    gaps = np.flatnonzero(ids != row + 1)
    if len(gaps):
        at = int(gaps[0])
        found.append((at, f"ids do not run 1, 2, 3, ...: id {ids[at]:.0f} on row {at + 1}"))
    return [SwcProblem(lines[at], "warning", message) for at, message in found]
