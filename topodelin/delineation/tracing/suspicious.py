"""What makes a place suspicious, and how much: one function for each kind of spot.

Severity runs from 0 to 1:

* `gap`: two ends that were not joined; the confidence that they belong together.
* `weak_bridge`: joined with a confidence below `WEAK`; one minus that confidence.
* `crossing`: two neurites that run straight through each other; the straightness while they are one
  tree, one minus it once they are split.
* `several_seeds`: how unsure the least sure place between them is, 0 on the centreline and 1 from
  the threshold on; where they were split there, one minus half of that.
* `bright_end`: the brightness beyond the end (`bright_ends`).
* `failed_cube`: 1, for nothing is known there.
"""

from collections.abc import Sequence

import numpy as np

from topodelin.delineation.tracing.bridging import Bridge
from topodelin.delineation.tracing.bright_ends import bright_ends
from topodelin.delineation.tracing.crossings import Crossing
from topodelin.delineation.tracing.fragments import voxel_keys
from topodelin.delineation.tracing.spots import Spot
from topodelin.delineation.tracing.stitching import SkeletonGraph
from topodelin.delineation.tracing.stored_distances import StoredDistances
from topodelin.delineation.tracing.trace_source import TraceSource
from topodelin.delineation.tracing.trees import Tree
from topodelin.volumes import Box, Index, Spacing

WEAK = 0.8  # bridges below this confidence are worth a look
UNSURE = 2.0  # thresholds up to which a distance map hints at a neurite
BRIDGE_COLUMNS = (
    "from_z", "from_y", "from_x", "to_z", "to_y", "to_x",
    "length_um", "cost", "confidence", "trees",
)  # fmt: skip


def crossing_spot(
    crossing: Crossing, forest: SkeletonGraph, positions: np.ndarray, split: bool
) -> Spot:
    """A crossing, still without trees."""
    z, y, x = positions[crossing.centre].tolist()
    sure = crossing.straightness
    length = float(np.linalg.norm(np.diff(positions[crossing.path], axis=0), axis=1).sum())
    if not crossing.clear:
        note = "two neurites touch here that run nearly side by side; left joined"
        return Spot("crossing", (z, y, x), sure, length, (), note)
    done = "split" if split else "left joined"
    note = f"two neurites run straight on here; {done}"
    return Spot("crossing", (z, y, x), 1 - sure if split else sure, length, (), note)


def bridge_spot(bridge: Bridge, spacing: Spacing, trees: tuple[int, ...]) -> Spot:
    """A weak bridge, or a near miss."""
    middle = bridge.path[[0, -1]].mean(axis=0) * np.asarray(spacing)
    z, y, x = middle.tolist()
    sure = f"confidence {bridge.confidence:.2f}"
    if bridge.refused:
        note = f"not joined, {bridge.refused} ({sure})"
        return Spot("gap", (z, y, x), bridge.confidence, bridge.length_um, trees, note)
    severity = 1 - bridge.confidence
    return Spot("weak_bridge", (z, y, x), severity, bridge.length_um, trees, f"joined, {sure}")


def bridge_marks(bridge: Bridge, shape: Index) -> list[tuple[int, int]]:
    """The piece and the key of its node at either end."""
    keys = voxel_keys(bridge.path[[0, -1]], shape).tolist()
    return list(zip(bridge.pieces, keys, strict=True))


def bridge_row(bridge: Bridge, spacing: Spacing, trees: Sequence[int]) -> list[str]:
    """The line of a bridge in `bridges.csv`."""
    ends = (bridge.path[[0, -1]] * np.asarray(spacing)).ravel().tolist()
    numbers = [f"{bridge.length_um:.3f}", f"{bridge.cost:.3f}", f"{bridge.confidence:.4f}"]
    return [*(f"{value:.3f}" for value in ends), *numbers, " ".join(map(str, trees))]


def end_spots(tree: Tree, source: TraceSource, stored: StoredDistances) -> list[Spot]:
    """The bright ends of a tree; its root is no end when a seed lies there."""
    root = tree.root if tree.holds_seed else None
    image = source.image
    if image is None:
        far = UNSURE * source.threshold

        def near(box: Box) -> np.ndarray:
            return -np.minimum(stored.read(box), far)

        return bright_ends(tree.graph, root, near, source.distance_map)

    def first_channel(box: Box) -> np.ndarray:
        array = image.read(box)
        return np.asarray(array[0] if array.ndim == 4 else array, dtype=np.float32)

    return bright_ends(tree.graph, root, first_channel, image)


def failed_spots(source: TraceSource) -> list[Spot]:
    """One for each cube that could not be predicted, in its middle."""
    spacing = np.array(source.distance_map.spacing)
    spots = []
    for cube, why in source.failed:
        core = source.lattice.core(cube)
        z, y, x = ((np.add(core.begin, core.end) - 1) / 2 * spacing).tolist()
        side = float((np.array(core.shape) * spacing).max())
        spots.append(Spot("failed_cube", (z, y, x), 1.0, side, (), " ".join(why.split())[:200]))
    return spots
