"""One metric over many stacks: pooled, averaged, and how sure one may be of either.

*Pooled* (micro): the counts, lengths and pairs of all stacks are added and divided then, so that
every µm counts the same. *Averaged* (macro): the mean over the stacks, so that every stack counts
the same. Both are drawn again from stacks taken with replacement (bootstrap) for an interval: two
stacks more or less like those measured would give numbers in it.

References:
    B. Efron. Bootstrap methods: another look at the jackknife. Annals of Statistics 7, 1979. The
    percentile interval is used, which is too narrow for fewer than some ten stacks.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, cast

import numpy as np

from topodelin.graphs.apls import PathCosts
from topodelin.graphs.betti import BettiErrors
from topodelin.graphs.cable_connectivity import CableConnectivity
from topodelin.graphs.find_errors import KINDS, TracingErrors
from topodelin.graphs.neurite_graph import NeuriteGraph, joined

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
    pickled. A metric is any function of this package whose result is a frozen dataclass with
    `as_dict`. The fields of a result are taken as sums, to be added, except those called like a
    keyword of the metric, which are parameters and must be the same for all, and `largest`.

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

    def __call__(self, *stack: Any) -> Any:
        """Add one stack and return its result."""
        self.update(*stack)
        return self.results[-1]

    def update(self, *stack: Any) -> None:
        """Measure one stack, usually `truth, predicted`, and keep the result."""
        self.add(self.metric(*stack, **self.parameters))

    def add(self, result: Any) -> None:
        """Keep a result that was measured before, with the same parameters."""
        if not is_dataclass(result) or not hasattr(result, "as_dict"):
            raise TypeError(
                f"a result must be a dataclass with `as_dict`, got {type(result).__name__}"
            )
        for other in self.results[:1]:
            _refuse_mixture(other, result, self._fixed)
        self.results.append(result)

    def merge(self, other: "Accumulator") -> None:
        """Add the results of another accumulator of the same metric, after one's own."""
        for result in other.results:
            self.add(result)

    def reset(self) -> None:
        """Forget all results."""
        self.results = []

    def compute(self) -> Numbers:
        """Every number pooled, under its name, and averaged, under its name and `_mean`.

        NaN where undefined; without a stack there are no numbers.
        """
        if not self.results:
            return {}
        means = _means([_numbers(result.as_dict()) for result in self.results])
        return self._pooled(self.results) | {f"{k}_mean": mean for k, mean in means.items()}

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
        pooled, means = self._pooled(self.results), _means(each)
        light = [_without_graphs(result) for result in self.results]
        rng = np.random.default_rng(seed)
        drawn_pooled, drawn_means = [], []
        for _ in range(resamples):
            picks = rng.integers(0, len(each), len(each)).tolist()
            drawn_pooled.append(self._pooled([light[pick] for pick in picks]))
            drawn_means.append(_means([each[pick] for pick in picks]))
        return {
            name: Estimate(
                pooled[name],
                *_interval([draw[name] for draw in drawn_pooled], level),
                means[name],
                *_interval([draw[name] for draw in drawn_means], level),
                sum(not np.isnan(numbers[name]) for numbers in each),
            )
            for name in pooled
        }

    def _pooled(self, results: Sequence[Any]) -> Numbers:
        return _numbers(_pool(results, self._fixed).as_dict())


@dataclass(frozen=True)
class _Sums:
    """Numbers that add up as they are, where no record can hold their sum."""

    numbers: Numbers

    def as_dict(self) -> Numbers:
        return self.numbers


def _pool(results: Sequence[Any], fixed: set[str]) -> Any:
    """One result that stands for all: sums of the sums, the parameters of the first."""
    first = results[0]
    special = _SPECIAL.get(type(first))
    if special is not None:
        return special(results)
    pooled = _summed(results, fixed)
    if isinstance(pooled, CableConnectivity):
        return _with_mean_bits(pooled, results)
    return pooled


