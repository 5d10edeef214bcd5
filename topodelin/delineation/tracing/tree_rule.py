"""How a skeleton becomes trees: every length in µm, and what to do where neurites touch."""

from dataclasses import dataclass

import numpy as np

from topodelin.volumes import Spacing

SMOOTHING = 6  # voxels; takes the steps out of chains of voxels (`smooth_branches`)
RADII = ("image", "map", "fixed")


@dataclass(frozen=True)
class TreeRule:
    """How a skeleton becomes trees.

    Args:
        min_branch_um: side branches shorter than this are pruned, µm.
        min_tree_um: trees shorter than this are dropped, µm.
        smooth_um: half the length of waves along a neurite that are taken out, µm (the window of
            [`smooth_branches`][]); 0 leaves nodes on voxels, None takes 6 voxels of each axis.
        resample_um: distance between nodes along a neurite at the most, µm; 0 leaves one node for
            each voxel of the skeleton.
        seed_radius_um: a tree is rooted at a seed that lies within this distance of it, µm.
        somas: each seed is a cell body, so that a tree with several is split between them, and no
            two trees that hold one are joined.
        split_crossings: take neurites apart that cross and run straight on (`crossings`).
        bridge_um: gaps up to this width are looked at, µm; 0 bridges none.
        bridge_cost: a bridge may lead through that much plain background, µm; a background that
            the distance map is less sure of counts less (`bridging`).
        min_confidence: bridges below it are not made, from 0 to 1.
        radius: where radii come from: "image" (half maximum across the neurite; the map where
            there is no image), "map" (the mask of the distance map) or "fixed" (0.5 µm).
    """

    min_branch_um: float = 5.0
    min_tree_um: float = 10.0
    smooth_um: float | None = None
    resample_um: float = 0.0
    seed_radius_um: float = 10.0
    somas: bool = False
    split_crossings: bool = False
    bridge_um: float = 8.0
    bridge_cost: float = 4.0
    min_confidence: float = 0.6
    radius: str = "image"

    def __post_init__(self) -> None:
        lengths = ("min_branch_um", "min_tree_um", "resample_um", "seed_radius_um", "bridge_um")
        for name in (*lengths, "smooth_um"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < np.inf:
                raise ValueError(f"`{name}` must be 0 µm or more, got {value}")
        if not 0 < self.bridge_cost < np.inf:
            raise ValueError(f"`bridge_cost` must be more than 0 µm, got {self.bridge_cost}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(
                f"`min_confidence` must lie between 0 and 1, got {self.min_confidence}"
            )
        if self.radius not in RADII:
            raise ValueError(f"`radius` must be one of {RADII}, got {self.radius!r}")

    def smoothing(self, spacing: Spacing) -> tuple[int, Spacing]:
        """The window in nodes, and the way it spans along each axis, µm."""
        if self.smooth_um is None:
            z, y, x = (SMOOTHING * step for step in spacing)
            return SMOOTHING, (z, y, x)
        window = max(1, round(self.smooth_um / min(spacing)))
        return window, (self.smooth_um, self.smooth_um, self.smooth_um)
