r"""A sub-sample of the voxels of an image that is nearly independent.

Tests of significance take observations for independent. Neighbouring voxels are not: each looks
much like the next, so that n of them tell as much as a few, and p-values computed from all of them
are far too small. How far apart voxels must lie is measured on the image itself: the lag along
each axis from which on the autocorrelation

$$r(k) = \frac{\overline{e_i\, e_{i+k}}}{\overline{e_i^2}}$$

of the intensities, less the mean of their class ($e$), is at most a given value.

References:
    P. Legendre. Spatial autocorrelation: trouble or new paradigm? Ecology 74, 1993.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int64

Steps = tuple[int, int, int]
PRECISE = 200_000  # pairs of voxels that one correlation is estimated from, about


def steps_apart(
    residuals: Float[np.ndarray, "z y x"],
    valid: Bool[np.ndarray, "z y x"],
    *,
    correlation: float = 0.1,
) -> tuple[Steps, tuple[float, float, float]]:
    """Voxels along each axis from one independent voxel to the next, and what is left there.

    Args:
        residuals: intensities less the mean of their class.
        valid: where they count.
        correlation: the autocorrelation that is small enough.

    Lags grow by about a quarter each time and end at half the axis; where none is large enough,
    that one is taken and the correlation left is larger. An axis of one voxel has step 1 and NaN.
    """
    if not 0 < correlation < 1:
        raise ValueError(f"`correlation` must lie between 0 and 1, got {correlation}")
    steps, left = [1, 1, 1], [float("nan")] * 3
    for axis in range(3):
        for lag in _lags(residuals.shape[axis]):
            steps[axis], left[axis] = lag, _autocorrelation(residuals, valid, axis, lag)
            if not left[axis] > correlation:
                break
    return (steps[0], steps[1], steps[2]), (left[0], left[1], left[2])


def lattice(
    valid: Bool[np.ndarray, "z y x"], steps: Steps, rng: np.random.Generator
) -> Int64[np.ndarray, " sampled"]:
    """Flat indices of the valid voxels of a lattice with these steps, laid at random."""
    begin = [int(rng.integers(min(s, n))) for s, n in zip(steps, valid.shape, strict=True)]
    axes = [np.arange(b, n, s) for b, n, s in zip(begin, valid.shape, steps, strict=True)]
    places = np.ravel_multi_index(np.ix_(*axes), valid.shape).ravel()
    return places[valid.ravel()[places]]


def _lags(size: int) -> Iterator[int]:
    lag = 1
    while lag <= size // 2:
        yield lag
        lag += max(1, lag // 4)


def _autocorrelation(residuals: np.ndarray, valid: np.ndarray, axis: int, lag: int) -> float:
    """Of pairs of voxels a lag apart along an axis, from a thinned set of them; NaN without any."""
    size = residuals.shape[axis]
    every = max(1, round((residuals.size / PRECISE) ** 0.5))
    across = [slice(None)] * 3
    for other, n in enumerate(residuals.shape):  # thinned across the axis, along it all are taken
        across[other] = slice(None, None, 1 if other == axis or n < 8 else every)
    one, two = list(across), list(across)
    one[axis], two[axis] = slice(0, size - lag), slice(lag, size)
    both = valid[tuple(one)] & valid[tuple(two)]
    first, second = residuals[tuple(one)][both], residuals[tuple(two)][both]
    scale = float(np.sqrt((first**2).mean() * (second**2).mean())) if len(first) else 0.0
    return float((first * second).mean()) / scale if scale else float("nan")
