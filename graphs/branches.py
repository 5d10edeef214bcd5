"""Branches: the paths between junctions and endpoints, and what one does to them."""

import heapq
from math import ceil

import numpy as np

from topodelin.graphs.flattening import flattened
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


def branches(graph: NeuriteGraph | NetworkxGraph) -> list[np.ndarray]:
    """The paths between nodes of degree other than 2, as arrays of node numbers.

    Every edge lies in exactly one branch. A branch that leaves a junction and comes back to it,
    and a closed loop without any junction, begin and end with the same node; the loop starts at
    its lowest numbered node. Nodes without edges are in no branch.
    """
    graph = as_neurite_graph(graph)
    count = len(graph.edges)
    tails = graph.edges.T.ravel()  # each edge twice, once from either end
    order = np.argsort(tails, kind="stable")
    heads = graph.edges[:, ::-1].T.ravel()[order].tolist()
    edge_of = (order % max(count, 1)).tolist()
    first = np.searchsorted(tails[order], np.arange(len(graph) + 1)).tolist()
    degrees = graph.degrees
    done = [False] * count

    def walk(start: int, half_edge: int) -> np.ndarray:
        path = [start]
        while True:
            done[edge_of[half_edge]] = True
            node = heads[half_edge]
            path.append(node)
            at = first[node]
            if first[node + 1] - at != 2 or node == start:
                return np.array(path, dtype=np.int64)
            half_edge = at + 1 if edge_of[at] == edge_of[half_edge] else at

    starts = np.flatnonzero((degrees != 2) & (degrees > 0)).tolist()
    found = [
        walk(node, half_edge)
        for node in starts
        for half_edge in range(first[node], first[node + 1])
        if not done[edge_of[half_edge]]
    ]
    left = np.unique(graph.edges[~np.array(done, dtype=bool)])
    found += [walk(node, first[node]) for node in left.tolist() if not done[edge_of[first[node]]]]
    return found


def prune_branches(graph: NeuriteGraph | NetworkxGraph, min_length_um: float) -> NeuriteGraph:
    """Remove side branches shorter than `min_length_um`, the shortest first.

    A side branch runs from an endpoint to a junction. When a junction has only two branches left
    they become one and are judged together, so that pruning never eats the end of a neurite. A
    branch between two endpoints is a neurite of its own and stays (`drop_small_components`).
    """
    graph = as_neurite_graph(graph)
    return graph.select(outside_short_branches(graph, graph.positions, min_length_um))


def outside_short_branches(
    graph: NeuriteGraph, positions: np.ndarray, min_length_um: float
) -> np.ndarray:
    """(N,) True for the nodes that `prune_branches` keeps, with lengths measured on `positions`."""
    keep = np.ones(len(graph), dtype=bool)
    if min_length_um <= 0:
        return keep
    parts = dict(enumerate(graph.paths))
    ends = {key: (int(path[0]), int(path[-1])) for key, path in parts.items()}
    lengths = {key: _path_length(positions[path]) for key, path in parts.items()}
    at_node: dict[int, list[int]] = {}  # the branches that end at a node, loops twice
    for key, pair in ends.items():
        for node in pair:
            at_node.setdefault(node, []).append(key)

    def is_side_branch(key: int) -> bool:
        degrees = sorted(len(at_node[node]) for node in ends[key])
        return degrees[0] == 1 and degrees[1] > 2

    queue = [(lengths[key], key) for key in parts if is_side_branch(key)]
    heapq.heapify(queue)
    while queue:
        length, key = heapq.heappop(queue)
        if length >= min_length_um:
            break
        if key not in parts:  # it has become part of a longer one
            continue
        junction = max(ends[key], key=lambda node: len(at_node[node]))
        keep[parts.pop(key)] = False
        keep[junction] = True
        at_node[junction].remove(key)
        if len(at_node[junction]) != 2 or len(set(at_node[junction])) == 1:
            continue
        one, two = at_node.pop(junction)
        joined = len(lengths)
        parts[joined] = np.concatenate([parts.pop(one), parts.pop(two)])
        lengths[joined] = lengths[one] + lengths[two]
        start, end = (_other(ends[branch], junction) for branch in (one, two))
        ends[joined] = start, end
        for node, branch in ((start, one), (end, two)):
            at_node[node][at_node[node].index(branch)] = joined
        if is_side_branch(joined):
            heapq.heappush(queue, (lengths[joined], joined))
    return keep


