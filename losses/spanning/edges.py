r"""The edges of the two spanning forests of a prediction on which connections hang.

The *gap* forest spans the tubes of the annotated trees ([`Tube`][]): its path between two voxels
of a tree's centreline is the best path along the annotation, and a gap is where that is costly.
The *bridge* forest spans what is predicted lower than the annotation allows, each annotated tree
taken as one vertex: its path between two trees is the falsest connection of the two.

Both are returned as plain lists of edges: their two voxels and the centreline voxels that lie on
either side. Nothing here is differentiated.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from topodelin.losses.kernels.edge_order import sort_edges
from topodelin.losses.spanning.bridges import bridge_graph
from topodelin.losses.spanning.forest import span_edges, span_voxels
from topodelin.losses.spanning.forest_torch import grid_edges, spanning_cuts
from topodelin.losses.spanning.tube import Tube


@dataclass(frozen=True)
class SpanningEdges:
    """The edges of a forest with centreline on both sides."""

    voxel: Int64[Tensor, " edges"]
    """The costlier voxel of each edge: its place in the flattened batch."""
    other: Int64[Tensor, " edges"]
    """Its cheaper voxel."""
    side: Int64[Tensor, " edges"]
    """How many voxels of the centreline lie on the side of the edge that has fewer."""
    whole: Int64[Tensor, " edges"]
    """How many lie on both."""
    joins: Bool[Tensor, " edges"]
    """Whether, sweeping from the cheapest voxel up, centreline lay in both groups when the edge
    joined them: the costliest place on the way from one to the other."""


def gap_edges(
    prediction: Float[Tensor, "batch channel *space"], tube: Tube, backend: str = "auto"
) -> SpanningEdges:
    """The forest of the tubes; an edge costs the larger predicted distance of its two voxels.

    Predicted distances are compared in single precision; of two equal ones the one nearer to the
    annotation is the smaller, then the one of smaller index. Edges with the same costlier voxel
    are compared by the other.

    Args:
        backend: "numba", "torch" or "auto"; the same edges, in another order.
    """
    values = prediction.detach().reshape(-1).index_select(0, tube.voxels).float()
    if _on_host(prediction, backend):
        return _moved(_gaps_on_host(values.cpu().numpy(), tube.to("cpu")), prediction.device)
    order, rank = _ranked(values, tube.by_truth.long())
    lowest = order[rank[tube.nearby].amin(1)] if len(tube.nearby) else tube.centre
    mass = torch.zeros_like(order).index_add_(0, lowest, torch.ones_like(lowest).long())
    one = torch.repeat_interleave(torch.arange(len(order), device=order.device), tube.starts.diff())
    two = rank[tube.neighbours]
    upwards = rank[one] > two
    high, low, *counts = spanning_cuts(rank[one][upwards], two[upwards], order, mass)
    return SpanningEdges(tube.voxels[order[high]], tube.voxels[order[low]], *counts)


def bridge_edges(
    prediction: Float[Tensor, "batch channel *space"],
    tube: Tube,
    below: float,
    backend: str = "auto",
) -> SpanningEdges:
    r"""The forest of what is predicted too low, the tube of each annotated tree being one vertex.

    Between two voxels $u, v$, predicted $d$ and annotated $g$, an edge costs

    $$\max(d_u, d_v) - \min(\max(g_u, g_v), \tau)$$

    with the level $\tau$, and there is one where that is negative. So the falsest way is the
    cheapest, and neurites that truly pass each other closely are not joined there, which would hide
    every false bridge between them. A tube is one vertex wherever it is predicted, so a gap does
    not halve a tree. Edges that cost the same are compared as in [`gap_edges`][].

    Args:
        below: $\tau$, in units of the distance map.
        backend: as in [`gap_edges`][].
    """
    d, g = prediction.detach().float(), tube.target.float()
    if _on_host(prediction, backend):
        edges = _bridges_on_host(d.cpu(), g.cpu(), tube.to("cpu"), below)
        return _moved(edges, prediction.device)
    (places,) = (d.reshape(-1) < below).nonzero(as_tuple=True)
    order, _ = _ranked(d.reshape(-1)[places], g.reshape(-1)[places].argsort(stable=True))
    places = places[order]
    number = torch.full_like(d.reshape(-1), -1, dtype=torch.int64)
    number[places] = torch.arange(len(places), device=d.device)
    tree = torch.full_like(number, -1)
    tree[tube.voxels] = tube.trees.long()
    vertex = torch.where(tree[places] < 0, len(tube.tree_sizes) + number[places], tree[places])
    mass = torch.cat([tube.tree_sizes, torch.zeros_like(places)])
    one, two = grid_edges(number.reshape(d.shape))
    high, low = torch.maximum(one, two), torch.minimum(one, two)
    truth = g.reshape(-1)[places]
    cost = d.reshape(-1)[places[high]] - torch.maximum(truth[high], truth[low]).clamp(max=below)
    false = (cost < 0) & (vertex[high] != vertex[low])
    high, low, *counts = spanning_cuts(high[false], low[false], vertex, mass, cost[false])
    return SpanningEdges(places[high], places[low], *counts)


def _on_host(prediction: Tensor, backend: str) -> bool:
    return backend == "numba" or (backend == "auto" and prediction.device.type == "cpu")


def _ranked(values: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """The order by value, of equal values as they come in `first`, and the rank of each."""
    order = first[values[first].argsort(stable=True)]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return order, rank


def _gaps_on_host(values: np.ndarray, tube: Tube) -> SpanningEdges:
    starts, neighbours = tube.starts.numpy(), tube.neighbours.numpy()
    voxels, nearby, by_truth = tube.voxels.numpy(), tube.nearby.numpy(), tube.by_truth.numpy()
    firsts, centres = tube.image_voxels.tolist(), tube.image_centre.tolist()
    found = []
    for image, pieces in enumerate(tube.pieces.tolist()):
        begin, end = firsts[image], firsts[image + 1]
        order = by_truth[begin:end] - np.int32(begin)
        sort_edges(order, values[begin:end], False)
        around = nearby[centres[image] : centres[image + 1]] - begin
        if around.shape[1] == 1:
            lowest = around[:, 0]
        else:
            rank = np.empty_like(order)
            rank[order] = np.arange(end - begin, dtype=np.int32)
            lowest = order[rank[around].min(1)]
        mass = np.bincount(lowest, minlength=end - begin).astype(np.int64)
        high, low, *counts = span_voxels(
            order, starts[begin : end + 1], neighbours, begin, mass, pieces
        )
        here = voxels[begin:end]
        found.append((here[high], here[low], *counts))
    return _concatenated(found)


def _bridges_on_host(d: Tensor, g: Tensor, tube: Tube, below: float) -> SpanningEdges:
    space = (1,) * (5 - d.ndim) + tuple(d.shape[2:])
    voxels, trees, sizes = tube.voxels.numpy(), tube.trees.numpy(), tube.tree_sizes.numpy()
    firsts, first_trees = tube.image_voxels.tolist(), tube.image_trees.tolist()
    found = []
    for image in range(len(tube.pieces)):
        begin, end = first_trees[image], first_trees[image + 1]
        if end - begin < 2:
            continue
        distance, truth = (maps.reshape(-1, *space)[image].contiguous().numpy() for maps in (d, g))
        here = slice(firsts[image], firsts[image + 1])
        offset = image * distance.size
        tree = np.zeros(distance.size, np.int32)
        tree[voxels[here] - offset] = trees[here] - np.int32(begin - 1)
        ends, vertices, costs, count, groups = bridge_graph(
            distance, truth, tree.reshape(space), end - begin, float(below)
        )
        order = np.arange(len(costs), dtype=np.int32)
        sort_edges(order, costs, False)
        mass = np.zeros(count, np.int64)
        mass[: end - begin] = sizes[begin:end]
        high, low, *counts = span_edges(order, ends, vertices, mass, groups)
        found.append((high.astype(np.int64) + offset, low.astype(np.int64) + offset, *counts))
    return _concatenated(found)


def _concatenated(found: list[tuple[np.ndarray, ...]]) -> SpanningEdges:
    none = (*(np.empty(0, np.int64),) * 4, np.empty(0, bool))
    parts = (torch.from_numpy(np.concatenate(part)) for part in zip(none, *found, strict=True))
    return SpanningEdges(*parts)


def _moved(edges: SpanningEdges, device: torch.device) -> SpanningEdges:
    fields = edges.voxel, edges.other, edges.side, edges.whole, edges.joins
    return SpanningEdges(*(field.to(device, non_blocking=True) for field in fields))
