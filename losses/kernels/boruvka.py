r"""Spanning trees of many graphs at once, in few rounds of tensor operations (Boruvka).

Every group of vertices picks the best edge that leaves it, all picked edges are in the tree, and
groups so joined are the groups of the next round. A round at least halves the groups of a graph.

Each round leaves behind what the merge tree is made of (see `topodelin.losses.kernels.merge_tree`).
Name a group by one of its vertices. When picked edges join several groups, exactly one edge was
picked from both sides; the group of smaller name on it gives its name to the union, and every other
group *ends* with the edge that it picked. So each vertex but one of a graph is the name of a group
that ends at some round, and stands for one edge of the tree.

Reference:
    O. Boruvka. O jistem problemu minimalnim. Prace moravske prirodovedecke spolecnosti 3, 1926.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor


class Round(NamedTuple):
    """The groups that ended in one round, and what the surviving ones were joined by."""

    ended: Int64[Tensor, " ended"]
    """Names of the groups that ended."""
    edge: Int64[Tensor, " ended"]
    """The edge that each picked."""
    union: Int64[Tensor, " ended"]
    """The name of the group it became part of."""
    partner: Int64[Tensor, " vertices"]
    """For a name that survived: the ended group that picked the same edge. Else its own name."""


def spanning_trees(
    tail: Int64[Tensor, " edges"], head: Int64[Tensor, " edges"], vertices: int, largest: int
) -> list[Round]:
    """The spanning trees that prefer edges of smaller number, as rounds from first to last.

    Args:
        tail, head: the two vertices of each edge. Graphs are told apart by their vertices alone.
        vertices: of all graphs together.
        largest: vertices of the largest graph.

    Asks the device two questions a round: which edges still join different groups, and which
    groups end.
    """
    names = torch.arange(vertices, device=tail.device)
    group = names
    number = torch.arange(len(tail), device=tail.device)
    rounds: list[Round] = []
    while True:
        one, two = group[tail], group[head]
        (leaving,) = (one != two).nonzero(as_tuple=True)
        if len(leaving) == 0:
            return rounds
        tail, head, number = tail[leaving], head[leaving], number[leaving]
        one, two = one[leaving], two[leaving]
        # Positions among the leaving edges increase with the numbers of the edges.
        position = torch.arange(len(leaving), device=tail.device)
        none = len(leaving)
        best = torch.full((vertices,), none, device=tail.device)
        best = best.scatter_reduce(0, one, position, "amin")
        best = best.scatter_reduce(0, two, position, "amin")
        picks = best < none
        picked = best.clamp(max=none - 1)
        other = torch.where(picks, one[picked] + two[picked] - names, names)
        survives = picks & (other[other] == names) & (names < other)
        (ended,) = (picks & ~survives).nonzero(as_tuple=True)
        parent = torch.where(survives, names, other)
        for _ in range(_halvings(largest >> len(rounds))):
            parent = parent[parent]
        partner = torch.where(survives, other, names)
        rounds.append(Round(ended, number[picked[ended]], parent[ended], partner))
        group = parent[group]


def _halvings(count: int) -> int:
    """How often pointers must be doubled to lead through a chain of `count` groups."""
    return max(count, 1).bit_length()
