"""Annotations as people draw them: somewhat beside the neurite, and not all of it.

A network is judged against the exact graph that a volume was rendered from, but in practice it
learns from tracings. These are the faults that tracings of real stacks were seen to have.
"""

import math

import numpy as np

from topodelin.graphs import NeuriteGraph, branches, joined

Range = tuple[float, float]

WAVES = 64  # terms of a displacement field; its distribution is close to normal from a dozen on


def degrade_annotation(
    graph: NeuriteGraph,
    rng: np.random.Generator,
    *,
    shift_um: float = 0.5,
    shift_correlation_um: float = 5.0,
    dropped_ends: Range = (0.05, 0.15),
    late_starts: Range = (0.10, 0.25),
    late_by_um: Range = (2.0, 15.0),
) -> NeuriteGraph:
    """A tracing of `graph` with the faults of a person: shifted, incomplete, begun too late.

    Each tree is bent by a smooth random displacement of its own, so it stays in one piece; some
    terminal branches are left out; some trees lack a stretch at one of their ends. A tree that is
    a bare path loses no terminal branch.

    Args:
        graph: the exact neurites, µm.
        rng: the only source of randomness.
        shift_um: standard deviation of the displacement along each axis. Measured on confocal
            tracings: 1 to 2 voxels in plane, 0.3 to 0.7 µm.
        shift_correlation_um: distance over which the displacement changes, as between the control
            points that a person sets.
        dropped_ends: lowest and highest share of the terminal branches that are left out.
        late_starts: lowest and highest share of the trees that lack a stretch at an end.
        late_by_um: shortest and longest such stretch; never more than half of the end branch.

    Source: inspection of the olfactory projection fibres of the DIADEM challenge.
    """
    _check(shift_um, shift_correlation_um, dropped_ends, late_starts, late_by_um)
    drop, late = rng.uniform(*dropped_ends), rng.uniform(*late_starts)
    trees = []
    for number in range(int(graph.components.max(initial=-1)) + 1):
        tree = graph.select(graph.components == number)
        tree = _without_some_ends(tree, rng, drop)
        if rng.random() < late:
            tree = _begun_late(tree, rng, rng.uniform(*late_by_um))
        moved = tree.positions + _displacement(tree.positions, rng, shift_um, shift_correlation_um)
        trees.append(NeuriteGraph(moved, tree.edges, tree.radii, tree.kinds))
    return joined(trees)


def _displacement(
    positions: np.ndarray, rng: np.random.Generator, deviation: float, correlation: float
) -> np.ndarray:
    r"""A smooth Gaussian random field with covariance $\sigma^2 e^{-r^2 / 2c^2}$, at points.

    A sum of waves $\sqrt{2/M} \cos(k \cdot x + \varphi)$ with normal wave vectors, for each axis.
    """
    waves = rng.normal(0, 1 / correlation, (3, WAVES, 3))
    phases = rng.uniform(0, 2 * math.pi, (3, WAVES))
    angles = np.einsum("nd,awd->naw", positions, waves) + phases
    return deviation * math.sqrt(2 / WAVES) * np.cos(angles).sum(axis=2)


def _without_some_ends(tree: NeuriteGraph, rng: np.random.Generator, share: float) -> NeuriteGraph:
    """Leave out each branch between a junction and an endpoint with probability `share`."""
    keep = np.ones(len(tree), dtype=bool)
    for branch in branches(tree):
        ends = tree.degrees[branch[[0, -1]]]
        if ends.min() == 1 and ends.max() > 2 and rng.random() < share:
            keep[branch[tree.degrees[branch] <= 2]] = False
    left = tree.select(keep)
    return left if keep.all() else left.select(left.degrees > 0)  # no junction without branches


def _begun_late(tree: NeuriteGraph, rng: np.random.Generator, missing: float) -> NeuriteGraph:
    """Cut a stretch of `missing` µm off one end, at most half of its branch."""
    ends = [branch for branch in branches(tree) if tree.degrees[branch[[0, -1]]].min() == 1]
    if not ends:
        return tree
    branch = ends[int(rng.integers(len(ends)))]
    if tree.degrees[branch[0]] != 1:
        branch = branch[::-1]
    steps = np.linalg.norm(np.diff(tree.positions[branch], axis=0), axis=1)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    keep = np.ones(len(tree), dtype=bool)
    keep[branch[walked < min(missing, walked[-1] / 2)]] = False
    return tree.select(keep)


def _check(shift: float, correlation: float, dropped: Range, late: Range, by: Range) -> None:
    if not 0 <= shift < math.inf or not 0 < correlation < math.inf:
        raise ValueError(
            "`shift_um` must be 0 or more and `shift_correlation_um` positive, both finite, got "
            f"{shift} and {correlation}"
        )
    for name, (low, high), most in (
        ("dropped_ends", dropped, 1.0),
        ("late_starts", late, 1.0),
        ("late_by_um", by, math.inf),
    ):
        if not 0 <= low <= high <= most:
            raise ValueError(
                f"`{name}` must be (lowest, highest) between 0 and {most:g}, got {(low, high)}"
            )
