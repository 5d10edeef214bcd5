r"""Minimum spanning forests in tensor operations, and what hangs on each of their edges.

The same edges and the same counts as `topodelin.losses.spanning.forest`, on any device and without
a loop over voxels. The forest is found in rounds (`topodelin.losses.kernels.boruvka`). To sum the
mass on the far side of each of its edges, walk around every tree as around a wall, passing each
edge once in either direction (an *Euler tour*): between the two passings of an edge lies what hangs
on it. How far each passing is from the end of its tour is found by doubling pointers.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from topodelin.losses.kernels.boruvka import Round, spanning_trees


class Cuts(NamedTuple):
    """The edges of a forest that have mass on both sides."""

    high: Int64[Tensor, " cuts"]
    """The rank of the costlier voxel of each."""
    low: Int64[Tensor, " cuts"]
    """The rank of the cheaper one."""
    side: Int64[Tensor, " cuts"]
    """The mass on the lighter side."""
    whole: Int64[Tensor, " cuts"]
    """The mass on both."""
    joins: Bool[Tensor, " cuts"]
    """Whether both groups had mass when the edge joined them."""


def spanning_cuts(
    high: Int64[Tensor, " edges"],
    low: Int64[Tensor, " edges"],
    vertex: Int64[Tensor, " n"],
    mass: Int64[Tensor, " vertices"],
    cost: Float[Tensor, " edges"] | None = None,
) -> Cuts:
    """The edges of the minimum spanning forest that have mass on both sides.

    Args:
        high, low: the ranks of the costlier and the cheaper voxel of each edge; no edge twice.
        vertex: of each voxel by rank, the vertex that it is; several may be one.
        mass: of each vertex, not negative.
        cost: of each edge; equal costs are told apart by `high`, then `low`. None: 0.
    """
    by_cost = (high * len(vertex) + low).argsort()
    if cost is not None:
        by_cost = by_cost[cost[by_cost].argsort(stable=True)]
    high, low = high[by_cost], low[by_cost]
    tail, head = vertex[high], vertex[low]
    rounds = spanning_trees(tail, head, len(mass), len(mass))
    taken = _edges(rounds, tail).sort().values
    tail, head, high, low = tail[taken], head[taken], high[taken], low[taken]

    root = _roots(rounds, len(mass), mass.device)
    beyond = _mass_beyond(tail, head, root, mass)
    whole = torch.zeros_like(mass).index_add_(0, root, mass)[root[tail]]
    # An edge joins two groups with mass if, all mass being one vertex, it closes a cycle.
    one = len(mass)
    tail, head = (torch.where(mass[end] > 0, one, end) for end in (tail, head))
    joins = torch.ones_like(tail, dtype=torch.bool)
    joins[_edges(spanning_trees(tail, head, one + 1, one + 1), tail)] = False
    side = torch.minimum(beyond, whole - beyond)
    parts = side > 0
    return Cuts(*(values[parts] for values in (high, low, side, whole, joins)))


def grid_edges(
    number: Int64[Tensor, "batch channel *space"],
) -> tuple[Int64[Tensor, " edges"], Int64[Tensor, " edges"]]:
    """Every two voxels that touch at a face, an edge or a corner and have a number, once.

    Args:
        number: of each voxel, -1 for one that is left out.
    """
    pairs = []
    space = number.ndim - 2
    for step in itertools.product((-1, 0, 1), repeat=space):
        if step <= (0,) * space:  # the other half of the neighbours
            continue
        one = number[(..., *(slice(max(-s, 0), -s if s > 0 else None) for s in step))]
        two = number[(..., *(slice(max(s, 0), s if s < 0 else None) for s in step))]
        joined = (one >= 0) & (two >= 0)
        pairs.append((one[joined], two[joined]))
    one, two = zip(*pairs, strict=True)
    return torch.cat(one), torch.cat(two)


def _edges(rounds: Sequence[Round], like: Tensor) -> Int64[Tensor, " taken"]:
    """The numbers of the edges of the trees."""
    return torch.cat([like[:0], *(step.edge for step in rounds)])


def _roots(
    rounds: Sequence[Round], vertices: int, device: torch.device
) -> Int64[Tensor, " vertices"]:
    """One vertex of each tree, the same for all of its vertices."""
    root = torch.arange(vertices, device=device)
    for step in rounds:
        root[step.ended] = step.union
    for _ in rounds:  # a group ends in one union a round at most
        root = root[root]
    return root


def _mass_beyond(tail: Tensor, head: Tensor, root: Tensor, mass: Tensor) -> Tensor:
    """The mass on one side of each edge of a forest.

    Args:
        tail, head: the ends of the edges.
        root: of each vertex, as of `_roots`.
    """
    edges = len(tail)
    if edges == 0:
        return tail
    # Arc e runs from tail to head, arc edges + e back. Arcs are listed by where they start.
    source, sink = torch.cat([tail, head]), torch.cat([head, tail])
    arcs = torch.arange(2 * edges, device=tail.device)
    back = arcs.roll(-edges)
    listed = source.argsort(stable=True)
    place = torch.empty_like(arcs)
    place[listed] = arcs
    vertex = source[listed]
    begins = torch.ones_like(vertex, dtype=torch.bool)
    begins[1:] = vertex[1:] != vertex[:-1]
    first = torch.zeros_like(mass)
    first[vertex[begins]] = listed[begins]
    # After an arc comes the next in the list of where it leads, the last being followed by the
    # first. The tour begins with the first arc of the root, and ends before it.
    ends = begins.roll(-1)
    turn = torch.where(ends, first[vertex], listed.roll(-1))[place]
    following = turn[back]
    end = 2 * edges
    following = torch.where(following == first[root[source]], end, following)
    following = torch.cat([following, following.new_tensor([end])])
    left = torch.ones_like(following)
    left[end] = 0
    for _ in range(end.bit_length()):
        left = left + left[following]
        following = following[following]
    left = left[:end]  # arcs from this one to the end of its tour, it included
    length = torch.zeros_like(mass).index_add_(0, root[source], torch.ones_like(arcs))
    position = length.cumsum(0)[root[source]] - left
    outwards = left > left[back]
    brought = torch.zeros_like(arcs)
    brought[position] = torch.where(outwards, mass[sink], 0)
    so_far = brought.cumsum(0)[position]
    out = torch.where(outwards[:edges], arcs[:edges], back[:edges])
    return so_far[back[out]] - so_far[out] + mass[sink[out]]
