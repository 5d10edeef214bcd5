"""What a metric promises, in one record, so that each law is one test over all metrics."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

Numbers = dict[str, float]


@dataclass(frozen=True)
class Law:
    """A metric and what it promises.

    Args:
        metric: called with truth, prediction and the parameters.
        lengths: its parameters that are lengths, µm.
        others: its parameters that are not.
        ones, zeros: numbers that are 1, or 0, for a prediction without an error.
        worst: numbers without a prediction, where that is not 0 for those in `ones`.
        undefined: numbers that are NaN without truth and prediction, besides those in `ones`.
        swap: words of the names of numbers that swapping the two swaps; none where the metric is
            not meant to be symmetric.
        forests: whether it refuses graphs with cycles.
        drawn: how it wants a graph drawn, where it takes images.
    """

    metric: Callable[..., Any]
    lengths: dict[str, float] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    ones: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()
    worst: Numbers = field(default_factory=dict)
    undefined: tuple[str, ...] = ()
    swap: tuple[tuple[str, str], ...] = ()
    forests: bool = False
    drawn: Callable[..., np.ndarray] = np.asarray

    def __call__(self, truth: Any, predicted: Any, unit: float = 1.0, **more: Any) -> Numbers:
        """Every number; NaN where undefined."""
        lengths = {name: unit * value for name, value in self.lengths.items()}
        return numbers(self.metric(truth, predicted, **lengths, **self.others, **more))

    def swapped(self, found: Numbers) -> Numbers:
        """The numbers under the names that they have once truth and prediction are swapped."""
        return {name: found[_swapped(name, self.swap)] for name in found}


def numbers(result: Any) -> Numbers:
    """Every number of a result; NaN where undefined."""
    found = result if isinstance(result, dict) else result.as_dict()
    return {name: np.nan if value is None else float(value) for name, value in found.items()}


def assert_same(one: Numbers, two: Numbers) -> None:
    """Up to rounding."""
    assert one == pytest.approx(two, rel=1e-6, abs=1e-6, nan_ok=True)


def _swapped(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """The name with each word of a pair in place of the other."""
    for one, two in pairs:
        name = name.replace(one, "\0").replace(two, one).replace("\0", two)
    return name
