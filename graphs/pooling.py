"""How the results of one metric on several stacks become one result.

A result holds sums (counts, lengths, pairs of cable), so that its ratios hold for several stacks
once the sums are added. A field that is no sum names its rule where it is defined:

    largest: float = field(metadata=pooled_by(maximum))
    split_bits: float = field(metadata=pooled_by(mean_over("matched_length")))

A field called like a keyword of the metric is a parameter and must be the same for all.
"""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from topodelin.graphs.neurite_graph import NeuriteGraph, joined

# From the results and the name of one of their fields to the value for all of them.
Rule = Callable[[Sequence[Any], str], Any]


def pooled_by(rule: Rule) -> dict[str, Rule]:
    """The metadata of a field of a result that pools by a rule."""
    return {"pooled by": rule}


def added(results: Sequence[Any], name: str) -> Any:
    """The sum, of records field by field, of tuples entry by entry; graphs side by side."""
    return _sum(_values(results, name))


def maximum(results: Sequence[Any], name: str) -> Any:
    """The largest value."""
    return max(_values(results, name))


def listed(results: Sequence[Any], name: str) -> tuple[Any, ...]:
    """The entries of all, in order."""
    return tuple(entry for value in _values(results, name) for entry in value)


def mean_over(weight: str) -> Rule:
    """The mean, weighted by another field; 0 where that is 0 for all."""

    def mean(results: Sequence[Any], name: str) -> float:
        weights, values = _weighted(results, weight, name)
        return float(weights @ values) / max(float(weights.sum()), np.finfo(float).tiny)

    return mean


def error_of_mean_over(count: str) -> Rule:
    """The standard error of a mean over `count` values, each stack drawn by itself."""

    def error(results: Sequence[Any], name: str) -> float:
        counts, errors = _weighted(results, count, name)
        return float(np.linalg.norm(counts * errors)) / max(float(counts.sum()), 1.0)

    return error


def pooled(results: Sequence[Any], parameters: Collection[str] = ()) -> Any:
    """One result that stands for all.

    Args:
        results: records of one type, at least one.
        parameters: the fields that are the same for all.
    """
    first = results[0]
    return type(first)(
        **{
            field.name: getattr(first, field.name)
            if _is_parameter(field, parameters)
            else field.metadata.get("pooled by", added)(results, field.name)
            for field in dataclasses.fields(first)
        }
    )


def refuse_mixture(one: Any, two: Any, parameters: Collection[str]) -> None:
    """Raise unless two results are of one metric with the same parameters."""
    if type(one) is not type(two):
        raise TypeError(
            f"results of one metric must be collected, got {type(two).__name__} "
            f"after {type(one).__name__}"
        )
    for field in dataclasses.fields(one):
        if not _is_parameter(field, parameters):
            continue
        before, now = getattr(one, field.name), getattr(two, field.name)
        if before != now and not (before != before and now != now):  # NaN says not applicable
            raise ValueError(
                f"`{field.name}` must be the same for all stacks, got {now} after {before}; "
                "use another Accumulator"
            )


def _is_parameter(field: "dataclasses.Field[Any]", parameters: Collection[str]) -> bool:
    return field.name in parameters and "pooled by" not in field.metadata


def _values(results: Sequence[Any], name: str) -> list[Any]:
    return [getattr(result, name) for result in results]


def _weighted(results: Sequence[Any], weight: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights and values; a value without weight may be NaN and is 0 here."""
    weights = np.array(_values(results, weight), dtype=float)
    return weights, np.where(weights > 0, _values(results, name), 0.0)


def _sum(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, NeuriteGraph):
        return joined([graph for graph in values if len(graph)])  # many are empty
    if isinstance(first, tuple):
        return tuple(_sum(entries) for entries in zip(*values, strict=True))
    if dataclasses.is_dataclass(first):
        return pooled(values)  # the keywords of the metric are fields of the outer record
    return sum(values[1:], start=first)
