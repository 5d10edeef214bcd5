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

So regions count by their pairs of pixels, and small loops hardly count. With `pairs="regions"`
every pair of the $K$ regions counts the same, and every region of more than one pixel:

$$\bar n_e = \frac{[g_e < lo]}{K (K - 1) / 2} \sum_{a<b} \frac{N_e^{ab}}{n_a n_b} \qquad
  \bar p_e = \frac{[g_e \ge hi]}{|\{a : n_a > 1\}|}
             \sum_{a : n_a > 1} \frac{P_e^a}{\tfrac12 n_a (n_a - 1)}$$

where $N_e^{ab}$ ($P_e^a$) are the pairs of $N_e$ ($P_e$) between regions a and b (inside a).

What it cannot see: a dead end separates no regions, so gaps in terminal branches weigh nothing.

References:
    D. Oner, M. Kozinski, L. Citraro, N. Dadap, A. Konings, P. Fua. Promoting connectivity of
    network-like structures by enforcing region separation. TPAMI 2021. arXiv:2009.07011.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int32
from torch import Tensor

from topodelin.losses.kernels.host_threads import over_ranges
from topodelin.losses.topology.backend import (
    blame_bound,
    check_backend,
    edge_constants,
    on_host,
    region_constants,
)
from topodelin.losses.topology.kernel import count_window_pairs, weigh_windows
from topodelin.losses.topology.maximin_pairs import BRIDGE, GAP
from topodelin.losses.topology.maximin_pairs_torch import weigh_windows_by_torch
from topodelin.losses.topology.prepared import WORTH_A_THREAD, PreparedImages, prepare_images
from topodelin.losses.topology.regions import label_windows
from topodelin.losses.topology.rule import TopologyRule
from topodelin.losses.topology.windows import cut, grow, put_back

Images = Float[Tensor, "batch channel height width"]
Windows = Float32[Tensor, "windows rows columns"]


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

    labels: Int32[np.ndarray, "height width"]
    """Region of each pixel, from 1; 0 on the separator."""
    gap_pairs: Float64[np.ndarray, " edges"]
    """$N_e$: first the edges (y, x)-(y, x+1), then (y, x)-(y+1, x), both in raster order. Whole
    numbers, or the sum of $N_e^{ab} / n_a n_b$ with `pairs="regions"`."""
    bridge_pairs: Float64[np.ndarray, " edges"]
    """$P_e$, likewise."""


def topology_weights(
    prediction: Images,
    target: Images,
    rule: TopologyRule,
    ignored: Bool[Tensor, "batch channel height width"] | None = None,
    backend: str = "auto",
) -> TopologyWeights:
    """Weigh each pixel by the pairs of pixels that are wrongly joined or parted because of it.

    Batch and channel are one: each channel of each sample is an image of its own. Computed in
    single precision; returned as float32 on the device of `prediction`. The same input gives the
    same weights, bit for bit, with any number of threads.

    Args:
        prediction: predicted distance maps.
        target: annotated distance maps, 0 on the centreline, clipped.
        rule: windows, regions, and which edges may be blamed.
        ignored: True where a pixel is left out; paths do not pass there.
        backend: "numba", a compiled kernel on the host; "torch", tensor operations that stay on
            the device of the tensors; "auto", the kernel for tensors of the host. Both count the
            same pairs.
    """
    check_backend(backend)
    prepared = prepare_images(target, rule, ignored, backend)
    return weights_of_prepared([prediction], [prepared], backend)[0]


def weights_of_prepared(
    predictions: Sequence[Tensor], prepared: Sequence[PreparedImages], backend: str
) -> list[TopologyWeights]:
    """[`topology_weights`][] of several batches of images, all windows at once."""
    rule = prepared[0].rule
    images = [prediction.detach().flatten(0, 1).float() for prediction in predictions]
    windows = [cut(image, rule, 0.0) for image in images]
    sizes = [len(part) for part in windows]
    weights = _weigh(
        _stacked(windows, 0.0),
        _stacked([part.windows for part in prepared], rule.d_max),
        _stacked([part.outside for part in prepared], True),
        _stacked([part.labels for part in prepared], 0),
        rule,
        on_host(backend, predictions[0].device),
    )
    found = []
    for image, part, maps, prediction in zip(
        images, windows, weights.split(sizes, 1), predictions, strict=True
    ):
        count, height, width = image.shape
        maps = maps[..., : part.shape[1], : part.shape[2]].flatten(0, 1)
        gap, bridge = put_back(maps, (2 * count, height, width), rule).reshape(2, *prediction.shape)
        found.append(TopologyWeights(gap, bridge, len(part)))
    return found


def count_window(
    prediction: Float[np.ndarray, "height width"],
    target: Float[np.ndarray, "height width"],
    rule: TopologyRule,
) -> WindowCounts:
    """Label the regions of one window and count its pairs on every edge, blamed or not."""
    height, width = target.shape
    pixels = height * width
    annotated = np.array(target, np.float32)
    outside = np.zeros((height, width), bool)
    labels = np.empty((1, height, width), np.int32)
    label_windows(
        annotated[None], outside[None], **region_constants(rule), begin=0, end=1, labels=labels
    )
    edges = np.empty((2, 2 * pixels), np.int32)
    pairs = np.empty((2, 2 * pixels), np.float64)
    found = np.empty(2, np.int64)
    count_window_pairs(
        np.array(prediction, np.float32),
        annotated,
        outside,
        labels[0],
        **edge_constants(rule),
        far=np.empty(2 * pixels, np.float32),
        edges=edges,
        pairs=pairs,
        found=found,
        totals=np.empty(2, np.float64),
    )
    every = np.zeros((2, 2 * pixels))
    for kind in (GAP, BRIDGE):
        every[kind, edges[kind, : found[kind]]] = pairs[kind, : found[kind]]
    # The kernel numbers edges by their first pixel, also where the last has no neighbour.
    across = every.reshape(2, 2, height, width)[:, 0, :, :-1].reshape(2, -1)
    down = every.reshape(2, 2, height, width)[:, 1, :-1].reshape(2, -1)
    return WindowCounts(labels[0], *np.concatenate([across, down], 1))


def _weigh(
    prediction: Windows,
    target: Windows,
    outside: Bool[Tensor, "windows rows columns"],
    labels: Int32[Tensor, "windows rows columns"],
    rule: TopologyRule,
    by_kernel: bool,
) -> Float32[Tensor, "kinds windows rows columns"]:
    constants = edge_constants(rule) | {"edge_hi": blame_bound(rule)}
    if len(prediction) == 0:
        return prediction.new_zeros(2, *prediction.shape)
    if not by_kernel:
        return weigh_windows_by_torch(prediction, target, outside, labels, **constants)
    arrays = [part.cpu().numpy() for part in (prediction, target, outside, labels)]
    weights = torch.empty(2, *prediction.shape, dtype=torch.float32)

    def work(begin: int, end: int) -> None:
        weigh_windows(*arrays, **constants, begin=begin, end=end, weights=weights.numpy())

    over_ranges(work, len(prediction), WORTH_A_THREAD)
    return weights.to(prediction.device)


def _stacked(parts: Sequence[Tensor], beyond: float | bool) -> Tensor:
    """Stacks of windows as one; smaller ones grow at their ends."""
    rows, columns = (max(part.shape[axis] for part in parts) for axis in (1, 2))
    grown = [grow(part, rows, columns, beyond) for part in parts]
    return grown[0] if len(grown) == 1 else torch.cat(grown)
