"""The folder of a run: what lies where, and whether a run that is there may go on."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from topodelin.models import ModelCard
from topodelin.volumes import Box, Volume

# not part of what a run is
FREE_TO_CHANGE = ("intensity", "trees", "volume_name", "model_name", "image", "priority")


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run.

    Args:
        path: the folder; it must not hold anything else.
    """

    path: Path

    @property
    def settings(self) -> Path:
        """What the run was started with."""
        return self.path / "run.json"

    @property
    def state(self) -> Path:
        """The frontier."""
        return self.path / "state.sqlite"

    @property
    def distance_map(self) -> Path:
        """The distance maps of all visited cubes."""
        return self.path / "distance_map.ome.zarr"

    @property
    def seeds(self) -> Path:
        """Where the search started, z, y, x in µm."""
        return self.path / "seeds.csv"

    @property
    def trees(self) -> Path:
        """One SWC file for each neurite."""
        return self.path / "trees"

    @property
    def table(self) -> Path:
        """One line for each neurite."""
        return self.path / "trees.csv"

    @property
    def bridges(self) -> Path:
        """One line for each gap that was bridged."""
        return self.path / "bridges.csv"

    @property
    def tracing(self) -> Path:
        """What tracing keeps for the next time: the skeleton of each cube."""
        return self.path / "tracing"

    @property
    def spots(self) -> Path:
        """Places to look at first, the worst first."""
        return self.path / "spots.csv"

    @property
    def log(self) -> Path:
        """What was said, with the time of day."""
        return self.path / "log.txt"

    @property
    def exports(self) -> Path:
        """What was exported for other programs."""
        return self.path / "export"

    def check(self) -> None:
        """Refuse a folder that holds something that is not of a run, or cannot be written to.

        Raises:
            ValueError: it is a file, or holds something else.
            OSError: it is read-only.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file; give a folder with -o")
        if not self.path.is_dir():
            return
        known = {path.name for path in self._outputs()}
        foreign = sorted(
            entry.name
            for entry in self.path.iterdir()
            if not any(entry.name.startswith(name) for name in known)
        )
        if foreign:
            raise ValueError(
                f"{self.path} is not the folder of a run, it holds {foreign[0]!r}; "
                "give another folder with -o"
            )
        if not os.access(self.path, os.W_OK):
            raise OSError(f"{self.path} cannot be written to; give another folder with -o")

    def create(self) -> None:
        """Make the folder, after `check`.

        Raises:
            OSError: it cannot be made.
        """
        self.check()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"{self.path} cannot be made ({error.strerror}); give another folder with -o"
            ) from error

    def wipe(self) -> None:
        """Remove all results; the settings first, so that half a wipe is no run."""
        for path in self._outputs():
            if path == self.state:
                continue  # it is open; its content is cleared by its owner
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def read_settings(self) -> dict[str, Any] | None:
        """The settings of the run that is there, None when none was begun."""
        if not self.settings.exists():
            return None
        try:
            return json.loads(self.settings.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"{self.settings} is damaged; start afresh with --restart") from None

    def _outputs(self) -> list[Path]:
        return [
            self.settings, self.state, self.distance_map, self.seeds,
            self.trees, self.trees_in_work, self.table, self.bridges, self.tracing,
            self.spots, self.log, self.exports,
        ]  # fmt: skip

    @property
    def trees_in_work(self) -> Path:
        """Trees of a run that is just writing them."""
        return self.path / "trees.part"


def check_same_run(folder: RunFolder, settings: dict[str, Any]) -> None:
    """Refuse to go on with a run that was started with other settings.

    Raises:
        ValueError: names each setting that differs, both values and the remedies.
    """
    former = folder.read_settings() or {}
    before, now = dict(_flat(former)), dict(_flat(settings))
    names = [
        name for name in before.keys() | now.keys() if name.split(".")[0] not in FREE_TO_CHANGE
    ]
    different = [
        f"{name} = {_short(before.get(name))}, now it is {_short(now.get(name))}"
        for name in sorted(names)
        if before.get(name) != now.get(name)
    ]
    if different:
        raise ValueError(
            f"{folder.path} holds a run with {'; with '.join(different)}; add --restart to discard "
            "that run, or give another folder with -o"
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 70 else f"{text[:66]} ..."


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def volume_fingerprint(volume: Volume) -> dict[str, Any]:
    """Shape, type, spacing and a hash of 27 small boxes: enough to tell one image from another."""
    digest = hashlib.sha256()
    edges = [sorted({0, max(0, n // 2 - 8), max(0, n - 16)}) for n in volume.shape]
    for z, y, x in product(*edges):
        box = Box((z, y, x), (z + 16, y + 16, x + 16)).clip(volume.shape)
        digest.update(np.ascontiguousarray(volume.read(box)).tobytes())
    return {
        "shape": list(volume.data.shape),
        "dtype": str(volume.dtype),
        "spacing": list(volume.spacing),
        "sample": digest.hexdigest(),
    }


def model_fingerprint(model: nn.Module, card: ModelCard) -> str:
    """Hash of the card and every weight, the same on whichever device they lie."""
    digest = hashlib.sha256(json.dumps(asdict(card), sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
