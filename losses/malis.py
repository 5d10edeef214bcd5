r"""The MALIS loss: a tree must hold together, two trees must stay apart, as pairs of voxels see it.

Take two voxels of one annotated tree. They are connected in the prediction down to the weakest
place of the best path between them, and if that place is a gap, it is to blame. Take two voxels
of different trees: the weakest place of the best path between them is where a false bridge is
easiest to cut. Every pair blames one edge between neighbouring voxels; an edge is penalised by
its share of all pairs (see `topodelin.losses.affinity_pairs`).

On a distance map the affinity of an edge falls with the larger of its two distances,

$$a_{uv}(d) = 1 - \max(d_u, d_v) / d_{max}$$

The background is no object: paths between two trees cross it, but it belongs to no pair, so a
false branch that leads from a tree to nowhere costs nothing, and neither does a volume with one
tree and false branches only. Large trees count by the square of their voxels.

References:
    S. Turaga, K. Briggman, M. Helmstaedter, W. Denk, S. Seung. Maximin affinity learning of image
    segmentation. NeurIPS 2009. arXiv:0911.5372.
    J. Funke, F. Tschopp, W. Grisaitis, A. Sheridan, C. Singh, S. Saalfeld, S. Turaga. Large scale
    image segmentation with structured loss based deep learning for connectome reconstruction.
    TPAMI 2019. arXiv:1709.02974.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64, Integer
from torch import Tensor, nn

from topodelin.losses.affinity_pairs import (
    affinity_pair_counts,
    check_offsets,
    edge_begins,
    edge_ends,
)
from topodelin.losses.checks import check_distance_map, check_pair, full_precision
from topodelin.losses.prepared import check_target, moved_record
from topodelin.losses.probability import RADIUS
from topodelin.losses.trees import annotated_trees, check_radius

Scalar = Float[Tensor, ""]
Offsets = Sequence[Sequence[int]]

D_MAX = 15.0
AIMS = ("truth", "one-sided", "extremes")


@dataclass(frozen=True)
class PreparedMalis:
    """An annotation with its trees, made by [`MalisLoss.prepare`][]."""

    target: Float[Tensor, "batch channel *space"]
    trees: Int32[Tensor, "batch channel *space"]
    """Tree of each voxel, from 1; 0 on the background. Stays on the host, where it is used."""

    def to(self, device: torch.device | str) -> "PreparedMalis":
        """The same, ready for predictions on a device."""
        return moved_record(self, device)


def malis_loss(
    prediction: Tensor,
    target: Tensor | PreparedMalis,
    *,
    d_max: float = D_MAX,
    radius: float = RADIUS,
    offsets: Offsets | None = None,
    aim: str = "truth",
    constrained: bool = True,
    gap_weight: float = 1.0,
    bridge_weight: float = 1.0,
) -> Scalar:
    r"""Penalise the edges on which wrong splits of a tree and wrong joins of two trees hang.

    $$L(p, t) = \frac{1}{n} \sum_{images} \Bigl(
        \lambda_{gap} \sum_e \frac{P_e}{\sum P} \delta_{c(e)}^2
        + \lambda_{bridge} \sum_e \frac{N_e}{\sum N} \delta_{c(e)}^2 \Bigr) \qquad
      \delta_u = \frac{p_u - t_u}{d_{max}}$$

    with $P_e$ ($N_e$) the pairs of voxels of one tree (of two) that hang on edge $e$, and $c(e)$
    that of its two voxels which is predicted farther away, constants for differentiation. Zero,
    with zero gradient, where the prediction is the truth.

    Args:
        prediction: $p$, predicted distance maps `(batch, channel, *space)`, of any float type,
            raw. Each channel is an image of its own.
        target: $t$, annotated distance maps of the same shape, 0 on the centreline, clipped at
            `d_max`, or what [`MalisLoss.prepare`][] made of them.
        d_max: where the maps are clipped; the unit of the penalty.
        radius: trees are the connected pieces of {target <= radius}, in units of the map; see
            [`annotated_trees`][]. Not used with a prepared target.
        offsets: the edges, as steps between neighbouring voxels; None for the faces.
        aim: "truth" pulls the blamed voxels $c$ to the annotated distance. "one-sided": likewise,
            but only those above it in a tree and below it between trees. "extremes": to 0 and to
            `d_max`, as published for affinities, which is not zero at the truth.
        constrained: see [`affinity_pair_counts`][].
        gap_weight, bridge_weight: $\lambda_{gap}$, $\lambda_{bridge}$.

    A term without a pair is 0: no gap where there is no tree of two voxels, no bridge where there
    are not two trees. Counted on the host in single precision. Of two equal distances the first
    is blamed. A float32 scalar, float64 for a float64 prediction.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    check_constants(d_max, radius, aim)
    truth = target.target if isinstance(target, PreparedMalis) else target
    check_pair(prediction, truth)
    check_distance_map(truth, d_max)
    ready = target if isinstance(target, PreparedMalis) else _prepared(truth, radius)
    steps = check_offsets(offsets, prediction.ndim - 2)
    maps = prediction.detach().to("cpu", torch.float32).flatten(0, 1).numpy()
    trees = ready.trees.flatten(0, 1).numpy()
    p, t = (full.flatten(0, 1).flatten(1) for full in full_precision(prediction, truth))
    total = p.new_zeros(())
    for image, labels in enumerate(trees):
        gaps, bridges = blamed_edges(
            edge_affinities(maps[image], steps), labels, steps, constrained
        )
        for edges, factor, sign in ((gaps, gap_weight, 1), (bridges, bridge_weight, -1)):
            farther = maps[image].reshape(-1)[edges.ends.numpy()].argmax(0)[None]
            blamed = edges.ends.gather(0, torch.from_numpy(farther))[0].to(p.device)
            aimed = t[image][blamed]
            if aim == "extremes":
                aimed = torch.full_like(aimed, 0 if sign > 0 else d_max)
            excess = sign * (p[image][blamed] - aimed) / d_max
            if aim != "truth":
                excess = excess.clamp(min=0)
            total = total + factor * (edges.share.to(p) * excess.square()).sum()
    return total / len(p)


