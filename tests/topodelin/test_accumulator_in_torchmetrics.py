"""An accumulator inside a metric of torchmetrics, which `topodelin` never imports itself."""

import copy
import pickle
from typing import Any

import pytest

from tests.graphs.events import EVENTS, TOLERANCE
from topodelin.graphs import Accumulator, CentrelineQuality, NeuriteGraph, centreline_quality

torchmetrics = pytest.importorskip("torchmetrics")


class Quality(torchmetrics.Metric):
    """The results are its state; the accumulator makes numbers of them."""

    full_state_update = True
    results: list[CentrelineQuality]

    def __init__(self, **parameters: float) -> None:
        super().__init__()
        self.parameters = parameters
        self.add_state("results", [], dist_reduce_fx=None)

    def update(self, truth: NeuriteGraph, predicted: NeuriteGraph) -> None:
        self.results.append(centreline_quality(truth, predicted, **self.parameters))

    def compute(self) -> dict[str, float]:
        collected = Accumulator(centreline_quality, **self.parameters)
        for result in self.results:
            collected.add(result)
        return collected.compute()


def follow(metric: Any) -> list[dict[str, float]]:
    """What it answers to two stacks, then for both, then after a reset for the second."""
    gap, spur = EVENTS["gap"], EVENTS["spur"]
    answers = [metric(gap.truth, gap.predicted), metric(spur.truth, spur.predicted)]
    answers.append(metric.compute())
    metric.reset()
    metric.update(spur.truth, spur.predicted)
    return [*answers, metric.compute()]


def test_an_accumulator_and_a_metric_of_torchmetrics_are_used_alike() -> None:
    one = follow(Accumulator(centreline_quality, tolerance=TOLERANCE))
    assert one == follow(Quality(tolerance=TOLERANCE))
    assert one[0] != one[1] and one[3] == one[1] and one[2] not in one[:2]


def test_the_wrapped_accumulator_is_copied_pickled_and_part_of_a_collection() -> None:
    gap = EVENTS["gap"]
    metric = Quality(tolerance=TOLERANCE)
    metric.update(gap.truth, gap.predicted)
    again = pickle.loads(pickle.dumps(metric))
    copied = copy.deepcopy(metric)
    assert metric.compute() == again.compute() == copied.compute() == metric.clone().compute()
    collection = torchmetrics.MetricCollection({"a": Quality(tolerance=TOLERANCE)})
    assert collection(gap.truth, gap.predicted)["quality"] == metric.compute()["quality"]