def smooth_branches(
    graph: NeuriteGraph | NetworkxGraph,
    window: int = 6,
    *,
    reach: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> NeuriteGraph:
    """Take short waves out of each branch; ends and junctions stay where they are.

    Args:
        graph: any graph; a closed loop without junction is smoothed all around.
        window: nodes; waves along a branch that are much shorter than twice the window go, much
            longer ones stay (`flattening` has the law). 1 changes nothing.
        reach: µm along the branch `(z, y, x)`; for that coordinate the window spans at least so
            much. In a volume with coarse slices z moves in few, tall steps and needs a wider window
            than x and y do.

    With a window of 6 voxels the length of a chain of voxels falls from 10 % above that of the
    straight line it follows to 0.2 %, 1 % at worst, a circle of radius 5 loses 1.4 %. On a branch
    that comes back to its first node the window is at most a sixth of it, so that small loops stay
    open. A branch of fewer than 4 nodes stays as it is.
    """
    graph = as_neurite_graph(graph)
    if window < 1:
        raise ValueError(f"`window` must be 1 or more nodes, got {window}; 1 changes nothing")
    paths = graph.paths
    if not paths:
        return graph
    sequences, kept_from, kept_to, widest = [], [], [], []
    for path in paths:
        body = path[:-1]
        comes_back = path[0] == path[-1]
        around = comes_back and graph.degrees[path[0]] == 2
        sequences.append(np.concatenate([body, body, path]) if around else path)
        kept_from.append(len(body) if around else 0)
        kept_to.append(2 * len(body) if around else len(path))
        widest.append(len(body) / 6 if comes_back else np.inf)
    sizes = np.array([len(sequence) for sequence in sequences])
    index = np.arange(sizes.sum())
    position = index - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = (position >= np.repeat(kept_from, sizes)) & (position < np.repeat(kept_to, sizes))
    nodes = np.concatenate(sequences)
    points = graph.positions[nodes]
    arc = np.cumsum(np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=1))
    moved = graph.positions.copy()
    for axis in range(3):
        half = np.minimum(_nodes_within(arc, window, reach[axis]), np.repeat(widest, sizes))
        moved[nodes[kept], axis] = flattened(points[:, axis], sizes, half)[kept]
    return NeuriteGraph(moved, graph.edges, graph.radii, graph.kinds)


def resample(graph: NeuriteGraph | NetworkxGraph, step_um: float) -> NeuriteGraph:
    """The same branches with nodes at equal distances of at most `step_um` along each.

    Junctions, endpoints and nodes without edges stay where they are. Radii are interpolated, kinds
    taken from the node before. A loop keeps at least three edges, and branches that join the same
    two nodes at least two, so that no two edges join the same nodes.
    """
    graph = as_neurite_graph(graph)
    if not step_um > 0:
        raise ValueError(f"`step_um` must be positive, got {step_um}")
    paths = graph.paths
    fixed = np.unique([node for path in paths for node in (path[0], path[-1])])
    fixed = np.union1d(fixed, np.flatnonzero(graph.degrees == 0)).astype(np.int64)
    number = {node: index for index, node in enumerate(fixed.tolist())}
    positions, radii = [graph.positions[fixed]], [graph.radii[fixed]]
    kinds, edges = [graph.kinds[fixed]], []
    count = len(fixed)
    joined: set[tuple[int, int]] = set()
    for path in paths:
        start, end = number[int(path[0])], number[int(path[-1])]
        pair = (min(start, end), max(start, end))
        fewest = 3 if start == end else 2 if pair in joined else 1
        joined.add(pair)
        points = graph.positions[path]
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        pieces = max(fewest, ceil(arc[-1] / step_um - 1e-9))
        at = arc[-1] * np.arange(1, pieces) / pieces
        before = np.clip(np.searchsorted(arc, at, side="right") - 1, 0, len(path) - 1)
        positions.append(np.stack([np.interp(at, arc, points[:, k]) for k in range(3)], axis=1))
        radii.append(np.interp(at, arc, graph.radii[path]))
        kinds.append(graph.kinds[path[before]])
        chain = np.concatenate([[start], np.arange(count, count + pieces - 1), [end]])
        edges.append(np.stack([chain[:-1], chain[1:]], axis=1))
        count += pieces - 1
    return NeuriteGraph(
        np.concatenate(positions),
        np.concatenate(edges) if edges else np.zeros((0, 2), np.int64),
        np.concatenate(radii),
        np.concatenate(kinds),
    )


def _path_length(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _other(pair: tuple[int, int], node: int) -> int:
    return pair[1] if pair[0] == node else pair[0]


def _nodes_within(arc: np.ndarray, least: int, reach: float) -> np.ndarray:
    """Nodes that the way `reach` holds on one side of each node or the other, or `least`."""
    if reach <= 0:
        return np.full(len(arc), least)
    index = np.arange(len(arc))
    above = np.searchsorted(arc, arc + reach + 1e-9, side="right") - 1 - index
    below = index - np.searchsorted(arc, arc - reach - 1e-9, side="left")
    return np.maximum(least, np.maximum(above, below))
