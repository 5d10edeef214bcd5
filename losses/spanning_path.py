r"""The spanning-path loss: close the gaps and cut the bridges of a distance map, in the volume.

Whether two voxels of a neurite are connected in a thresholded prediction depends on one number:
how costly the best path between them is in its costliest voxel. This is their *minimax path*,
and the minimax paths of all pairs at once are the paths of one minimum spanning forest.

**Gap.** The forest of the tube around the annotated trees. The cut at a tree edge $e$ leaves $s_e$
voxels of the centreline on one side and $S_e - s_e$ on the other: so much cable is lost if the
prediction breaks there. With the predicted distance $d_e$ of its costlier voxel and $N$ voxels of
centreline,

$$L_{gap} = \frac1N \sum_e \frac{\min(s_e, R)\,\min(S_e - s_e, R)}{R^2}\,[d_e - \sigma]_+^2$$

Every voxel of a gap pays, so a long gap costs more than a short one. A *span* $R$ limits how far
cable is counted: a gap that parts more than $R$ voxels of centreline from more than $R$ others
has the full weight, and so the end of a short branch is seen as well as the middle of a trunk.
With $R = \infty$ the mean is over all pairs of centreline voxels that the annotation connects:
$s_e (S_e - s_e)$ divided by their number, which makes the loss the mean over the pairs of the
squared excess summed along their minimax path.

**Bridge.** The same on what is predicted too low, each annotated tree with its tube taken as one
vertex. An edge is allowed to be as low as the annotation is there, $a_e = \min(\max(g_u, g_v),
\tau)$, up to a level $\tau$; what it is below that is how false it is, and the path between two
trees is the one that is falsest in its least false edge:

$$L_{merge} = \frac1N \sum_e \frac{\min(s_e, R)\,\min(S_e - s_e, R)}{R^2}\,[a_e - d_e]_+^2$$

so that cable lost and cable wrongly joined weigh the same. With $R = \infty$ the mean is over all
pairs of centreline voxels of different trees.

Paths have ends, unlike regions, which only closed contours part: the gap in a dead end is seen.
The weights are constants for differentiation; the gradient sits on the voxels that break a
connection or make a false one, and on no others.

What it cannot see: a false branch that joins nothing, a false loop from a tree to itself, and of
several bridges between two trees all but the falsest. A gap may be bypassed inside the tube only.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from topodelin.losses.checks import check_pair, full_precision
from topodelin.losses.spanning.edges import SpanningEdges, bridge_edges, gap_edges
from topodelin.losses.spanning.rule import SpanningPathRule
from topodelin.losses.spanning.tube import CENTRE_RADIUS, Tube, check_prepared, prepare_tube

Scalar = Float[Tensor, ""]


def spanning_path_loss(
    prediction: Tensor, target: Tensor | Tube, *, trees: Tensor | None = None, **constants: Any
) -> Scalar:
    r"""Penalise the voxels on which connections hang.

    $$L = \lambda_{gap} L_{gap} + \lambda_{merge} L_{merge}$$

    and the mean over the images; see the head of this file.

    Args:
        prediction: $d$, raw predicted distance maps `(batch, channel, *space)` with two or three
            axes of space, of any float type. Each channel is an image of its own.
        target: $g$, annotated distance maps of the same shape, 0 on the centreline, clipped
            anywhere above `tube_radius`; or what `SpanningPathLoss.prepare` or [`prepare_tube`][]
            made of them, with the same constants.
        trees: integers of the same shape, see [`prepare_tube`][]; not with a prepared target.
        constants: the fields of [`SpanningPathRule`][], by name.

    Zero, with zero gradient, where nothing is annotated, and at the truth. Returns a float32
    scalar, float64 for a float64 prediction; summed in float32 under autocast.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy; also
            for NaN and infinity.
    """
    return penalty(prediction, target, SpanningPathRule(**constants), trees)


def penalty(
    prediction: Tensor, target: Tensor | Tube, rule: SpanningPathRule, trees: Tensor | None = None
) -> Scalar:
    """[`spanning_path_loss`][] with its constants in a record."""
    tube = _ready(prediction, target, rule, trees)
    p, t = (values.reshape(-1) for values in full_precision(prediction, tube.target))
    total = p[:0].sum()
    if rule.gap_weight > 0:
        gap = gap_edges(prediction, tube, rule.backend)
        excess = (p.index_select(0, gap.voxel) - rule.slack).clamp(min=0)
        weights = gap_weights(gap, tube, rule.all_spans)
        total = total + rule.gap_weight * (weights.to(p) * excess.square()).sum()
    if rule.merge_weight > 0:
        bridge = bridge_edges(prediction, tube, rule.merge_below, rule.backend)
        allowed = torch.maximum(t[bridge.voxel], t[bridge.other]).clamp(max=rule.merge_below)
        excess = (allowed - p.index_select(0, bridge.voxel)).clamp(min=0)
        weights = bridge_weights(bridge, tube, rule.all_spans, rule.merge_at)
        total = total + rule.merge_weight * (weights.to(p) * excess.square()).sum()
    return total


def gap_weights(
    edges: SpanningEdges, tube: Tube, spans: Sequence[float]
) -> Float64[Tensor, " edges"]:
    """What each edge of the gap forest weighs in the loss; no gradient flows through."""
    sizes = tube.piece_sizes
    pairs = _summed(sizes * (sizes - 1) // 2, tube.piece_images, len(tube.pieces))
    return _shares(edges, tube, spans, pairs)


def bridge_weights(
    edges: SpanningEdges, tube: Tube, spans: Sequence[float], merge_at: str
) -> Float64[Tensor, " edges"]:
    """Likewise of the bridge forest; `merge_at` as in [`SpanningPathRule`][]."""
    counts = tube.image_trees.diff()
    if merge_at == "saddle":
        return edges.joins / (counts.clamp(min=1) * len(counts))[_images(edges, tube)].double()
    images = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    same = _summed(tube.tree_sizes.square(), images, len(counts))
    pairs = (tube.image_centre.diff().square() - same) // 2
    return _shares(edges, tube, spans, pairs)


class SpanningPathLoss(nn.Module):
    """[`spanning_path_loss`][] with its constants fixed: [`SpanningPathRule`][] describes each."""

    def __init__(
        self,
        *,
        spans: float | Sequence[float] = (5.0, 20.0, 80.0),
        slack: float = 1.0,
        merge_below: float = 3.0,
        merge_at: str = "path",
        gap_weight: float = 1.0,
        merge_weight: float = 1.0,
        tube_radius: float = 3.0,
        centre_radius: float = CENTRE_RADIUS,
        snap_radius: float = 0.0,
        spacing: Sequence[float] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.rule = SpanningPathRule(
            spans=spans,
            slack=slack,
            merge_below=merge_below,
            merge_at=merge_at,
            gap_weight=gap_weight,
            merge_weight=merge_weight,
            tube_radius=tube_radius,
            centre_radius=centre_radius,
            snap_radius=snap_radius,
            spacing=spacing,
            backend=backend,
        )

    def prepare(self, target: Tensor, trees: Tensor | None = None) -> Tube:
        """Do what depends on the annotation alone; `forward` takes it in the target's place."""
        return prepare_tube(target, self.rule.tube, trees)

    def forward(
        self, prediction: Tensor, target: Tensor | Tube, *, trees: Tensor | None = None
    ) -> Scalar:
        return penalty(prediction, target, self.rule, trees)


