"""What the classes of a labelled image are: how much of each, how bright, how different.

Counts and intensities are of all voxels. Tests are of a sub-sample that is nearly independent
(`independence.py`); the seed experiment that this follows tested all voxels, whose p-values are
far too small.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from topodelin.classical.group_tests import (
    Difference,
    Normality,
    Variance,
    analysis_of_variance,
    differences,
    normality,
)
from topodelin.classical.independence import Steps, lattice, steps_apart

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NAN = float("nan")


@dataclass(frozen=True)
class ClassIntensities:
    """The voxels of one class.

    Args:
        name: of the class.
        voxels: how many.
        share: of all voxels with a class.
        volume: µm³.
        mean, sd: of the intensities; NaN without voxels, and without two.
        quantiles: (probability, intensity) pairs.
        sampled: voxels in the sub-sample.
        normality: of the intensities of the sub-sample.
    """

    name: str
    voxels: int
    share: float
    volume: float
    mean: float
    sd: float
    quantiles: tuple[tuple[float, float], ...]
    sampled: int
    normality: Normality


@dataclass(frozen=True)
class ClassStatistics:
    """All classes, and the differences between them.

    Args:
        classes: in the order of the names.
        ignored: voxels without a class.
        apart: voxels `(z, y, x)` between those of the sub-sample.
        correlation: the autocorrelation that is left at that distance along each axis; NaN along
            an axis of one voxel.
        variance: of the sub-sample, between and within the classes.
        differences: of every two classes, on the sub-sample.
    """

    classes: tuple[ClassIntensities, ...]
    ignored: int
    apart: Steps
    correlation: tuple[float, float, float]
    variance: Variance
    differences: tuple[Difference, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, ready for JSON: None where a number is undefined."""
        return _plain(asdict(self))


def class_statistics(
    image: Shaped[np.ndarray, "z y x"],
    classes: Int64[np.ndarray, "_ _ _"],
    names: Sequence[str],
    *,
    spacing: tuple[float, float, float],
    apart: Steps | None = None,
    correlation: float = 0.1,
    quantiles: Sequence[float] = QUANTILES,
    seed: int = 0,
) -> ClassStatistics:
    """Count, describe and compare the classes of the voxels of an image.

    Args:
        image: intensities, in any unit.
        classes: numbers of the names, from 0; -1 for voxels that do not count.
        names: of the classes.
        spacing: µm per voxel.
        apart: voxels from one of the sub-sample to the next, along each axis; by default as many
            as it takes for the autocorrelation to fall to `correlation`.
        correlation: see above.
        quantiles: probabilities of the quantiles.
        seed: where the lattice of the sub-sample is laid.

    The sub-sample is a lattice, so a rare class has few voxels in it: where it has fewer than two,
    its tests are undefined, which is what the image can tell.
    """
    if image.shape != classes.shape:
        raise ValueError(
            f"`image` and `classes` must have one shape, got {image.shape} and {classes.shape}"
        )
    if classes.max(initial=-1) >= len(names):
        raise ValueError(
            f"`names` must name every class, got {len(names)} for number {classes.max()}"
        )
    valid = classes >= 0
    groups = [image[classes == k].astype(np.float64) for k in range(len(names))]
    left = (NAN, NAN, NAN)
    if apart is None:
        means = np.array([group.mean() if len(group) else 0.0 for group in groups] + [0.0])
        apart, left = steps_apart(image - means[classes], valid, correlation=correlation)
    elif min(apart) < 1:
        raise ValueError(f"`apart` must hold three whole numbers from 1, got {apart}")
    chosen = lattice(valid, apart, np.random.default_rng(seed))
    values, of = image.ravel()[chosen].astype(np.float64), classes.ravel()[chosen]
    sampled = {name: values[of == k] for k, name in enumerate(names)}
    known = int(valid.sum())
    return ClassStatistics(
        classes=tuple(
            ClassIntensities(
                name=name,
                voxels=len(group),
                share=len(group) / known if known else NAN,
                volume=len(group) * float(np.prod(spacing)),
                mean=float(group.mean()) if len(group) else NAN,
                sd=float(group.std(ddof=1)) if len(group) > 1 else NAN,
                quantiles=_quantiles(group, quantiles),
                sampled=len(sampled[name]),
                normality=normality(sampled[name]),
            )
            for name, group in zip(names, groups, strict=True)
        ),
        ignored=int(valid.size) - known,
        apart=apart,
        correlation=left,
        variance=analysis_of_variance(list(sampled.values())),
        differences=differences(sampled),
    )


def _quantiles(group: np.ndarray, shares: Sequence[float]) -> tuple[tuple[float, float], ...]:
    values = np.quantile(group, shares) if len(group) else np.full(len(shares), NAN)
    return tuple((float(share), float(value)) for share, value in zip(shares, values, strict=True))


def _plain(record: Any) -> Any:
    if isinstance(record, dict):
        return {name: _plain(value) for name, value in record.items()}
    if isinstance(record, list | tuple):
        return [_plain(value) for value in record]
    return None if isinstance(record, float) and np.isnan(record) else record
