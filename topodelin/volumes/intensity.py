"""The range of intensities of a volume, estimated from a sample, and the scaling made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from topodelin.volumes.volume import Box, Volume

BLOCK = (16, 128, 128)


@dataclass(frozen=True, slots=True)
class IntensityRange:
    """The intensities that become 0 and 1.

    Args:
        low: typical background, becomes 0.
        high: bright structure, becomes 1; must exceed `low`.
        limits: what lies beyond these is cut off afterwards.
    """

    low: float
    high: float
    limits: tuple[float, float] = (-1.0, 2.0)

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.high > self.low):
            raise ValueError(
                f"`high` must exceed `low` and both be finite, got {self.low} and {self.high}"
            )

    def normalize(self, array: np.ndarray) -> np.ndarray:
        """Intensities as float32, `clip((array - low) / (high - low), *limits)`."""
        scale = np.float32(1 / (self.high - self.low))
        scaled = np.subtract(array, np.float32(self.low), dtype=np.float32)
        scaled *= scale
        low, high = np.float32(self.limits[0]), np.float32(self.limits[1])
        return np.clip(scaled, low, high, out=scaled)


def intensity_range(
    volume: Volume,
    *,
    percentiles: tuple[float, float] = (50.0, 99.9),
    max_voxels: int = 20_000_000,
    boxes: Sequence[Box] | None = None,
) -> IntensityRange:
    """The range between two percentiles of the intensities of a volume, all channels together.

    Args:
        volume: read lazily, one block of 16 x 128 x 128 voxels at a time.
        percentiles: of the intensities that become `low` and `high`.
        max_voxels: read about that many at most; a larger volume is sampled by blocks spread
            evenly over it. The same volume always gives the same blocks.
        boxes: read these instead of blocks all over the volume.

    Where the percentiles coincide (a nearly empty stack), `high` is the largest intensity of the
    sample, and `low + 1` when that too equals `low`.
    """
    low_percentile, high_percentile = percentiles
    if not 0 <= low_percentile < high_percentile <= 100:
        raise ValueError(f"`percentiles` must rise within 0 to 100, got {percentiles}")
    if max_voxels < 1:
        raise ValueError(f"`max_voxels` must be positive, got {max_voxels}")
    chosen = sample_boxes(volume, max_voxels) if boxes is None else boxes
    sample = np.concatenate([volume.read(box).ravel() for box in chosen])
    low, high = (float(value) for value in np.percentile(sample, percentiles))
    if high <= low:
        high = float(sample.max())
    if high <= low:
        high = low + 1
    return IntensityRange(low, high)


def intensity_scaling(
    volume: Volume, kind: str, *, percentiles: tuple[float, float] = (50.0, 99.9)
) -> IntensityRange:
    """How the intensities of a volume are brought to the range that a network was trained on.

    Args:
        volume: read lazily, as by [`intensity_range`][].
        kind: "percentiles" = as there; "standard" = mean 0 and standard deviation 1; "range" = the
            range of the data type becomes 0 to 1 (floating point stays as it is).
    """
    everything = (-np.inf, np.inf)
    if kind == "percentiles":
        return intensity_range(volume, percentiles=percentiles)
    if kind == "range":
        whole = volume.dtype.kind in "iu"
        low, high = (np.iinfo(volume.dtype).min, np.iinfo(volume.dtype).max) if whole else (0, 1)
        return IntensityRange(float(low), float(high), everything)
    if kind != "standard":
        raise ValueError(f"`kind` must be percentiles, standard or range, got {kind!r}")
    blocks = sample_boxes(volume, 20_000_000)
    sample = np.concatenate([volume.read(box).ravel() for box in blocks]).astype(np.float64)
    mean, spread = float(sample.mean()), float(sample.std())
    return IntensityRange(mean, mean + (spread or 1.0), everything)


def sample_boxes(volume: Volume, max_voxels: int) -> Iterator[Box]:
    """All blocks, or a regular lattice of them with about `max_voxels` voxels."""
    every = [-(-size // block) for size, block in zip(volume.shape, BLOCK, strict=True)]
    kept = list(every)
    if prod(volume.data.shape) > max_voxels:
        limit = max(1, max_voxels // (prod(BLOCK) * prod(volume.data.shape[:-3])))
        while prod(kept) > limit:
            kept[kept.index(max(kept))] -= 1
    middles = [  # block at the middle of each of `keep` equal parts of the axis
        [(2 * part + 1) * count // (2 * keep) for part in range(keep)]
        for count, keep in zip(every, kept, strict=True)
    ]
    for place in product(*middles):
        z, y, x = (p * block for p, block in zip(place, BLOCK, strict=True))
        yield Box((z, y, x), (z + BLOCK[0], y + BLOCK[1], x + BLOCK[2])).clip(volume.shape)
