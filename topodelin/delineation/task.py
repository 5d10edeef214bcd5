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
from topodelin.delineation.seeds import cubes_at
from topodelin.models import ModelCard
from topodelin.volumes import Box, Index, IntensityRange, Volume, intensity_range

Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]

# How far the voxels of an image may be from those of the network without being asked. Finer ones
# are averaged, which loses nothing that the network knows; what coarser ones lack is lost for good.
MOST_FINER = 8.0
MOST_COARSER = 2.0
SEED_BOX = 32  # voxels that are looked at around a seed, along each axis, at the least
INTENSITY_VOXELS = 4_000_000  # sampled for the percentiles, whatever the size of the volume


@dataclass(frozen=True, eq=False)
class Task:
    """An image, a network and the rule of the search.

    Args:
        volume: the image in its own spacing, one channel.
        model: the network.
        card: its grid, cube, margin, `d_max` and threshold.
        rule: where the search goes.
        within: µm, the two corners `(z, y, x)` of the part to search; None is all of it.
        intensity: what the image is normalised with; None measures it.
    """

    volume: Volume
    model: nn.Module
    card: ModelCard
    rule: SearchRule
    within: Bounds | None = None
    intensity: IntensityRange | None = None

    def __post_init__(self) -> None:
        if self.rule.threshold > self.card.d_max:
            raise ValueError(
                f"`threshold` must be at most `d_max` = {self.card.d_max:g} of the network, got "
                f"{self.rule.threshold:g}"
            )
        _ = self.within_voxels  # refused now if it is empty

    @cached_property
    def working(self) -> Volume:
        """The image on the grid of the network."""
        return working_volume(self.volume, self.card.spacing)

    @cached_property
    def lattice(self) -> Lattice:
        """The cubes of the working grid."""
        return Lattice(self.working.shape, self.card.cube)

    @property
    def middle(self) -> Index:
        """A cube to try things on."""
        z, y, x = (count // 2 for count in self.lattice.counts)
        return z, y, x

    @cached_property
    def within_voxels(self) -> Box | None:
        """The voxels of the working grid whose centres lie in `within`.

        Raises:
            ValueError: there are none.
        """
        if self.within is None:
            return None
        spacing = self.working.spacing
        low, high = np.minimum(*self.within), np.maximum(*self.within)
        begin = [
            int(np.ceil(value / step - 1e-9)) for value, step in zip(low, spacing, strict=True)
        ]
        end = [int(np.floor(v / step + 1e-9)) + 1 for v, step in zip(high, spacing, strict=True)]
        box = Box((begin[0], begin[1], begin[2]), (end[0], end[1], end[2])).clip(self.working.shape)
        if not box.size:
            raise ValueError(
                f"`within` must share a voxel with the volume, got {self.within} µm (z, y, x)"
            )
        return box

    def first_cubes(self, seeds: np.ndarray) -> list[Index]:
        """Where the search starts: the cubes near seeds ((S, 3) µm), inside `within`.

        Raises:
            ValueError: a seed lies outside the volume, or all of them outside `within`.
        """
        spacing, reach = self.working.spacing, self.rule.reach_um
        cubes = cubes_at(seeds, self.volume, self.lattice, spacing, reach)
        box = self.within_voxels
        if box is None:
            return cubes
        inside = [cube for cube in cubes if (self.lattice.core(cube) & box).size]
        if not inside:
            raise ValueError(
                f"`within` must hold a seed, none of {len(seeds)} lies near {self.within} µm "
                "(z, y, x)"
            )
        return inside

    def resampling(self, *, allowed: bool) -> str:
        """A line that says that the image is resampled; empty if it is not.

        Raises:
            ValueError: the voxels of the image are more than `MOST_COARSER` times as large along an
                axis, or `MOST_FINER` times as small, and that is not `allowed`.
        """
        own, wanted = np.array(self.volume.spacing), np.array(self.card.spacing)
        ratio = np.maximum(own / wanted, wanted / own)
        beyond = np.maximum(own / wanted / MOST_COARSER, wanted / own / MOST_FINER)
        worst = int(beyond.argmax())
        texts = [", ".join(f"{value:g}" for value in values) for values in (own, wanted)]
        if beyond.max() > 1 + 1e-6 and not allowed:
            raise ValueError(
                f"`volume` has voxels of ({texts[0]}) µm and the network was trained on "
                f"({texts[1]}) µm (z, y, x), {ratio[worst]:.3g} times as much or as little along "
                f"{'zyx'[worst]}; check --spacing, take a network for this spacing, or add "
                "--resample to have the image resampled all the same"
            )
        if ratio.max() <= 1 + 1e-6:
            return ""
        return f"the image is resampled from ({texts[0]}) µm to ({texts[1]}) µm, the network's grid"

    def measure_intensity(self, seeds: np.ndarray | None = None) -> IntensityRange:
        """What the image is normalised with; reads a sample of it, around seeds if there are any.

        Networks learn from volumes full of neurites. A sample spread over a brain that is empty
        nearly everywhere would hold none, and noise would be taken for them.
        """
        if self.intensity is not None:
            return self.intensity
        return intensity_range(
            self.volume,
            percentiles=self.card.percentiles,
            max_voxels=INTENSITY_VOXELS,
            boxes=None if seeds is None else self._around(seeds),
        )

    def _around(self, seeds: np.ndarray) -> list[Box]:
        """A box of a cube's size at least around each seed, or around some of many, evenly."""
        step = np.array(self.volume.spacing)
        half = np.ceil(np.multiply(self.card.cube, self.card.spacing) / 2 / step).astype(int)
        half = half.clip(SEED_BOX // 2)
        most = max(1, INTENSITY_VOXELS // int(np.prod(2 * half)))
        chosen = seeds[np.unique(np.linspace(0, len(seeds) - 1, most).round().astype(int))]
        boxes = []
        for middle in np.rint(chosen / step).astype(int):
            (a, b, c), (d, e, f) = (middle - half).tolist(), (middle + half).tolist()
            boxes.append(Box((a, b, c), (d, e, f)).clip(self.volume.shape))
        return boxes

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
            "given_intensity": None
            if self.intensity is None
            else [self.intensity.low, self.intensity.high],
            "within": None if self.within is None else [list(corner) for corner in self.within],
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
