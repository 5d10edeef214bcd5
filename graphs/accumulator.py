"""One metric over many stacks: pooled, averaged, and how sure one may be of either.

*Pooled* (micro): the counts, lengths and pairs of all stacks are added and divided then, so that
every µm counts the same. *Averaged* (macro): the mean over the stacks, so that every stack counts
the same. Both are drawn again from stacks taken with replacement (bootstrap) for an interval: two
stacks more or less like those measured would give numbers in it.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

import numpy as np

from topodelin.graphs.bootstrap import draw_again, percentile_interval
from topodelin.graphs.neurite_graph import NeuriteGraph, joined
from topodelin.graphs.pooling import pooled, refuse_mixture

Numbers = dict[str, float]


@dataclass(frozen=True)
class Estimate:
    """One number over many stacks, with intervals; NaN where undefined.

    Args:
        pooled, pooled_low, pooled_high: from the sums over all stacks.
        mean, mean_low, mean_high: over the stacks for which the number is defined.
        stacks: how many these are.
    """

    pooled: float
    pooled_low: float
    pooled_high: float
    mean: float
    mean_low: float
    mean_high: float
    stacks: int


class Accumulator:
    """Collect the results of one metric over many stacks.

    ```
    collected = Accumulator(centreline_quality, tolerance=3.0)
    for truth, predicted in pairs:
        collected.update(truth, predicted)
    collected.compute()["quality"], collected.compute()["quality_mean"]
    ```

    It is used like a metric of torchmetrics (`update`, `compute`, `reset`, a call that updates and
    answers for that stack alone), and `merge` adds what another process collected; it can be
    pickled and copied. A metric is any function of this package whose result is a frozen dataclass
    with `as_dict`; how its fields pool is said in `topodelin.graphs.pooling`.

    Args:
        metric: called with the arguments of `update`.
        parameters: its keywords, fixed for all stacks.
    """

    def __init__(self, metric: Callable[..., Any], **parameters: Any) -> None:
        self.metric, self.parameters = metric, parameters
        self._fixed = {
            name
            for name, parameter in inspect.signature(metric).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        self.results: list[Any] = []

    def __len__(self) -> int:
        return len(self.results)

    def __call__(self, *stack: Any) -> Numbers:
        """Add one stack and return its numbers, as `compute` would of it alone."""
        self.update(*stack)
        return self._computed(self.results[-1:])

    def update(self, *stack: Any) -> None:
        """Measure one stack, usually `truth, predicted`, and keep the result."""
        self.add(self.metric(*stack, **self.parameters))

    def add(self, result: Any) -> None:
        """Keep a result that was measured before, with the same parameters."""
        if not is_dataclass(result) or not hasattr(result, "as_dict"):
            raise TypeError(
                f"a result must be a dataclass with `as_dict`, got {type(result).__name__}"
            )
        _refuse_several_metrics(result)
        for other in self.results[:1]:
            refuse_mixture(other, result, self._fixed)
        self.results.append(result)

    def merge(self, other: "Accumulator") -> None:
        """Add the results of another accumulator of the same metric, after one's own."""
        for result in list(other.results):
            self.add(result)

    def reset(self) -> None:
        """Forget all results."""
        self.results = []

    def compute(self) -> Numbers:
        """Every number pooled, under its name, and averaged, under its name and `_mean`.

        NaN where undefined; without a stack there are no numbers.
        """
        return self._computed(self.results)

    def summary(
        self, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
    ) -> dict[str, Estimate]:
        """Every number pooled and averaged, with percentile bootstrap intervals over stacks.

        Args:
            resamples: how many times as many stacks are drawn with replacement.
            level: share of the resamples inside an interval.
            seed: of the draws; the same seed gives the same intervals.

        The interval of a single stack is that stack.
        """
        if resamples < 1 or not 0 < level < 1:
            raise ValueError(
                f"`resamples` must be at least 1 and `level` between 0 and 1, "
                f"got {resamples} and {level}"
            )
        if not self.results:
            return {}
        each = [_numbers(result.as_dict()) for result in self.results]
        whole, means = self._pooled(self.results), _means(each)
        light = [_without_graphs(result) for result in self.results]
        drawn_pooled, drawn_means = [], []
        for picks in draw_again(len(each), draws=resamples, seed=seed):
            drawn_pooled.append(self._pooled([light[pick] for pick in picks]))
            drawn_means.append(_means([each[pick] for pick in picks]))
        return {
            name: Estimate(
                whole[name],
                *percentile_interval([draw[name] for draw in drawn_pooled], level),
                means[name],
                *percentile_interval([draw[name] for draw in drawn_means], level),
                sum(not np.isnan(numbers[name]) for numbers in each),
            )
            for name in whole
        }

    def _computed(self, results: Sequence[Any]) -> Numbers:
        if not results:
            return {}
        means = _means([_numbers(result.as_dict()) for result in results])
        return self._pooled(results) | {f"{name}_mean": mean for name, mean in means.items()}

    def _pooled(self, results: Sequence[Any]) -> Numbers:
        return _numbers(pooled(results, self._fixed).as_dict())


def _refuse_several_metrics(result: Any) -> None:
    for name, value in result.as_dict().items():
        if isinstance(value, dict | list):
            raise TypeError(
                f"a result must be of one metric, got {type(result).__name__} with several numbers "
                f"under `{name}`; collect each metric by itself"
            )


def _numbers(numbers: Mapping[str, float | None]) -> Numbers:
    return {name: float("nan") if v is None else float(v) for name, v in numbers.items()}


def _means(each: Sequence[Numbers]) -> Numbers:
    """Over those that are defined."""
    table = np.array([list(numbers.values()) for numbers in each])
    there = ~np.isnan(table)
    count = there.sum(axis=0)
    means = np.where(count, np.where(there, table, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
    return dict(zip(each[0], means.tolist(), strict=True))


def _without_graphs(result: Any) -> Any:
    """The same numbers without cable, which no number is made of and which is slow to join."""
    empty = joined([])
    return dataclasses.replace(
        result,
        **{
            field.name: empty
            for field in dataclasses.fields(result)
            if isinstance(getattr(result, field.name), NeuriteGraph)
        },
    )
