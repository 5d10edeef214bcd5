"""What a run is about, worked out once: the working grid, its cubes and the rules."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from torch import nn

from topodelin import __version__
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.prediction import CubePredictor, working_volume
from topodelin.delineation.run_folder import model_fingerprint, volume_fingerprint
from topodelin.delineation.search_rule import SearchRule
from topodelin.models import ModelCard
from topodelin.volumes import IntensityRange, Volume, intensity_range

INTENSITY_VOXELS = 4_000_000  # sampled for the percentiles, whatever the size of the volume


@dataclass(frozen=True, eq=False)
class Task:
    """An image, a network and the rule of the search.

    Args:
        volume: the image in its own spacing, one channel.
        model: the network.
        card: its grid, cube, margin, `d_max` and threshold.
        rule: where the search goes.
    """

    volume: Volume
    model: nn.Module
    card: ModelCard
    rule: SearchRule

    def __post_init__(self) -> None:
        if self.rule.threshold > self.card.d_max:
            raise ValueError(
                f"`threshold` must be at most `d_max` = {self.card.d_max:g} of the network, got "
                f"{self.rule.threshold:g}"
            )

    @cached_property
    def working(self) -> Volume:
        """The image on the grid of the network."""
        return working_volume(self.volume, self.card.spacing)

    @cached_property
    def lattice(self) -> Lattice:
        """The cubes of the working grid."""
        return Lattice(self.working.shape, self.card.cube)

    def measure_intensity(self) -> IntensityRange:
        """What the image is normalised with; reads a sample of it."""
        return intensity_range(
            self.volume, percentiles=self.card.percentiles, max_voxels=INTENSITY_VOXELS
        )

    def predictor(self, intensity: IntensityRange) -> CubePredictor:
        """Predicts any cube."""
        return CubePredictor(
            volume=self.working,
            lattice=self.lattice,
            margin=self.card.margin,
            intensity=intensity,
            model=self.model.eval(),
            d_max=self.card.d_max,
            rule=self.rule,
        )

    def settings(self, seeds: np.ndarray | None) -> dict[str, Any]:
        """All that a result depends on, as plain JSON; two runs may share a folder if it agrees."""
        return {
            "topodelin": __version__,
            "volume": volume_fingerprint(self.volume),
            "model": model_fingerprint(self.model, self.card),
            "grid": {
                "spacing": list(self.working.spacing),
                "shape": list(self.lattice.shape),
                "cube": list(self.lattice.cube),
                "margin": list(self.card.margin),
            },
            "search": {
                "threshold": self.rule.threshold,
                "min_voxels": self.rule.min_voxels,
                "reach_um": self.rule.reach_um,
                "d_max": self.card.d_max,
            },
            "seeds": "found by a scan" if seeds is None else np.round(seeds, 4).tolist(),
        }


def search_rule(
    card: ModelCard,
    *,
    threshold: float | None = None,
    min_voxels: int = 30,
    reach_um: float | None = None,
) -> SearchRule:
    """The rule that suits a network.

    Args:
        card: of the network; its threshold is the default.
        threshold: in finest voxel edges.
        min_voxels: size of the smallest component that counts.
        reach_um: how near to a border foreground must come; by default the diameter of a neurite
            in the mask, twice the threshold.
    """
    chosen = card.threshold if threshold is None else float(threshold)
    reach = 2 * chosen * min(card.spacing) if reach_um is None else float(reach_um)
    return SearchRule(threshold=chosen, min_voxels=min_voxels, reach_um=reach)