def _ready(
    prediction: Tensor, target: Tensor | Tube, rule: SpanningPathRule, trees: Tensor | None
) -> Tube:
    if not isinstance(target, Tube):
        check_pair(prediction, target)
        return prepare_tube(target, rule.tube, trees)
    check_prepared(prediction, target, rule.tube, trees)
    return target


def _shares(
    edges: SpanningEdges, tube: Tube, spans: Sequence[float], pairs: Tensor
) -> Float64[Tensor, " edges"]:
    """The mean over the spans of the cable parted by each edge, over that of its image."""
    image = _images(edges, tube)
    side, other = edges.side.double(), (edges.whole - edges.side).double()
    voxels = tube.image_centre.diff().clamp(min=1)[image].double()
    total = torch.zeros_like(side)
    for span in spans:
        if span == float("inf"):
            total += side * other / pairs.clamp(min=1)[image].double()
        else:
            total += side.clamp(max=span) * other.clamp(max=span) / span**2 / voxels
    return total / (len(spans) * len(pairs))


def _images(edges: SpanningEdges, tube: Tube) -> Tensor:
    return edges.voxel // (tube.target.numel() // len(tube.pieces))


def _summed(values: Tensor, groups: Tensor, count: int) -> Tensor:
    return values.new_zeros(count).index_add(0, groups, values)
