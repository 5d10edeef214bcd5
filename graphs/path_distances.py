"""Lengths of the shortest paths between places on a graph, in blocks.

Components without a cycle are answered from the depths of the places below a root; the others by
Dijkstra between junctions and endpoints.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from topodelin.graphs.contraction import ContractedGraph
from topodelin.graphs.rooted_forest import RootedForest

SHORTEST = 1e-12  # µm; a stored 0 would be no edge
KEPT = 4096  # nodes of a component up to which all of its distances are held: 128 MiB
TOGETHER = 128  # places of small components that are answered at once


class NodeDistances:
    """The junctions and endpoints of a graph, prepared for paths: trees, and tables for the rest.

    Attributes:
        contracted: the graph.
        components: (M,) component of each of its nodes.
        forest: its components without a cycle.
        sizes: number of nodes of each component, 0 of those without a cycle.
    """

    def __init__(self, contracted: ContractedGraph) -> None:
        self.contracted = contracted
        one, two = contracted.ends.T
        count = len(contracted.nodes)
        joins = csr_array((np.ones(len(one)), (one, two)), shape=(count, count))
        self.components = connected_components(joins, directed=False)[1].astype(np.int64)
        self.forest = RootedForest(contracted, self.components)
        nodes = np.bincount(self.components)
        self.sizes = np.where(self.forest.acyclic, 0, nodes)
        self._first = np.cumsum(nodes) - nodes
        by_component = np.argsort(self.components, kind="stable")
        number = np.empty(count, dtype=np.int64)
        number[by_component] = np.arange(count)
        self._table = _shortest_of_parallel(contracted, number, self.sizes[self.components] > 0)
        self._number = number - self._first[self.components]
        self._kept: dict[int, np.ndarray] = {}

    def numbers(self, nodes: np.ndarray) -> np.ndarray:
        """Numbers of nodes within their component."""
        return self._number[nodes]

    def rows(self, component: int, numbers: np.ndarray) -> np.ndarray:
        """(R, M) µm from some nodes of a component with a cycle to all of them, by number."""
        if component in self._kept:
            return self._kept[component][numbers]
        size = int(self.sizes[component])
        part = np.s_[self._first[component] : self._first[component] + size]
        table = self._table[part, part]
        if size > KEPT:
            unique, back = np.unique(numbers, return_inverse=True)
            return np.asarray(dijkstra(table, indices=unique))[back]
        if sum(map(np.size, self._kept.values())) + size**2 > KEPT**2:
            self._kept.clear()
        self._kept[component] = np.asarray(dijkstra(table))
        return self._kept[component][numbers]


class PathDistances:
    """Places on the chains of a graph, prepared for the lengths of the paths between them.

    Args:
        between: of the junctions and endpoints of the graph.
        edges: (K,) edge of each place; -1 for nowhere.
        fractions: (K,) of that edge.

    Attributes:
        components: (K,) component of each place; -1 nowhere.
        chains, ends: the chain it lies on, and the numbers of the two ends of that.
        ways, left: from it to either of these ends, µm.
        lower, depths: on trees, the end farther from the root, and its own way from the root, µm.
        rank: place in the order of the walk through the trees; what lies on none comes later.
    """

    def __init__(self, between: NodeDistances, edges: np.ndarray, fractions: np.ndarray) -> None:
        contracted, forest = between.contracted, between.forest
        count, placed = len(edges), np.flatnonzero(edges >= 0)
        at = edges[placed]
        chain, way = contracted.chain[at], contracted.on_chains(at, fractions[placed])
        ends = contracted.ends[chain]
        lower = forest.lower[chain]
        tree, down = lower >= 0, lower == ends[:, 1]
        left = contracted.lengths[chain] - way
        depth = forest.depths[np.where(down, ends[:, 0], ends[:, 1])] + np.where(down, way, left)
        component = between.components[ends[:, 0]]

        self.between = between
        self.components = _spread(count, placed, component, -1)
        self.chains = _spread(count, placed, chain, -1)
        self.lower = _spread(count, placed, lower, -1)
        self.ends = np.stack([_spread(count, placed, between.numbers(e), -1) for e in ends.T], 1)
        self.ways = _spread(count, placed, way, 0.0)
        self.left = _spread(count, placed, left, 0.0)
        self.depths = _spread(count, placed, np.where(tree, depth, 0.0), 0.0)
        # Trees in the order of the walk, then the others by component and chain, then nowhere.
        group = np.where(tree, -1, component)
        number = np.where(tree, forest.before[lower], chain)
        walked = placed[np.lexsort((np.where(tree, depth, way), number, group))]
        self._placed = len(placed)
        self._order = np.concatenate([walked, np.flatnonzero(edges < 0)])
        self.rank = np.empty(count, dtype=np.int64)
        self.rank[self._order] = np.arange(count)

    def table_sizes(self) -> np.ndarray:
        """(K,) nodes of the component that a place lies on if that has a cycle; 0 otherwise."""
        return np.where(self.components >= 0, np.append(self.between.sizes, 0)[self.components], 0)

    def groups(self) -> list[np.ndarray]:
        """The places, those of a component in one array, with other small components.

        No path leads from one array to another.
        """
        places = self._order[: self._placed]
        component = self.components[places]
        bounds = np.flatnonzero(np.diff(component)) + 1
        cuts = [0]
        for begin, end in zip(bounds.tolist(), [*bounds[1:].tolist(), len(places)], strict=False):
            if end - cuts[-1] > TOGETHER:
                cuts.append(begin)
        return np.split(places, cuts[1:])

    def among(self, places: np.ndarray) -> "PathsAmong":
        """Prepare for the paths between some of the places."""
        return PathsAmong(self, places)


class PathsAmong:
    """Some places of a graph, prepared for the lengths of the paths between them.

    Attributes:
        placed: (N,) whether a place lies anywhere.
    """

    def __init__(self, paths: PathDistances, places: np.ndarray) -> None:
        order = np.argsort(paths.rank[places], kind="stable")
        self._position = np.empty(len(order), dtype=np.int64)
        self._position[order] = np.arange(len(order))
        walked = places[order]
        lower, self._depths = paths.lower[walked], paths.depths[walked]
        tree = lower >= 0
        self._back = np.where(tree, -2 * self._depths, np.inf)
        self._steps = np.full(max(len(order) - 1, 0), np.inf)
        both = np.flatnonzero(tree[1:] & tree[:-1])
        meeting = paths.between.forest.meeting_depths(lower[both], lower[both + 1])
        self._steps[both] = np.maximum(
            np.maximum(self._back[both], self._back[both + 1]), -2 * meeting
        )
        component = paths.components[places]
        self.placed = component >= 0
        tables = np.unique(component[self.placed & (paths.lower[places] < 0)])
        self._tables = [
            _TablePaths(paths, places, np.flatnonzero(component == number)) for number in tables
        ]

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """(R, N) µm from some of the places to all; infinite where no path is, or no place."""
        at = self._position[rows]
        ways = np.full((len(at), len(self._position)), np.inf)
        for row in np.flatnonzero(np.isfinite(self._back[at])).tolist():
            here, way = at[row], ways[row]
            np.maximum.accumulate(self._steps[here:], out=way[here + 1 :])
            np.maximum.accumulate(self._steps[:here][::-1], out=way[:here][::-1])
        ways[np.arange(len(at)), at] = self._back[at]
        ways += self._depths
        ways += self._depths[at, None]
        ways = np.take(ways, self._position, axis=1)
        for table in self._tables:
            table.fill(ways, rows)
        return ways


class _TablePaths:
    """Those of some places that lie on one component with a cycle."""

    def __init__(self, paths: PathDistances, places: np.ndarray, members: np.ndarray) -> None:
        mine = places[members]
        self._between, self._component = paths.between, int(paths.components[mine[0]])
        self._members, self._chains = members, paths.chains[mine]
        self._ends, self._ways, self._left = paths.ends[mine], paths.ways[mine], paths.left[mine]
        self._number = np.full(len(places), -1, dtype=np.int64)
        self._number[members] = np.arange(len(members))

    def fill(self, table: np.ndarray, rows: np.ndarray) -> None:
        """Write the paths from those of the rows that are members to all members.

        A path leaves the chain of its start at one of two ends and enters the chain of its goal at
        one of two ends, or it stays on the one chain that both lie on.
        """
        there = np.flatnonzero(self._number[rows] >= 0)
        start = self._number[rows[there]]
        if not len(start):
            return
        nodes = self._between.rows(self._component, self._ends[start, 0])
        nodes += self._ways[start, None]
        other = self._between.rows(self._component, self._ends[start, 1])
        other += self._left[start, None]
        np.minimum(nodes, other, out=nodes)
        found = np.take(nodes, self._ends[:, 0], axis=1) + self._ways
        other = np.take(nodes, self._ends[:, 1], axis=1) + self._left
        np.minimum(found, other, out=found)
        row, goal = np.nonzero(self._chains[start, None] == self._chains)
        along = np.abs(self._ways[start[row]] - self._ways[goal])
        found[row, goal] = np.minimum(found[row, goal], along)
        table[np.ix_(there, self._members)] = found


def _spread(count: int, at: np.ndarray, values: np.ndarray, rest: float) -> np.ndarray:
    """(count,) the values at their places, and elsewhere the rest."""
    spread = np.full(count, rest, dtype=values.dtype)
    spread[at] = values
    return spread


def _shortest_of_parallel(
    contracted: ContractedGraph, number: np.ndarray, wanted: np.ndarray
) -> csr_array:
    """Symmetric table of the lengths of chains, the shortest of parallel ones, no loops.

    Nodes are renumbered; chains whose nodes are not wanted are left out.
    """
    kept = wanted[contracted.ends[:, 0]]
    low, high = np.sort(number[contracted.ends[kept]], axis=1).T
    steps = np.maximum(contracted.lengths[kept], SHORTEST)
    order = np.lexsort((steps, high, low))
    low, high, steps = low[order], high[order], steps[order]
    first = np.ones(len(low), dtype=bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first &= low != high
    low, high, steps = low[first], high[first], steps[first]
    rows, columns = np.concatenate([low, high]), np.concatenate([high, low])
    count = len(contracted.nodes)
    return csr_array((np.tile(steps, 2), (rows, columns)), shape=(count, count))
