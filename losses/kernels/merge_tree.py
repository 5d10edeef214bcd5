r"""The merge trees of spanning trees, all at once, and the order of leaves that makes them flat.

Insert the edges of a spanning tree from the best to the worst: each joins two groups of vertices.
The *merge tree* has the vertices as leaves and a node for each edge, whose two children are what
it joined. One after the other that is Kruskal's algorithm; here it is built from the rounds of
Boruvka's, from the last to the first, without following single edges:

* A group as a whole first meets others through the edge it picked. So in the merge tree of the
  groups of a round, the parent of a group is the edge it picked.
* When the groups of a round are split into those of the round before, the edges inside a group X
  are new. Consider one, picked by Y: whatever of X is joined by better edges, and whatever these
  parts of X have met outside, is joined to its other end already, while Y is still alone. So the
  new edge lies on the way from X to the root, where its rank belongs, and Y hangs on it.

Finding that place is a search along the ancestors (pointer doubling); edges with the same place
are chained by rank. Numbering the leaves along an Euler tour (pointer doubling again) makes the
leaves of every node an interval, and those of its two children the halves of that interval.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from topodelin.losses.kernels.boruvka import Round

NO_EDGE = torch.iinfo(torch.int64).max


class MergeTrees(NamedTuple):
    """Merge trees of several graphs; their nodes are the edges of the spanning trees.

    Each vertex but one of a graph is the name of a node, see `topodelin.losses.kernels.boruvka`.
    With the vertices in the order of `place`, a node joins those at `begin`..`middle` to those at
    `middle`..`end`. Places count from 0 in each graph.
    """

    edge: Int64[Tensor, " vertices"]
    """The edge of the node; NO_EDGE for the vertex that names none, whose intervals are empty."""
    begin: Int64[Tensor, " vertices"]
    middle: Int64[Tensor, " vertices"]
    end: Int64[Tensor, " vertices"]
    place: Int64[Tensor, " vertices"]


def merge_trees(rounds: Sequence[Round], vertices: int, each: int) -> MergeTrees:
    """Build the merge trees of connected graphs of `each` vertices from their Boruvka rounds.

    Vertices are numbered one graph after the other. Asks nothing of the device.
    """
    device = rounds[0].partner.device
    # A node is named by the group that ended with its edge. One name more stands above all.
    top = vertices
    names = torch.arange(vertices, device=device)
    edge = torch.full((vertices + 1,), NO_EDGE, device=device)
    parent = torch.full((vertices + 1,), top, device=device)
    # The parent of each group of the round that was treated last.
    above = torch.full((vertices,), top, device=device)
    for index, step in reversed(list(enumerate(rounds))):
        edge[step.ended] = step.edge
        rank, order = step.edge.sort()
        ended, union = step.ended[order], step.union[order]
        first = above[union]
        better = edge[first] < rank
        # No graph had more groups after this round, nor so many nodes.
        last = _last_better(first, rank, parent, edge, each >> (index + 1))
        # The place of a new edge: on top of a node, or of a group, numbered after the nodes.
        place = torch.where(better, last, vertices + 1 + union)
        over = torch.where(better, parent[last], first)
        place, order = place.sort(stable=True)
        ended, over = ended[order], over[order]
        changes = torch.ones(len(place) + 1, dtype=torch.bool, device=device)
        changes[1:-1] = place[1:] != place[:-1]
        starts, ends = changes[:-1], changes[1:]
        # What must not be written is written to the name above all, which is mended.
        parent[torch.where(starts & (place < top), place, top)] = ended
        parent[ended] = torch.where(ends, over, ended.roll(-1))
        parent[top] = top
        above = torch.where(step.partner == names, top, step.partner)
        above[step.ended] = step.ended
    return _flatten(parent[:top], above, edge[:top], each)


def _last_better(
    first: Tensor, rank: Tensor, parent: Tensor, edge: Tensor, longest: int
) -> Int64[Tensor, " ended"]:
    """The last node on the way up from `first` whose edge is better than `rank`.

    `longest`: no way up is longer. Meaningless where `first` itself is worse.
    """
    jumps = [parent]
    while 1 << len(jumps) <= longest:
        jumps.append(jumps[-1][jumps[-1]])
    found = first
    for jump in reversed(jumps):
        ahead = jump[found]
        found = torch.where(edge[ahead] < rank, ahead, found)
    return found


def _flatten(parent: Tensor, above: Tensor, edge: Tensor, each: int) -> MergeTrees:
    """Number the leaves along an Euler tour.

    Args:
        parent: of each node by its name, `vertices` where there is none.
        above: the parent of each vertex.
    """
    vertices = len(parent)
    names = torch.arange(vertices, device=parent.device)
    is_node = edge != NO_EDGE
    # Stops of the tour: down into node x, at leaf x, back up from node x; and its end.
    leaf, up, tour_end = vertices, 2 * vertices, 3 * vertices
    children = torch.cat([names, names + leaf])
    parents = torch.cat([parent, above])
    left = torch.full((vertices + 1,), tour_end, device=parent.device)
    left = left.scatter_reduce(0, parents, children, "amin")[:vertices]
    right = torch.full((vertices + 1,), 0, device=parent.device)
    right = right.scatter_reduce(0, parents, children, "amax")[:vertices]
    following = torch.full((3 * vertices + 1,), tour_end, device=parent.device)
    for stop, after in (
        (names, left),
        (torch.where(left < leaf, left + up, left), right),
        (torch.where(right < leaf, right + up, right), names + up),
    ):
        # Names of no node speak for the end of the tour, which stays where it is.
        following[torch.where(is_node, stop, tour_end)] = torch.where(is_node, after, tour_end)

    leaves = torch.zeros(3 * vertices + 1, dtype=torch.int64, device=parent.device)
    leaves[leaf:up] = 1
    for _ in range((3 * each).bit_length()):
        leaves = leaves + leaves[following]
        following = following[following]
    place = each - leaves
    begin, middle, end = (
        torch.where(is_node, place[stop], 0) for stop in (names, right, names + up)
    )
    return MergeTrees(edge, begin, middle, end, place[names + leaf])
