r"""Which pixels of a predicted distance map break the topology of the annotation, and how much.

Annotated lines cut an image into regions. Take two pixels of *different* regions: the best path
between them in the prediction must cross a line, and crosses it where the predicted line is
weakest, at a gap. Take two pixels of the *same* region: the best path between them should meet
no line at all; where the prediction draws a false one, a bridge, its weakest edge lies far from
the annotation. Counted over all pairs of pixels of a window, this gives every edge a weight:

$$\bar n_e = [g_e < lo]\, N_e / \sum_{a<b} n_a n_b \qquad
  \bar p_e = [g_e \ge hi]\, P_e / \sum_a \tfrac12 n_a (n_a - 1)$$

$N_e$ ($P_e$) is the number of pairs of pixels of different regions (of the same region) whose
maximin path has $e$ as its weakest edge, $n_a$ the size of region $a$, $g_e$ the sum of the two
annotated distances of the edge. The weight of a pixel is the sum over its edges.

What it cannot see: a dead end separates no regions, so gaps in terminal branches weigh nothing;
regions count by their pairs of pixels, so small loops hardly count.

References:
    D. Oner, M. Kozinski, L. Citraro, N. Dadap, A. Konings, P. Fua. Promoting connectivity of
    network-like structures by enforcing region separation. TPAMI 2021. arXiv:2009.07011.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from topodelin.losses.maximin_pairs import BRIDGE, GAP, add_window_weights, count_window_pairs
from topodelin.losses.topology_rule import TopologyRule

Images = Float[Tensor, "batch channel height width"]


@dataclass(frozen=True)
class TopologyWeights:
    """Weight of each pixel in the two terms of the topology loss; no gradient flows through.

    In each window the weights of a term add up to at most 2.
    """

    gap: Float[Tensor, "batch channel height width"]
    bridge: Float[Tensor, "batch channel height width"]
    windows: int
    """How many windows were judged, over all images."""


class WindowCounts(NamedTuple):
    """Everything that is counted in one window, for inspection."""

    labels: Int64[np.ndarray, "height width"]
    """Region of each pixel, from 1; 0 on the separator and where ignored."""
    gap_pairs: Int64[np.ndarray, " edges"]
    """$N_e$: first the edges (y, x)-(y, x+1), then (y, x)-(y+1, x), both in raster order."""
    bridge_pairs: Int64[np.ndarray, " edges"]
    """$P_e$, likewise."""


def topology_weights(
    prediction: Images,
    target: Images,
    rule: TopologyRule,
    ignored: Bool[Tensor, "batch channel height width"] | None = None,
) -> TopologyWeights:
    """Weigh each pixel by the pairs of pixels that are wrongly joined or parted because of it.

    Batch and channel are one: each channel of each sample is an image of its own. Computed on the
    host in single precision, whatever the device; returned as float32 on the device of
    `prediction`. The same input gives the same weights, bit for bit.

    Args:
        prediction: predicted distance maps.
        target: annotated distance maps, 0 on the centreline, clipped.
        rule: windows, regions, and which edges may be blamed.
        ignored: True where a pixel is left out; paths do not pass there.
    """
    batch, channel, height, width = prediction.shape
    rows = window_bounds(height, rule.window_shape[0], rule.step[0], rule.ragged == "keep")
    columns = window_bounds(width, rule.window_shape[1], rule.step[1], rule.ragged == "keep")
    images = (batch * channel, height, width)
    weights = np.zeros((2, *images))
    if len(rows) and len(columns):
        add_window_weights(
            _images(prediction),
            _images(target),
            np.zeros(images, bool) if ignored is None else _masks(ignored),
            rows,
            columns,
            weights=weights,
            **_constants(rule),
        )
    gap, bridge = torch.from_numpy(weights.astype(np.float32)).to(prediction.device)
    return TopologyWeights(
        gap.reshape(prediction.shape),
        bridge.reshape(prediction.shape),
        batch * channel * len(rows) * len(columns),
    )


def count_window(
    prediction: Float[np.ndarray, "height width"],
    target: Float[np.ndarray, "height width"],
    rule: TopologyRule,
) -> WindowCounts:
    """Label the regions of one window and count its pairs on every edge, blamed or not."""
    height, width = target.shape
    pixels = height * width
    labels = np.empty(pixels, np.int32)
    pairs = np.empty((2, 2 * pixels), np.int64)
    edges = count_window_pairs(
        np.ascontiguousarray(prediction, np.float32),
        np.ascontiguousarray(target, np.float32),
        np.zeros((height, width), bool),
        only_wanted=False,
        labels=labels,
        ends=np.empty((2 * pixels, 2), np.int32),
        pairs=pairs,
        totals=np.empty(2, np.int64),
        **_constants(rule),
    )
    return WindowCounts(
        labels.reshape(height, width).astype(np.int64), pairs[GAP, :edges], pairs[BRIDGE, :edges]
    )


def window_bounds(length: int, window: int, stride: int, ragged: bool) -> np.ndarray:
    """Begin and end, (n, 2) int64, of the windows along an axis of `length` pixels.

    With `ragged`, windows begin until the end of the axis is covered and the last is cut off
    there; without, only whole windows count, which may be none.
    """
    bounds = []
    begin = 0
    while begin + window <= length:
        bounds.append((begin, begin + window))
        begin += stride
    covered = bounds[-1][1] if bounds else 0
    if ragged and covered < length:
        bounds.append((begin, length))
    return np.array(bounds, np.int64).reshape(-1, 2)


def _constants(rule: TopologyRule) -> dict[str, Any]:
    """The rule in the words of the kernel, each always of the same type: compiled once."""
    return {
        "edge_lo": float(rule.near_bound),
        "edge_hi": float(rule.far_bound),
        "free_from": float(rule.free_bound),
        "far_cost": float(rule.far_cost),
        "near_cost": float(rule.near_cost),
        "radius": float(rule.separator),
        "dilation": int(rule.separator_dilation),
        "diagonal": rule.connectivity == 8,
        "prefer_line": rule.ties == "line",
    }


def _images(maps: Tensor) -> np.ndarray:
    height, width = maps.shape[-2:]
    images = maps.detach().to("cpu", torch.float32).reshape(-1, height, width)
    return np.ascontiguousarray(images.numpy())


def _masks(ignored: Tensor) -> np.ndarray:
    height, width = ignored.shape[-2:]
    return np.ascontiguousarray(ignored.cpu().reshape(-1, height, width).numpy())
