"""Many stacks as one number: pooled, averaged, and with an interval."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs.drawings import EMPTY, chain, random_forest
from tests.graphs.events import EVENTS, TOLERANCE
from topodelin.graphs import (
    Accumulator,
    apls,
    betti_errors,
    cable_connectivity,
    centreline_quality,
    expected_run_length,
    find_errors,
    segment_agreement,
    tlts,
)

METRICS: dict[str, Callable[..., Any]] = {
    metric.__name__: metric
    for metric in (
        apls,
        betti_errors,
        cable_connectivity,
        centreline_quality,
        expected_run_length,
        find_errors,
        tlts,
    )
}
LINE = chain((0, 0, 0), (0, 0, 100))
HALF = chain((0, 0, 0), (0, 0, 50))
LONG = chain((0, 0, 0), (0, 0, 300))


def collect(name: str, *events: str) -> Accumulator:
    parameters = {} if name == "betti_errors" else {"tolerance": TOLERANCE}
    collected = Accumulator(METRICS[name], **parameters)
    for event in events:
        collected.update(EVENTS[event].truth, EVENTS[event].predicted)
    return collected


def test_pooled_weighs_by_length_and_the_mean_by_stack() -> None:
    collected = Accumulator(centreline_quality, tolerance=1e-3, step=0.01)
    collected.update(LINE, HALF)
    collected.update(LONG, LONG)
    numbers = collected.compute()
    assert numbers["completeness"] == pytest.approx((50 + 300) / 400, abs=1e-3)
    assert numbers["completeness_mean"] == pytest.approx((0.5 + 1) / 2, abs=1e-3)
    assert numbers["truth_length_um"] == 400 and numbers["tolerance_um"] == 1e-3


@pytest.mark.parametrize("name", METRICS)
def test_one_stack_is_itself(name: str) -> None:
    collected = collect(name, "gap")
    numbers, own = collected.compute(), collected.results[0].as_dict()
    for key, value in own.items():
        expected = float("nan") if value is None else value
        assert numbers[key] == pytest.approx(expected, nan_ok=True), key
        assert numbers[f"{key}_mean"] == pytest.approx(expected, nan_ok=True), key


@pytest.mark.parametrize("name", METRICS)
def test_a_stack_taken_twice_changes_no_ratio(name: str) -> None:
    one, two = collect(name, "gap").compute(), collect(name, "gap", "gap").compute()
    for key, value in one.items():
        ends = ("_um", "_um2", "_count", "_points", "_paths", "_edges", "splits", "mergers")
        if key.endswith("standard_error"):
            value = value / np.sqrt(2)
        elif name == "betti_errors" and not key.endswith("_mean"):
            value = 2 * value
        elif key.endswith(ends) and not key.startswith(
            ("tolerance", "step", "merge", "interval", "min_", "slack", "expected", "best")
        ):
            value = 2 * value
        elif key == "mergers":
            value = 2 * value
        assert two[key] == pytest.approx(value, nan_ok=True), key


def test_errors_of_two_stacks_are_counted_for_each_mm_of_both() -> None:
    numbers = collect("find_errors", "gap", "identical").compute()
    assert numbers["gap_count"] == 1
    assert numbers["gap_per_mm"] == pytest.approx(1000 / numbers["truth_length_um"])
    assert numbers["gap_per_mm_mean"] == pytest.approx(2 * numbers["gap_per_mm"] / 2)


def test_topological_errors_do_not_cancel_between_stacks() -> None:
    collected = collect("betti_errors", "bridge between trees", "break of one edge")
    assert collected.compute()["error_components"] == 2


def test_merging_is_collecting_everything() -> None:
    one, two = collect("apls", "gap", "spur"), collect("apls", "detour")
    one.merge(pickle.loads(pickle.dumps(two)))
    assert one.compute() == collect("apls", "gap", "spur", "detour").compute()
    assert len(one) == 3 and len(two) == 1


@given(cut=st.integers(0, 6))
def test_it_does_not_matter_where_the_stacks_are_parted(cut: int) -> None:
    graphs = [random_forest(seed, 12, 2) for seed in range(7)]
    whole, first, second = (Accumulator(cable_connectivity, tolerance=2.0) for _ in range(3))
    for index, (one, two) in enumerate(zip(graphs, graphs[1:] + graphs[:1], strict=True)):
        whole.update(one, two)
        (first if index < cut else second).update(one, two)
    first.merge(second)
    assert first.compute() == pytest.approx(whole.compute(), nan_ok=True)


def test_a_call_answers_for_one_stack_and_reset_forgets() -> None:
    collected = Accumulator(centreline_quality, tolerance=3.0)
    assert collected(LINE, LINE).quality == 1
    assert collected(LINE, HALF).quality < 1
    assert len(collected) == 2
    collected.reset()
    assert collected.compute() == {} and collected.summary() == {} and len(collected) == 0


def test_a_stack_without_truth_is_left_out_of_the_mean_and_not_of_the_sums() -> None:
    collected = Accumulator(centreline_quality, tolerance=3.0)
    collected.update(LINE, LINE)
    collected.update(EMPTY, LINE)
    numbers = collected.compute()
    assert numbers["quality_mean"] == 1
    assert numbers["correctness"] == 0.5
    assert collected.summary(resamples=50)["quality"].stacks == 1


def test_label_volumes_are_collected_too() -> None:
    truth = np.array([[[1, 1, 2, 2]]])
    collected = Accumulator(segment_agreement)
    collected.update(truth, truth)
    collected.update(truth, np.ones_like(truth))
    assert collected.compute()["rand_split"] == 1
    assert collected.compute()["rand_merge"] == pytest.approx((8 + 8) / (8 + 16))


def test_intervals_hold_the_estimate_depend_on_the_seed_alone_and_shrink() -> None:
    few = collect("centreline_quality", *["gap", "spur", "longer gap", "identical"])
    many = collect("centreline_quality", *["gap", "spur", "longer gap", "identical"] * 8)
    one, two = few.summary(resamples=200, seed=3), few.summary(resamples=200, seed=3)
    assert one == two
    assert one != few.summary(resamples=200, seed=4)
    quality, sure = one["quality"], many.summary(resamples=200, seed=3)["quality"]
    assert quality.pooled_low < quality.pooled < quality.pooled_high
    assert quality.mean_low < quality.mean < quality.mean_high
    assert sure.mean_high - sure.mean_low < 0.6 * (quality.mean_high - quality.mean_low)
    narrow = few.summary(resamples=200, seed=3, level=0.5)["quality"]
    assert narrow.mean_high - narrow.mean_low < quality.mean_high - quality.mean_low


def test_the_interval_of_the_mean_is_about_two_standard_errors() -> None:
    rng = np.random.default_rng(0)
    collected = Accumulator(centreline_quality, tolerance=1e-3, step=0.1)
    for length in rng.uniform(10, 90, 60):
        collected.update(LINE, chain((0, 0, 0), (0, 0, float(length))))
    values = [result.completeness for result in collected.results]
    estimate = collected.summary(resamples=1000)["completeness"]
    expected = 2 * 1.96 * np.std(values, ddof=1) / np.sqrt(60)
    assert estimate.mean_high - estimate.mean_low == pytest.approx(expected, rel=0.1)


def test_one_stack_has_an_interval_of_itself() -> None:
    estimate = collect("tlts", "gap").summary(resamples=5)["tlts_correct"]
    assert estimate.pooled_low == estimate.pooled == estimate.pooled_high == estimate.mean_low


def test_what_does_not_go_together_is_refused() -> None:
    collected = Accumulator(centreline_quality, tolerance=3.0)
    collected.update(LINE, LINE)
    with pytest.raises(ValueError, match="`tolerance` must be the same for all stacks, got 2.0"):
        collected.add(centreline_quality(LINE, LINE, tolerance=2.0))
    with pytest.raises(TypeError, match="one metric must be collected, got BettiErrors"):
        collected.add(betti_errors(LINE, LINE))
    with pytest.raises(TypeError, match="dataclass with `as_dict`, got float"):
        Accumulator(lambda truth, predicted: 1.0).update(LINE, LINE)
    with pytest.raises(ValueError, match="`resamples` must be at least 1"):
        collected.summary(resamples=0)


@dataclass(frozen=True)
class Farthest:
    """A result with a number that is no sum."""

    points: int
    largest: float

    def as_dict(self) -> dict[str, float | None]:
        return {"points": self.points, "largest": self.largest}


def test_the_largest_of_all_stacks_is_the_largest_and_no_sum() -> None:
    collected = Accumulator(Farthest)
    collected.update(2, 5.0)
    collected.update(3, 4.0)
    assert collected.compute() == {
        "points": 5,
        "largest": 5,
        "points_mean": 2.5,
        "largest_mean": 4.5,
    }
