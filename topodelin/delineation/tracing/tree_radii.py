"""Where the radii of trees come from: the image, the mask of the distance map, or nowhere."""

from collections.abc import Callable

import numpy as np

from topodelin.delineation.tracing.cross_section import image_radii, mask_radii
from topodelin.delineation.tracing.stored_distances import StoredDistances
from topodelin.delineation.tracing.trace_source import TraceSource
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.graphs import NeuriteGraph


def tree_radii(
    source: TraceSource, rule: TreeRule, stored: StoredDistances
) -> Callable[[NeuriteGraph], np.ndarray] | None:
    """A function that measures the radius of each node of a tree, µm; None for fixed ones.

    Nodes at which the image shows no contrast get the radius of the mask.
    """
    if rule.radius == "fixed":
        return None
    image = source.image if rule.radius == "image" else None

    def from_map(graph: NeuriteGraph) -> np.ndarray:
        return mask_radii(graph, stored.read, source.distance_map, source.threshold)

    if image is None:
        return from_map

    def from_image(graph: NeuriteGraph) -> np.ndarray:
        radii = image_radii(graph, image)
        unknown = np.isnan(radii)
        return np.where(unknown, from_map(graph), radii) if unknown.any() else radii

    return from_image
