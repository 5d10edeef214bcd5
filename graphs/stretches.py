"""Where one graph leaves another: its stretches without a match, and its jumps.

A *run* is a part of the graph that follows one part of the other graph without a jump. Between
runs lie *stretches*: cable without a match, and short runs on something that only passes by.
Where two runs meet without a stretch between them there is a *break*. What a stretch or a break
means depends on whether the other graph joins the same places by a path of about the same length.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from topodelin.graphs.local_paths import LocalPaths
from topodelin.graphs.lost_loops import connected_parts, lost_loops
from topodelin.graphs.matching import Matching
from topodelin.graphs.neurite_graph import NeuriteGraph

BLOCK = 1 << 19  # pairs of places asked about at once
COMPARED = 8  # contacts of a stretch that the next one is compared with


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """A part of a graph between runs.

    Args:
        nodes: its nodes, rows of the pieces; none for a break.
        edges: its edges and those to its contacts, rows of the edges of the pieces.
        contacts: the nodes of runs beside it.
        sides: for each contact the number of its group; contacts that the other graph joins by a
            path of about the same length are in one group.
        position: a point in its midst, µm.
        length: µm of it without a match.
    """

    nodes: np.ndarray
    edges: np.ndarray
    contacts: np.ndarray
    sides: np.ndarray
    position: np.ndarray
    length: float


class _Ways:
    """Whether the other graph joins two places that the graph joins."""

    def __init__(self, matching: Matching, slack: float, detour: float) -> None:
        self.matching, self.slack, self.detour = matching, slack, detour
        self._paths = LocalPaths(matching.other)

    def near(self, one: np.ndarray, two: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Whether the places of two nodes each are joined by a path within the limit."""
        edges, fractions = self.matching.edges, self.matching.fractions
        found = [np.zeros(0, dtype=bool)]
        for begin in range(0, len(one), BLOCK):
            a, b = one[begin : begin + BLOCK], two[begin : begin + BLOCK]
            places = edges[a], fractions[a], edges[b], fractions[b]
            found.append(np.isfinite(self._paths.lengths(*places, limits[begin : begin + BLOCK])))
        return np.concatenate(found)

    def follow(self, runs: np.ndarray) -> None:
        """Learn which edges of the graph are runs, (E,) bool."""
        self._run_edges = runs

    @cached_property
    def _runs(self) -> tuple[np.ndarray, LocalPaths]:
        """The runs near the ends of runs, where alone they are asked about; new node numbers."""
        pieces, runs = self.matching.pieces, self._run_edges
        ends = np.unique(pieces.edges[~runs])
        longest = float(pieces.lengths.max(initial=0.0))
        apart, _ = KDTree(pieces.positions[ends]).query(
            pieces.positions, distance_upper_bound=self.slack + 2 * longest
        )
        near = np.isfinite(apart)
        edges = pieces.edges[runs]
        number = np.cumsum(near) - 1
        edges = number[edges[near[edges].all(axis=1)]]
        return np.flatnonzero(near), LocalPaths(NeuriteGraph(pieces.positions[near], edges))

    def _frontier(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes `slack` farther along the runs, or where they end before, and the ways there."""
        nodes, paths = self._runs
        found = paths.frontier(int(np.searchsorted(nodes, node)), self.slack)
        return nodes[np.array(list(found))], np.array(list(found.values()))

    def joined(self, one: int, two: int, way: float, unmatched: float = 0.0) -> bool:
        """Whether two nodes of runs that are `way` apart are joined there as well.

        Where branches run side by side, the nearest place may be on one or the other. So between
        nodes with nothing `unmatched` the places up to `slack` farther along the runs count too.
        """
        component = self.matching.components
        if component[one] != component[two]:
            return False
        limit = np.array([self.detour * way + self.slack])
        if self.near(np.array([one]), np.array([two]), limit)[0]:
            return True
        if unmatched:
            return False
        (first, before), (second, after) = self._frontier(one), self._frontier(two)
        ways = np.add.outer(before, after).ravel()
        first, second = np.repeat(first, len(second)), np.tile(second, len(first))
        return bool(self.near(first, second, ways + way + self.slack).any())


def stretches(
    matching: Matching,
    *,
    foreign_length: float,
    slack: float,
    detour: float,
    shortest_loop: float,
    tolerance: float,
) -> list[Stretch]:
    """The stretches and breaks of a matched graph.

    Args:
        matching: from `match`.
        foreign_length: µm; a shorter run on a longer component of the other graph passes by.
        slack: µm by which the path along the other graph may be longer,
        detour: and the factor by which it may.
        shortest_loop, tolerance: as in `lost_loops`; what it cuts is a break.
    """
    pieces, ways = matching.pieces, _Ways(matching, slack, detour)
    heads, tails = pieces.edges.T
    jumps = _jumps(matching, ways)
    good = matching.matched & ~_foreign(matching, jumps, foreign_length, tolerance)
    ways.follow(~jumps & good[heads] & good[tails])

    lost = ~matching.matched
    unmatched = pieces.lengths * (lost[heads].astype(float) + lost[tails]) / 2
    part_of = np.where(good, -1, connected_parts(pieces, ~good[heads] & ~good[tails]))
    part_of_edge = np.maximum(part_of[heads], part_of[tails])  # -1 between two runs
    present = np.unique(part_of[part_of >= 0])
    found = [
        _stretch(ways, nodes, edges, unmatched, good)
        for nodes, edges in zip(
            _grouped(part_of, present), _grouped(part_of_edge, present), strict=True
        )
    ]
    breaks = np.flatnonzero(jumps & (part_of_edge < 0))
    lasting = [
        not ways.joined(int(heads[k]), int(tails[k]), float(pieces.lengths[k])) for k in breaks
    ]
    breaks = breaks[np.array(lasting, dtype=bool)]
    followed = part_of_edge < 0
    followed[breaks] = False
    loops = lost_loops(matching, followed, shortest=shortest_loop, tolerance=tolerance)
    return found + _joined_breaks(matching, np.append(breaks, loops), slack)


def _jumps(matching: Matching, ways: _Ways) -> np.ndarray:
    """(E,) whether the two ends of an edge lie on places that no short path joins."""
    heads, tails = matching.pieces.edges.T
    component = matching.components
    jumps = component[heads] != component[tails]
    ask = np.flatnonzero(~jumps & (component[heads] >= 0))
    limits = matching.pieces.lengths[ask] + ways.slack
    jumps[ask] = ~ways.near(heads[ask], tails[ask], limits)
    return jumps


def _foreign(
    matching: Matching, jumps: np.ndarray, foreign_length: float, tolerance: float
) -> np.ndarray:
    """(N,) whether the run of a node only passes by what it follows.

    Then it is short, what it follows goes on elsewhere, and most of that has other cable near.
    """
    pieces, other = matching.pieces, matching.other
    run_of = connected_parts(pieces, ~jumps)
    kept = np.flatnonzero(~jumps & matching.matched[pieces.edges].all(axis=1))
    run = np.bincount(
        run_of[pieces.edges[kept, 0]],
        weights=pieces.lengths[kept],
        minlength=int(run_of.max(initial=-1)) + 1,
    )[run_of]
    whole = np.bincount(other.components[other.edges[:, 0]], weights=other.lengths, minlength=1)
    followed = np.where(matching.matched, whole[matching.components], 0.0)
    short = matching.matched & (run < foreign_length) & (followed > run + foreign_length)
    nodes = np.flatnonzero(short)
    if not len(nodes):
        return short
    one, two = other.positions[other.edges[matching.edges[nodes]]].transpose(1, 0, 2)
    places = one + matching.fractions[nodes, None] * (two - one)
    covered = _other_cable_near(places, nodes, matching, run_of, tolerance)
    _, row = np.unique(run_of[nodes], return_inverse=True)
    share = np.bincount(row, weights=covered) / np.bincount(row)
    short[nodes] = share[row] > 0.5
    return short


def _other_cable_near(
    places: np.ndarray, nodes: np.ndarray, matching: Matching, run_of: np.ndarray, tolerance: float
) -> np.ndarray:
    """(K,) whether another run comes as near to the place that a node follows as the node.

    Or within half of the tolerance, which the run next to it along the same neurite does not.
    """
    positions, cable = matching.pieces.positions, matching.pieces.degrees > 0
    apart, _ = KDTree(places).query(positions, distance_upper_bound=tolerance)
    rest = np.flatnonzero(matching.matched & cable & np.isfinite(apart))
    tree = KDTree(positions[rest])
    near = np.maximum(matching.distances[nodes], tolerance / 2)
    found = np.zeros(len(places), dtype=bool)
    for begin in range(0, len(places), BLOCK >> 4):
        block = KDTree(places[begin : begin + (BLOCK >> 4)])
        pairs = block.sparse_distance_matrix(tree, tolerance, output_type="ndarray")
        one, two = begin + pairs["i"], rest[pairs["j"]]
        other = (run_of[nodes[one]] != run_of[two]) & (pairs["v"] <= near[one])
        found[one[other]] = True
    return found


def _grouped(part_of: np.ndarray, present: np.ndarray) -> list[np.ndarray]:
    """The places in `part_of` of each of the parts that are `present`, ascending."""
    inside = np.flatnonzero(part_of >= 0)
    inside = inside[np.argsort(part_of[inside], kind="stable")]
    bounds = np.searchsorted(part_of[inside], [present, present + 1])
    return [inside[begin:end] for begin, end in bounds.T]


def _stretch(
    ways: _Ways, nodes: np.ndarray, edges: np.ndarray, unmatched: np.ndarray, good: np.ndarray
) -> Stretch:
    """One stretch, with its contacts grouped by what the other graph joins."""
    matching, pieces = ways.matching, ways.matching.pieces
    ends = pieces.edges[edges].ravel()
    contacts = np.unique(ends[good[ends]])
    way, length = float(pieces.lengths[edges].sum()), float(unmatched[edges].sum())
    sides = np.arange(len(contacts))
    for k in range(len(contacts)):
        for before in range(max(0, k - COMPARED), k):
            if sides[before] != sides[k] and ways.joined(
                int(contacts[before]), int(contacts[k]), way, length
            ):
                sides[sides == sides[k]] = sides[before]
    lost = nodes[~matching.matched[nodes]]
    points = pieces.positions[lost if len(lost) else nodes]
    middle = np.linalg.norm(points - points.mean(axis=0), axis=1).argmin()
    return Stretch(nodes, edges, contacts, sides, points[middle], length)


def _joined_breaks(matching: Matching, breaks: np.ndarray, apart: float) -> list[Stretch]:
    """Breaks as stretches without nodes; those between the same components, close by, are one."""
    if not len(breaks):
        return []
    pieces, component = matching.pieces, matching.components
    ends = pieces.edges[breaks]
    middles = pieces.positions[ends].mean(axis=1)
    sides = np.sort(component[ends], axis=1)
    pairs = KDTree(middles).query_pairs(apart, output_type="ndarray").reshape(-1, 2)
    alike = (sides[pairs[:, 0]] == sides[pairs[:, 1]]).all(axis=1)
    one, two = pairs[alike & (sides[pairs[:, 0], 0] != sides[pairs[:, 0], 1])].T
    joins = coo_array((np.ones(len(one)), (one, two)), shape=(len(breaks), len(breaks)))
    group = connected_components(joins, directed=False)[1]
    nothing = np.zeros(0, dtype=np.int64)
    found = []
    for rows in _grouped(group, np.unique(group)):
        contacts = np.unique(ends[rows])
        # One edge within one component joins two of its sides.
        own = component[contacts] if sides[rows[0], 0] != sides[rows[0], 1] else np.array([0, 1])
        found.append(Stretch(nothing, breaks[rows], contacts, own, middles[rows[0]], 0.0))
    return found
