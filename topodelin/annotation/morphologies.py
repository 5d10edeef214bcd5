"""Views of a given morphology, as geometry for synthetic microscopy."""

from collections.abc import Sequence

import numpy as np

from topodelin.annotation.clipping import check_extent, clip_to_extent
from topodelin.graphs.neurite_graph import NeuriteGraph


def neurites_from_swc(
    graph: NeuriteGraph,
    extent_um: Sequence[float],
    rng: np.random.Generator,
    *,
    scale: tuple[float, float] = (0.8, 1.25),
) -> NeuriteGraph:
    """A random view of a given morphology: rotated, mirrored or not, scaled, cropped to a box.

    A random node of it lands at a uniformly random place of the box, so the result is never
    empty unless the morphology is.

    Args:
        graph: the morphology, µm.
        extent_um: far corner of the box, µm `(z, y, x)`.
        rng: the only source of randomness.
        scale: smallest and largest factor of size, drawn log-uniformly; radii are scaled alike.
    """
    extent = np.asarray(check_extent(extent_um))
    if not len(graph):
        return graph
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= rng.choice([-1.0, 1.0], size=3)  # uniform over rotations and mirrorings
    factor = float(np.exp(rng.uniform(*np.log(scale))))
    turned = (graph.positions @ rotation.T) * factor
    turned += rng.uniform(0, extent) - turned[rng.integers(len(turned))]
    return clip_to_extent(
        NeuriteGraph(turned, graph.edges, graph.radii * factor, graph.kinds), extent_um
    )
