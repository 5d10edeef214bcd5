"""Bootstrap: how far a number would move if other stacks like these had been measured.

Stacks are drawn again from those measured, as many, with replacement; the interval holds the
middle part of the numbers of many such draws.

References:
    B. Efron. Bootstrap methods: another look at the jackknife. Annals of Statistics 7, 1979. The
    percentile interval is used, which is too narrow for fewer than some ten stacks.
"""

from collections.abc import Iterator, Sequence

import numpy as np


def draw_again(count: int, *, draws: int, seed: int) -> Iterator[list[int]]:
    """Numbers of the stacks in each draw, `count` of `count` with replacement."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield rng.integers(0, count, count).tolist()


def percentile_interval(values: Sequence[float], level: float) -> tuple[float, float]:
    """Where the middle `level` of the values begins and ends; NaN is left out."""
    known = np.array(values)[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    outside = (1 - level) / 2
    low, high = np.quantile(known, [outside, 1 - outside]).tolist()
    return low, high
