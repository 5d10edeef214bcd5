"""What a run or a tracing left behind, opened again for exports."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.delineation.run_folder import RunFolder
from topodelin.delineation.seeds import read_seeds
from topodelin.delineation.tracing.spots import Spot, read_spots
from topodelin.graphs import NeuriteGraph, read_swc
from topodelin.volumes import IntensityRange, Volume, intensity_range, open_volume


@dataclass(frozen=True)
class FinishedRun:
    """A folder of `topodelin delineate` or `topodelin trace`. It may hold only part of a brain.

    Args:
        folder: its files.
        settings: `run.json`.
        image_path: in the place of the image that the run was started with.
    """

    folder: RunFolder
    settings: dict[str, Any]
    image_path: str | None = None

    @property
    def distance_map(self) -> Volume:
        """Finest voxel edges of its own grid; `d_max` where nothing was computed."""
        elsewhere = self.settings.get("distance_map")
        if elsewhere is None:
            return open_volume(self.folder.distance_map)
        return open_volume(elsewhere["path"], spacing=elsewhere["spacing"])

    @property
    def d_max(self) -> float:
        """Where the distance map is clipped."""
        return float(self.settings["search"]["d_max"])

    @property
    def threshold(self) -> float:
        """Distance below which a voxel belongs to a neurite."""
        return float(self.settings["search"]["threshold"])

    @property
    def distance_map_place(self) -> str:
        """Path of the distance map."""
        elsewhere = self.settings.get("distance_map")
        return str(self.folder.distance_map if elsewhere is None else elsewhere["path"])

    @property
    def image_place(self) -> str | None:
        """Path or URL of the image; None where the run does not say."""
        return self.image_path or (self.settings.get("image") or {}).get("path")

    @property
    def image(self) -> Volume:
        """The image as it was given, in its own spacing.

        Raises:
            ValueError: the run does not say where it is, or it is not there any more.
        """
        path = self.image_place
        if path is None:
            raise ValueError(
                f"{self.folder.settings} does not say which image was traced; name it with --image"
            )
        spacing = (self.settings.get("image") or {}).get("spacing")
        try:
            return open_volume(path, spacing=spacing)
        except ValueError as error:
            raise ValueError(f"{error} (if the image was moved, name it with --image)") from None

    @property
    def intensity(self) -> IntensityRange | None:
        """Grey values of background and of bright neurites; None of a tracing without an image."""
        known = self.settings.get("intensity")
        return IntensityRange(**known) if known else None

    def grey_range(self, image: Volume) -> IntensityRange:
        """What a viewer shows as black and white: what the run measured, else measured now."""
        return self.intensity or intensity_range(image)

    @property
    def seeds(self) -> np.ndarray:
        """(S, 3) µm; none where the run had none."""
        return read_seeds(self.folder.seeds) if self.folder.seeds.exists() else np.zeros((0, 3))

    @property
    def tree_files(self) -> list[Path]:
        """One SWC file for each neuron, in the order of their numbers from 1."""
        return sorted(self.folder.trees.glob("*.swc"))

    def graphs(self) -> Iterator[tuple[str, NeuriteGraph]]:
        """`(name, graph in µm)` of one neuron after the other."""
        for path in self.tree_files:
            yield path.stem, read_swc(path)

    def numbered_graphs(self) -> Iterator[tuple[int, str, NeuriteGraph]]:
        """`(number, name, graph in µm)`; the number is the one in the name, else the place."""
        for place, (name, graph) in enumerate(self.graphs(), 1):
            found = re.fullmatch(r"tree_(\d+)", name)
            yield int(found.group(1)) if found else place, name, graph

    @property
    def spots(self) -> list[Spot]:
        """Suspicious spots, the worst first."""
        return read_spots(self.folder.spots) if self.folder.spots.exists() else []


def open_run(path: str | Path, *, image: str | None = None) -> FinishedRun:
    """Open the folder of a run.

    Args:
        path: the folder.
        image: path of the image, where it is no longer where the run found it.

    Raises:
        ValueError: the folder is not one of a run, or nothing was traced in it yet.
    """
    folder = RunFolder(Path(path))
    settings = folder.read_settings()
    if settings is None:
        raise ValueError(
            f"{path} is not the folder of a run (it holds no run.json); give the -o folder of "
            "`topodelin delineate` or `topodelin trace`"
        )
    if not folder.trees.is_dir():
        raise ValueError(
            f"{path} holds no trees yet; start `topodelin delineate` with the same -o again, it "
            "goes on and traces what was found"
        )
    return FinishedRun(folder, settings, image)