def _summed(results: Sequence[Any], fixed: set[str]) -> Any:
    first = results[0]
    values = {
        field.name: getattr(first, field.name)
        if field.name in fixed
        else _add([getattr(result, field.name) for result in results], field.name)
        for field in dataclasses.fields(first)
    }
    return type(first)(**values)


def _add(values: Sequence[Any], name: str = "") -> Any:
    first = values[0]
    if name == "largest":
        return max(values)
    if isinstance(first, NeuriteGraph):
        return joined(values)
    if isinstance(first, bool | str) or first is None:
        return first
    if isinstance(first, tuple):
        return tuple(_add(column) for column in zip(*values, strict=True))
    if is_dataclass(first):
        return _pool(values, set())  # the keywords of the metric are fields of the outer record
    return sum(values[1:], start=first)


def _with_mean_bits(
    pooled: CableConnectivity, results: Sequence[CableConnectivity]
) -> CableConnectivity:
    """No tree lies in two stacks, so the bits of all are the mean, weighted by matched cable."""
    cable = np.array([result.matched_length for result in results])
    whole = max(float(cable.sum()), np.finfo(float).tiny)
    split, merge = (
        float(cable @ np.array([getattr(result, name) for result in results])) / whole
        for name in ("split_bits", "merge_bits")
    )
    return dataclasses.replace(pooled, split_bits=split, merge_bits=merge)


def _pool_path_costs(results: Sequence[PathCosts]) -> PathCosts:
    """Starts of different stacks are drawn by themselves, so their variances add up."""
    paths = sum(result.paths for result in results)
    variance = sum((result.standard_error * result.paths) ** 2 for result in results)
    return PathCosts(
        sum(result.points for result in results),
        sum(result.starts for result in results),
        paths,
        sum(result.cost for result in results),
        float(np.sqrt(variance)) / max(paths, 1),
    )


def _pool_betti(results: Sequence[BettiErrors]) -> _Sums:
    """Errors add up; errors of the sums would cancel between stacks."""
    each = [_numbers(result.as_dict()) for result in results]
    return _Sums({name: sum(numbers[name] for numbers in each) for name in each[0]})


def _pool_errors(results: Sequence[TracingErrors]) -> _Sums:
    """Counts and lengths add up, and are divided by the length of all truths."""
    each = [_numbers(result.as_dict()) for result in results]
    sums = {
        name: sum(numbers[name] for numbers in each)
        if name.endswith("_count") or name.endswith("_um")
        else value
        for name, value in each[0].items()
    }
    for name in ("tolerance_um", "step_um", "min_length_um", "slack_um"):
        sums[name] = each[0][name]
    mm = sums["truth_length_um"] / 1000
    for kind in KINDS:
        sums[f"{kind}_per_mm"] = sums[f"{kind}_count"] / mm if mm else float("nan")
    return _Sums(sums)


_SPECIAL: dict[type, Callable[[Sequence[Any]], Any]] = {
    PathCosts: _pool_path_costs,
    BettiErrors: _pool_betti,
    TracingErrors: _pool_errors,
}


def _refuse_mixture(one: Any, two: Any, fixed: set[str]) -> None:
    if type(one) is not type(two):
        raise TypeError(
            f"results of one metric must be collected, got {type(two).__name__} "
            f"after {type(one).__name__}"
        )
    for name in [field.name for field in dataclasses.fields(one) if field.name in fixed]:
        before, now = getattr(one, name), getattr(two, name)
        if before != now and not (before != before and now != now):  # NaN says not applicable
            raise ValueError(
                f"`{name}` must be the same for all stacks, got {now} after {before}; "
                "use another Accumulator"
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


def _interval(draws: Sequence[float], level: float) -> tuple[float, float]:
    known = np.array(draws)[~np.isnan(draws)]
    if not len(known):
        return float("nan"), float("nan")
    outside = (1 - level) / 2
    low, high = np.quantile(known, [outside, 1 - outside])
    return cast(float, low.item()), cast(float, high.item())
