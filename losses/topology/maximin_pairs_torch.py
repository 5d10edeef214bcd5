"""How many pairs of pixels hang on each edge, with torch operations on any device.

Equal to the kernel `topodelin.losses.topology.kernel`, count for count, without a loop over pixels
or windows and without leaving the device: spanning trees by Boruvka's rounds, merge trees, an order
of the pixels in which the two groups that an edge joins are neighbouring intervals, and sums of
labels along that order. The number of operations hardly depends on the number of windows, so a
device is the better used the more there are. On one processor core the kernel is some fifty times
as fast. The device is asked some twenty questions: two in each round of Boruvka's, how many labels
there are, and one in each round of the labelling unless that was prepared.

Edges are numbered `(y, x)-(y, x+1)` in raster order, then `(y, x)-(y+1, x)` in raster order.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32, Int32, Int64, Shaped
from torch import Tensor
from torch.nn.functional import one_hot, pad

from topodelin.losses.kernels.boruvka import spanning_trees
from topodelin.losses.kernels.merge_tree import MergeTrees, merge_trees
from topodelin.losses.topology.maximin_pairs import BRIDGE, GAP

SMALLEST = torch.iinfo(torch.int64).min
CELLS = 1 << 23  # of a table of labels, 64 MB; several are held at once


class EdgePairs(NamedTuple):
    """Pairs of pixels that hang on each edge of each window; rows GAP and BRIDGE."""

    pairs: Shaped[Tensor, "kinds windows edges"]
    totals: Shaped[Tensor, "kinds windows"]
    """The pairs that there are."""
    far: Float32[Tensor, "windows edges"]
    """How far from the annotation the edge is."""


def edge_pairs(
    prediction: Float32[Tensor, "windows height width"],
    target: Float32[Tensor, "windows height width"],
    outside: Bool[Tensor, "windows height width"],
    labels: Int32[Tensor, "windows height width"],
    *,
    edge_lo: float,
    free_from: float,
    far_cost: float,
    near_cost: float,
    prefer_line: bool,
    equal_regions: bool,
) -> EdgePairs:
    """Count the pairs of pixels of different regions, and of one, for which an edge is weakest.

    Args:
        edge_lo, free_from, far_cost, near_cost, prefer_line: see `TopologyRule`; numbers that
            single precision holds exactly.
        equal_regions: count each pair of regions, and each region, as one; otherwise the counts
            are whole numbers.
    """
    windows, height, width = prediction.shape
    pixels = height * width
    cost = torch.add(*_ends(prediction)) + 0.0  # minus zero becomes zero
    far = torch.add(*_ends(target))
    one, two = _ends(outside)
    removed = one | two
    gap_key = _keys(cost, far, far >= free_from, far_cost, removed, 1 if prefer_line else 0)
    bridge_key = _keys(cost, far, far < edge_lo, near_cost, removed, -1 if prefer_line else 0)
    keys = torch.cat([gap_key, bridge_key])
    order = keys.argsort(dim=1, descending=True, stable=True)

    graphs, edges = order.shape
    tail, head = _ends(torch.arange(pixels, device=order.device).reshape(1, height, width))
    start = torch.arange(graphs, device=order.device)[:, None] * pixels
    # From here on an edge is its place in the order, counted through all graphs.
    rounds = spanning_trees(
        (tail[0][order] + start).reshape(-1),
        (head[0][order] + start).reshape(-1),
        graphs * pixels,
        pixels,
    )
    trees = merge_trees(rounds, graphs * pixels, pixels)
    flat = labels.reshape(windows, pixels).long()
    counts, totals = _joined_pairs(flat, trees, equal_regions)

    none = graphs * edges
    is_node = trees.edge < none
    ranked = trees.edge.clamp(max=none - 1)
    index = ranked - ranked % edges + order.reshape(-1)[ranked]
    pairs = counts.new_zeros(none + 1)
    pairs[torch.where(is_node, index, none)] = counts
    pairs = pairs[:none].reshape(2, windows, edges).masked_fill(removed, 0)
    return EdgePairs(pairs, totals, far)


def _joined_pairs(
    labels: Int64[Tensor, "windows pixels"], trees: MergeTrees, equal_regions: bool
) -> tuple[Shaped[Tensor, " vertices"], Shaped[Tensor, "kinds windows"]]:
    """Pairs of labelled pixels that each node joins, and the pairs that there are.

    The first half of the graphs counts pairs of different regions, the second pairs inside one.
    """
    windows, pixels = labels.shape
    begin, middle, end, place = (
        part.reshape(2, windows, pixels)
        for part in (trees.begin, trees.middle, trees.end, trees.place)
    )
    regions = int(labels.max()) + 1
    at_once = max(1, CELLS // (regions * pixels))
    counts: tuple[list[Tensor], ...] = ([], [])
    totals: tuple[list[Tensor], ...] = ([], [])
    for some in (slice(i, i + at_once) for i in range(0, windows, at_once)):
        is_label = one_hot(labels[some], regions)[..., 1:]
        sizes = is_label.sum(1, keepdim=True)
        for kind, pairs in ((GAP, _different), (BRIDGE, _inside)):
            spread = place[kind, some, :, None].expand_as(is_label)
            in_order = torch.zeros_like(is_label).scatter(1, spread, is_label)
            before = pad(in_order.cumsum(1), (0, 0, 1, 0))
            low, half, high = (
                before.gather(1, bound[kind, some, :, None].expand_as(is_label))
                for bound in (begin, middle, end)
            )
            counts[kind].append(pairs(half - low, high - half, sizes, equal_regions))
            totals[kind].append(_total(kind, sizes, equal_regions)[:, 0])
    joined = torch.cat([torch.cat(parts) for parts in counts]).reshape(-1)
    return joined, torch.stack([torch.cat(parts) for parts in totals])


def _different(one: Tensor, two: Tensor, sizes: Tensor, equal_regions: bool) -> Tensor:
    """Pairs of pixels of different regions, or the shares of pairs of regions, of two groups."""
    if not equal_regions:
        return one.sum(-1) * two.sum(-1) - (one * two).sum(-1)
    one, two = one / sizes.clamp(min=1), two / sizes.clamp(min=1)
    return (one * (two.sum(-1, keepdim=True) - two)).sum(-1)


def _inside(one: Tensor, two: Tensor, sizes: Tensor, equal_regions: bool) -> Tensor:
    """Pairs of pixels of one region, or the shares of regions, of two groups."""
    if not equal_regions:
        return (one * two).sum(-1)
    return (one * two / (sizes * (sizes - 1) / 2).clamp(min=1)).sum(-1)


def _total(kind: int, sizes: Tensor, equal_regions: bool) -> Tensor:
    """All pairs of a kind."""
    if equal_regions:
        regions = (sizes > 0).sum(-1)
        return regions * (regions - 1) / 2 if kind == GAP else (sizes > 1).sum(-1).float()
    if kind == GAP:
        return (sizes.sum(-1).square() - sizes.square().sum(-1)) // 2
    return (sizes * (sizes - 1)).sum(-1) // 2


def weigh_windows_by_torch(
    prediction: Float32[Tensor, "windows height width"],
    target: Float32[Tensor, "windows height width"],
    outside: Bool[Tensor, "windows height width"],
    labels: Int32[Tensor, "windows height width"],
    *,
    edge_lo: float,
    edge_hi: float,
    **constants: Any,
) -> Float32[Tensor, "kinds windows height width"]:
    """The pixel weights of every window, rows GAP and BRIDGE; as the kernel `weigh_windows`.

    Args:
        edge_lo, edge_hi: which edges may be blamed, see `TopologyRule`.
        constants: the others of [`edge_pairs`][].
    """
    windows, height, width = prediction.shape
    weights = prediction.new_zeros(2, windows, height, width)
    if prediction.numel() <= windows:  # windows of one pixel have no edges
        return weights
    found = edge_pairs(prediction, target, outside, labels, edge_lo=edge_lo, **constants)
    blamed = torch.stack([found.far < edge_lo, found.far >= edge_hi])
    share = blamed * found.pairs / found.totals.clamp(min=1)[..., None]
    across, down = share.split([height * (width - 1), (height - 1) * width], 2)
    across = across.reshape(2, windows, height, width - 1)
    down = down.reshape(2, windows, height - 1, width)
    weights[..., :-1] += across
    weights[..., 1:] += across
    weights[..., :-1, :] += down
    weights[..., 1:, :] += down
    return weights


def _ends(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The values at the first and the second pixel of every edge, (windows, edges)."""
    first = torch.cat([maps[:, :, :-1].flatten(1), maps[:, :-1].flatten(1)], 1)
    second = torch.cat([maps[:, :, 1:].flatten(1), maps[:, 1:].flatten(1)], 1)
    return first, second


def _keys(
    cost: Tensor, far: Tensor, constrained: Tensor, common: float, removed: Tensor, sign: int
) -> Int64[Tensor, "windows edges"]:
    """Numbers whose decreasing order, stable, is the order of insertion; removed edges last.

    `sign`: of equal cost the farther edges first (1), the nearer (-1), or by index (0). With 1 and
    -1 the constrained edges come before the others of their cost.
    """
    value = torch.where(constrained, torch.full_like(cost, common), cost)
    second = torch.zeros_like(far)
    if sign:
        second = torch.where(constrained, torch.full_like(far, torch.inf), sign * far)
    key = (_rank(value) << 32) + (_rank(second) + (1 << 31))
    return key.masked_fill(removed, SMALLEST)


def _rank(values: Float32[Tensor, "windows edges"]) -> Int64[Tensor, "windows edges"]:
    """Whole numbers in the order of the float32 values; none is minus zero or NaN."""
    bits = (values + 0.0).view(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()