class MalisLoss(nn.Module):
    """[`malis_loss`][] with its constants fixed."""

    def __init__(
        self,
        *,
        d_max: float = D_MAX,
        radius: float = RADIUS,
        offsets: Offsets | None = None,
        aim: str = "truth",
        constrained: bool = True,
        gap_weight: float = 1.0,
        bridge_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_constants(d_max, radius, aim)
        self.d_max = d_max
        self.radius = radius
        self.offsets = None if offsets is None else tuple(map(tuple, offsets))
        self.aim = aim
        self.constrained = constrained
        self.gap_weight = gap_weight
        self.bridge_weight = bridge_weight

    def prepare(self, target: Tensor) -> PreparedMalis:
        """The trees of an annotation, once; give the result to `forward` in its place."""
        check_target(target, d_max=self.d_max)
        return _prepared(target, self.radius)

    def forward(self, prediction: Tensor, target: Tensor | PreparedMalis) -> Scalar:
        return malis_loss(
            prediction,
            target,
            d_max=self.d_max,
            radius=self.radius,
            offsets=self.offsets,
            aim=self.aim,
            constrained=self.constrained,
            gap_weight=self.gap_weight,
            bridge_weight=self.bridge_weight,
        )


def affinity_malis_loss(
    affinities: Tensor,
    labels: Tensor,
    *,
    offsets: Offsets | None = None,
    constrained: bool = True,
    gap_weight: float = 1.0,
    bridge_weight: float = 1.0,
) -> Scalar:
    r"""The published loss, for a network that predicts affinities.

    $$L(a) = \frac{1}{n} \sum_{images} \Bigl(
        \lambda_{gap} \sum_e \frac{P_e}{\sum P} (1 - a_e)^2
        + \lambda_{bridge} \sum_e \frac{N_e}{\sum N} a_e^2 \Bigr)$$

    Zero where every tree edge inside an object is 1 and every edge between objects is 0.

    Args:
        affinities: $a$, `(batch, edge types, *space)`, of any float type, between 0 and 1 by the
            network's own making (a sigmoid, say); not logits.
        labels: the object of each voxel, `(batch, *space)`, integers from 1; 0 is background,
            which belongs to no pair.
        offsets, constrained: see [`affinity_pair_counts`][].
        gap_weight, bridge_weight: $\lambda_{gap}$, $\lambda_{bridge}$.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    if labels.is_floating_point() or not affinities.is_floating_point():
        raise TypeError(
            "`affinities` must be of a float type and `labels` of an integer type, got "
            f"{affinities.dtype} and {labels.dtype}; the order is loss(affinities, labels)"
        )
    if labels.shape != (affinities.shape[0], *affinities.shape[2:]):
        raise ValueError(
            "`labels` must be (batch, *space) for affinities (batch, edge types, *space), got "
            f"{tuple(labels.shape)} for {tuple(affinities.shape)}"
        )
    low, high = (float(value) for value in affinities.detach().aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"`affinities` must be between 0 and 1, got values between {low:g} and {high:g}; "
            "apply a sigmoid to logits"
        )
    steps = check_offsets(offsets, labels.ndim - 1)
    maps = affinities.detach().to("cpu", torch.float32).numpy()
    objects = labels.cpu().numpy()
    a = affinities.to(torch.promote_types(affinities.dtype, torch.float32)).flatten(1)
    total = a.new_zeros(())
    for image in range(len(a)):
        gaps, bridges = blamed_edges(maps[image], objects[image], steps, constrained)
        for edges, factor, aimed in ((gaps, gap_weight, 1), (bridges, bridge_weight, 0)):
            values = a[image][edges.index.to(a.device)]
            total = total + factor * (edges.share.to(a) * (values - aimed).square()).sum()
    return total / len(a)


class BlamedEdges(NamedTuple):
    """The edges on which a kind of pair hangs."""

    index: Int64[Tensor, " edges"]
    """Into the flattened affinities."""
    ends: Int64[Tensor, "2 edges"]
    """Their two voxels, into the flattened image."""
    share: Float[Tensor, " edges"]
    """Of the pairs of this kind; adds up to 1 where there is a pair."""


def blamed_edges(
    affinities: Float[np.ndarray, " edge_types *space"],
    labels: Integer[np.ndarray, "*space"],
    steps: list[tuple[int, ...]],
    constrained: bool,
) -> tuple[BlamedEdges, BlamedEdges]:
    """The edges to blame for gaps and those to blame for bridges."""
    counts = affinity_pair_counts(affinities, labels, steps, constrained=constrained)
    voxels = labels.size
    strides = np.cumprod((1, *labels.shape[:0:-1]))[::-1]
    jumps = np.array(steps) @ strides
    kinds = []
    for pairs in counts:
        index = np.flatnonzero(pairs)
        share = pairs.reshape(-1)[index] / max(int(pairs.sum()), 1)
        begins = index % voxels
        ends = np.stack([begins, begins + jumps[index // voxels]])
        kinds.append(BlamedEdges(*map(torch.from_numpy, (index, ends, share))))
    return kinds[0], kinds[1]


def edge_affinities(
    distance: Float[np.ndarray, "*space"], steps: list[tuple[int, ...]]
) -> Float[np.ndarray, " edge_types *space"]:
    """Affinities in the order of a distance map: minus the larger distance of each edge."""
    affinities = np.zeros((len(steps), *distance.shape), np.float32)
    for edge_type, offset in enumerate(steps):
        begins, ends = edge_begins(offset), edge_ends(offset)
        affinities[(edge_type, *begins)] = -np.maximum(distance[begins], distance[ends])
    return affinities


def check_constants(d_max: float, radius: float, aim: str) -> None:
    """Refuse constants outside their range."""
    check_radius(radius)
    if not 0 < d_max < math.inf:
        raise ValueError(f"`d_max` must be positive and finite, got {d_max}")
    if aim not in AIMS:
        raise ValueError(f"`aim` must be one of {', '.join(map(repr, AIMS))}, got {aim!r}")


def _prepared(target: Tensor, radius: float) -> PreparedMalis:
    return PreparedMalis(target, torch.from_numpy(annotated_trees(target, radius)))
