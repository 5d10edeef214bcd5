"""A conditional random field between a network's probabilities and the image."""

import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from topodelin.prediction.seen_image import one_channel
from topodelin.refinement.dense_crf import dense_crf
from topodelin.volumes import IntensityRange, Volume, intensity_range, intensity_scaling

EXTENTS = ("slices", "volume")


@dataclass(frozen=True)
class CRF:
    """What [`dense_crf`][] is run with.

    Args:
        parameters: its keyword arguments.
        extent: "slices" = each slice on its own; "volume" = all together, in memory.

    It sees intensities in [0, 1]: of 8 bits, divided by 255; else the range between the percentiles
    0.1 and 99.9 of the volume.
    """

    parameters: dict[str, Any]
    extent: str = "slices"

    def refined(self, planes: Iterator[np.ndarray], volume: Volume) -> Iterator[np.ndarray]:
        """Slices of probabilities `(class, y, x)`, made to agree with the image."""
        volume, scaling = one_channel(volume), image_scaling(volume)
        if self.extent == "volume":
            together = np.stack(list(planes), axis=1)
            image = scaling.normalize(volume.read(volume.box))
            yield from np.moveaxis(self._run(together, image), 1, 0)
            return
        for z, plane in enumerate(planes):
            yield self._run(plane, scaling.normalize(np.asarray(volume.data[z])))

    def _run(self, probabilities: np.ndarray, image: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(probabilities), torch.from_numpy(image)
        with torch.no_grad():
            return dense_crf(*given, **self.parameters).numpy()


def read_crf(path: str | os.PathLike[str], extent: str = "slices") -> CRF:
    """A CRF from a YAML file that gives arguments of [`dense_crf`][] by name.

    Raises:
        ValueError: no mapping, an unknown or a missing argument.
    """
    if extent not in EXTENTS:
        raise ValueError(f"`extent` must be slices or volume, got {extent!r}")
    try:
        content = yaml.safe_load(Path(path).read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is not YAML ({' '.join(str(error).split())[:200]})") from None
    given = inspect.signature(dense_crf).parameters.values()
    known = {p.name: p.default is p.empty for p in given if p.kind is p.KEYWORD_ONLY}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must map names to values, known are {', '.join(known)}")
    for name in content:
        if name not in known:
            raise ValueError(f"{path}: {name!r} is unknown; known are {', '.join(known)}")
    lacking = [name for name, needed in known.items() if needed and name not in content]
    if lacking:
        raise ValueError(f"{path}: lacks {', '.join(lacking)}; give a value for each")
    return CRF(content, extent)


def image_scaling(volume: Volume) -> IntensityRange:
    """How the intensities of a volume become 0 to 1."""
    if volume.dtype == np.uint8:
        return intensity_scaling(volume, "range")
    found = intensity_range(volume, percentiles=(0.1, 99.9))
    return IntensityRange(found.low, found.high, (0.0, 1.0))
