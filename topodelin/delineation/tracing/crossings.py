"""Places where two neurites cross or touch and were traced as one: found, and taken apart.

Where two neurites come closer than the network can tell apart, their skeleton is one: an X with one
junction of four arms, an X whose arms meet in pairs at two junctions that lie close to each other,
or an H with a short stretch between two neurites that pass. A neurite runs on straight, so such a
place is read by its arms. Each arm has a direction, measured beyond the width of the neurites where
they no longer disturb each other. Of the three ways to make two pairs of four arms the straightest
is taken; it is a crossing when both pairs run on within `STRAIGHT` and the other ways are clearly
worse. A neurite that branches has an arm that ends there, so no such pairing. Where two pairings
are straight, neurites touch that run nearly side by side: that is told, and never split.

The *straightness* of a pair is the cosine of the angle by which one arm turns into the other, and
that of a crossing the smaller of its two.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.delineation.tracing.stitching import SkeletonGraph
from topodelin.graphs import NeuriteGraph

STRAIGHT = 0.9  # cosine of 26 degrees
CLEARLY = 0.3  # sum of cosines by which the best pairing beats the others
NEAR = 1.5  # radii of the mask from the junction at which an arm begins to count
FAR = 7.0  # radii at which it ends
SHORTEST = 3.5  # radii that an arm must reach to have a direction
TOGETHER = 6.0  # radii between two junctions that may be one crossing

PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))


@dataclass(frozen=True, eq=False)
class Crossing:
    """Two neurites that meet.

    Args:
        path: nodes from one junction to the other; a single one where four arms meet.
        pairs: `((a, b), (c, d))`, the arms that belong together, each by its node next to the path.
        ends: the node of the path that each of `a, b, c, d` is joined to.
        straightness: from `STRAIGHT` to 1.
        clear: whether the other ways to pair the arms are clearly worse.
    """

    path: np.ndarray
    pairs: tuple[tuple[int, int], tuple[int, int]]
    ends: tuple[int, int, int, int]
    straightness: float
    clear: bool = True

    @property
    def centre(self) -> int:
        """The node in the middle of the path."""
        return int(self.path[len(self.path) // 2])


def find_crossings(
    forest: SkeletonGraph, positions: np.ndarray, radius_um: float
) -> list[Crossing]:
    """The crossings of a forest; no junction is in two of them, the straighter come first.

    Args:
        forest: its junctions are single nodes (`trees.clean`).
        positions: (N, 3) of its nodes after smoothing, µm.
        radius_um: of neurites in the mask, µm.
    """
    graph = NeuriteGraph(positions, forest.edges)
    arms: dict[int, list[np.ndarray]] = {}  # paths that leave each junction, outwards
    links = []
    for path in graph.paths:
        for outward in (path, path[::-1]):
            if graph.degrees[outward[0]] > 2:
                arms.setdefault(int(outward[0]), []).append(outward)
        if graph.degrees[path[0]] == graph.degrees[path[-1]] == 3:
            links.append(path)
    found = [
        _judged(np.array([node]), paths, positions, radius_um)
        for node, paths in arms.items()
        if len(paths) == 4
    ]
    for path in links:
        if _length(positions[path]) <= TOGETHER * radius_um:
            outside = [
                arm
                for end, inner in ((path[0], path[1]), (path[-1], path[-2]))
                for arm in arms[int(end)]
                if arm[1] != inner
            ]
            found.append(_judged(path, outside, positions, radius_um))
    chosen, used = [], set()
    for crossing in sorted(
        (one for one in found if one), key=lambda one: (-one.straightness, one.centre)
    ):
        ends = {int(crossing.path[0]), int(crossing.path[-1])}
        if not ends & used:
            used |= ends
            chosen.append(crossing)
    return chosen


def split_crossings(
    forest: SkeletonGraph, crossings: list[Crossing]
) -> tuple[SkeletonGraph, np.ndarray]:
    """The forest with the two neurites of each clear crossing apart, and where its nodes were.

    Neurites that cross each keep their own copy of the nodes that they shared; the stretch between
    two that only passed each other goes. Nodes without edges go.
    """
    crossings = [crossing for crossing in crossings if crossing.clear]
    edges = [tuple(pair) for pair in np.sort(forest.edges, axis=1).tolist()]
    rows = {pair: row for row, pair in enumerate(edges)} if crossings else {}
    came_from = list(range(len(forest)))
    dropped: set[int] = set()
    added: list[tuple[int, int]] = []
    for crossing in crossings:
        (a, b), (c, d) = crossing.pairs
        at = dict(zip((a, b, c, d), crossing.ends, strict=True))
        path = [int(node) for node in crossing.path]
        inner = [rows[_sorted(pair)] for pair in zip(path[:-1], path[1:], strict=True)]
        if len(path) > 1 and at[a] == at[b]:
            dropped.update(inner)
            continue
        copies = {node: len(came_from) + index for index, node in enumerate(path)}
        came_from += path
        added += [(copies[one], copies[two]) for one, two in zip(path[:-1], path[1:], strict=True)]
        for arm in (c, d):
            dropped.add(rows[_sorted((arm, at[arm]))])
            added.append((arm, copies[at[arm]]))
    kept = np.array([row not in dropped for row in range(len(edges))], dtype=bool)
    source = np.array(came_from, dtype=np.int64)
    joined = np.concatenate([forest.edges[kept], np.array(added, np.int64).reshape(-1, 2)])
    whole = SkeletonGraph(forest.voxels[source], forest.distances[source], joined)
    held = np.bincount(joined.ravel(), minlength=len(whole)) > 0
    return whole.select(held), source[held]


def _judged(
    path: np.ndarray, arms: list[np.ndarray], positions: np.ndarray, radius_um: float
) -> Crossing | None:
    """The crossing at a path with four arms, None if it is none."""
    directions = [_direction(positions[arm], radius_um) for arm in arms]
    known = [one for one in directions if one is not None]
    if len(known) < 4:
        return None
    cosines = -np.array(known) @ np.array(known).T
    sums = [sum(cosines[pair] for pair in pairing) for pairing in PAIRINGS]
    order = np.argsort(sums)
    (p, q), (r, s) = PAIRINGS[order[-1]]
    straightness = float(min(cosines[p, q], cosines[r, s]))
    clear = sums[order[-1]] - sums[order[-2]] >= CLEARLY
    either = min(cosines[pair] for pair in PAIRINGS[order[-2]]) >= STRAIGHT
    if straightness < STRAIGHT or not (clear or either):
        return None
    nodes = [int(arm[1]) for arm in arms]
    ends = [int(arm[0]) for arm in arms]
    return Crossing(
        path,
        ((nodes[p], nodes[q]), (nodes[r], nodes[s])),
        (ends[p], ends[q], ends[r], ends[s]),
        min(1.0, straightness),
        bool(clear),
    )


def _direction(points: np.ndarray, radius_um: float) -> np.ndarray | None:
    """Unit vector along an arm, outwards; None where it is too short to have one."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    if arc[-1] < SHORTEST * radius_um:
        return None
    low, high = (
        np.array([np.interp(at * radius_um, arc, points[:, axis]) for axis in range(3)])
        for at in (NEAR, FAR)
    )
    step = high - low
    return step / max(float(np.linalg.norm(step)), 1e-12)


def _length(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _sorted(pair: tuple[int, int]) -> tuple[int, int]:
    return (min(pair), max(pair))
