"""Many stacks as one number: pooled, averaged, and with an interval."""

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import topodelin.graphs
from tests.graphs.drawings import EMPTY, betti, chain, random_forest, seeds
from tests.graphs.events import EVENTS, TOLERANCE, Event, coarse_mask, labels, lines, mask
from topodelin.graphs import (
    Accumulator,
    NeuriteGraph,
    PathCosts,
    apls,
    as_neurite_graph,
    betti_errors,
    betti_matching,
    cable_connectivity,
    centreline_quality,
    confusion,
    critical_nodes,
    expected_run_length,
    find_errors,
    holes_and_marbles,
    joined,
    junction_arms,
    junction_score,
    mask_betti_errors,
    match_barcodes,
    patch_betti_errors,
    path_score,
    score_tracing,
    segment_agreement,
    skeleton_overlap,
    spatial_distance,
    tlts,
    voxel_quality,
)
from topodelin.graphs.diadem import diadem
from topodelin.graphs.pooling import maximum, pooled, pooled_by

FORESTS = [
    name
    for name, event in EVENTS.items()
    if name != "nothing" and not betti(event.truth)[1] + betti(event.predicted)[1]
]


@dataclass(frozen=True)
class Case:
    """A metric with parameters, and what it takes of a graph."""

    metric: Callable[..., Any]
    parameters: dict[str, Any]
    of: Callable[[NeuriteGraph], Any] = as_neurite_graph

    def collect(self, *stacks: Event) -> Accumulator:
        collected = Accumulator(self.metric, **self.parameters)
        for stack in stacks:
            collected.update(self.of(stack.truth), self.of(stack.predicted))
        return collected


NEAR = {"tolerance": TOLERANCE}
CASES = {
    case.metric.__name__: case
    for case in (
        Case(apls, NEAR),
        Case(betti_errors, {}),
        Case(betti_matching, {}, mask),
        Case(cable_connectivity, NEAR),
        Case(centreline_quality, NEAR),
        Case(confusion, {"labels": (0, 1)}, mask),
        Case(critical_nodes, NEAR),
        Case(diadem, NEAR),
        Case(expected_run_length, NEAR),
        Case(find_errors, NEAR),
        Case(holes_and_marbles, NEAR | {"starts": 10_000, "radius": 30.0}),
        Case(junction_arms, NEAR),
        Case(junction_score, NEAR),
        Case(mask_betti_errors, {}, mask),
        Case(match_barcodes, {}, coarse_mask),
        Case(patch_betti_errors, {"patch": 8}, mask),
        Case(path_score, NEAR | {"repeats": 2}),
        Case(segment_agreement, {}, lambda graph: labels(graph) + 1),
        Case(skeleton_overlap, {}, mask),
        Case(spatial_distance, {"threshold": TOLERANCE}),
        Case(tlts, NEAR),
        Case(voxel_quality, NEAR, lines),
    )
}
# Pooled errors of topology do not cancel, as they do in one large stack; and random paths differ.
NO_UNION = {"betti_errors", "mask_betti_errors", "patch_betti_errors", "path_score"}
LINE = chain((0, 0, 0), (0, 0, 100))
HALF = chain((0, 0, 0), (0, 0, 50))
LONG = chain((0, 0, 0), (0, 0, 300))


def collect(name: str, *events: str) -> Accumulator:
    return CASES[name].collect(*(EVENTS[event] for event in events))


def side_by_side(values: list[Any]) -> Any:
    """Graphs or images of several stacks as one, too far apart to meet."""
    if isinstance(values[0], NeuriteGraph):
        return joined(
            [
                NeuriteGraph(graph.positions + [0, 0, 1e4 * k], graph.edges)
                for k, graph in enumerate(values)
            ]
        )
    if values[0].dtype == bool:
        return np.concatenate(values)
    return np.concatenate([value + 100 * k for k, value in enumerate(values)])


def same(one: dict[str, float], two: dict[str, float]) -> None:
    assert one == pytest.approx(two, nan_ok=True)


def numbers(result: Any) -> dict[str, float]:
    return {key: np.nan if v is None else float(v) for key, v in result.as_dict().items()}


def test_every_metric_can_be_collected() -> None:
    public = [getattr(topodelin.graphs, name) for name in topodelin.graphs.__all__]
    metrics = {
        metric.__name__
        for metric in public
        if inspect.isfunction(metric)
        and [
            p.name
            for p in inspect.signature(metric).parameters.values()
            if p.kind != p.KEYWORD_ONLY
        ]
        == ["truth", "predicted"]
    }
    assert metrics - {"score_tracing"} <= set(CASES)


def test_pooled_weighs_by_length_and_the_mean_by_stack() -> None:
    collected = Accumulator(centreline_quality, tolerance=1e-3, step=0.01)
    collected.update(LINE, HALF)
    collected.update(LONG, LONG)
    numbers = collected.compute()
    assert numbers["completeness"] == pytest.approx((50 + 300) / 400, abs=1e-3)
    assert numbers["completeness_mean"] == pytest.approx((0.5 + 1) / 2, abs=1e-3)
    assert numbers["truth_length_um"] == 400 and numbers["tolerance_um"] == 1e-3


@pytest.mark.parametrize("name", CASES)
def test_one_stack_is_itself(name: str) -> None:
    collected = collect(name, "gap")
    found, own = collected.compute(), numbers(collected.results[0])
    same(found, own | {f"{key}_mean": value for key, value in own.items()})


@pytest.mark.parametrize("name", sorted(set(CASES) - NO_UNION))
@settings(max_examples=4)
@given(seed=seeds)
def test_stacks_pooled_are_one_stack_of_all_side_by_side(name: str, seed: int) -> None:
    case, rng = CASES[name], np.random.default_rng(seed)
    events = [EVENTS[event] for event in rng.choice(FORESTS, 3)]
    found = case.collect(*events)
    truth, predicted = (
        side_by_side([case.of(graph) for graph in graphs])
        for graphs in ([e.truth for e in events], [e.predicted for e in events])
    )
    whole = numbers(case.metric(truth, predicted, **case.parameters))
    pooled = found.compute()
    same({key: pooled[key] for key in whole}, whole)
    for key in whole:
        each = [numbers(result)[key] for result in found.results]
        defined = [value for value in each if not np.isnan(value)]
        mean = sum(defined) / len(defined) if defined else np.nan
        assert pooled[f"{key}_mean"] == pytest.approx(mean, nan_ok=True)


def test_paths_of_all_stacks_are_averaged_together() -> None:
    collected = collect("path_score", "gap", "ring cut", "bridge between trees")
    kept = sum(result.predicted_kept for result in collected.results)
    paths = sum(result.predicted_paths for result in collected.results)
    assert collected.compute()["opt_p_precision"] == pytest.approx(kept / paths)


@given(errors=st.lists(st.floats(0, 0.1), min_size=1, max_size=4), seed=seeds)
def test_standard_errors_of_independent_stacks_add_as_squares(
    errors: list[float], seed: int
) -> None:
    paths = np.random.default_rng(seed).integers(1, 100, len(errors)).tolist()
    costs = [PathCosts(9, 3, n, 0.1 * n, e) for n, e in zip(paths, errors, strict=True)]
    none = PathCosts(1, 1, 0, 0.0, float("nan"))  # a single start tells nothing of the spread
    found = pooled([*costs, none])
    expected = np.sqrt(sum((n * e) ** 2 for n, e in zip(paths, errors, strict=True))) / sum(paths)
    assert found.standard_error == pytest.approx(expected)
    assert found.similarity == pytest.approx(0.9) and found.points == 9 * len(errors) + 1


def test_errors_of_two_stacks_are_counted_for_each_mm_of_both() -> None:
    numbers = collect("find_errors", "gap", "identical").compute()
    assert numbers["gap_count"] == 1
    assert numbers["gap_per_mm"] == pytest.approx(1000 / numbers["truth_length_um"])
    assert numbers["gap_per_mm_mean"] == pytest.approx(2 * numbers["gap_per_mm"] / 2)


def test_topological_errors_do_not_cancel_between_stacks() -> None:
    collected = collect("betti_errors", "bridge between trees", "break of one edge")
    assert collected.compute()["error_components"] == 2


@pytest.mark.parametrize("name", CASES)
def test_merging_what_other_processes_sent_is_collecting_everything(name: str) -> None:
    one, two = collect(name, "gap", "spur"), collect(name, "detour")
    one.merge(pickle.loads(pickle.dumps(copy.deepcopy(two))))
    same(one.compute(), collect(name, "gap", "spur", "detour").compute())
    assert len(one) == 3 and len(two) == 1


def test_an_accumulator_merged_with_itself_has_every_stack_twice() -> None:
    collected = collect("tlts", "gap", "spur")
    collected.merge(collected)
    assert len(collected) == 4


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
    assert collected(LINE, LINE)["quality"] == 1
    assert collected(LINE, HALF)["quality"] < 1
    assert collected.results[1].quality == collected(LINE, HALF)["quality_mean"]
    collected.results.pop()
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
    quality = collected.summary(resamples=50)["quality"]
    assert quality.stacks == 1
    # Draws of the second stack alone have no quality, and the others are LINE with or without it.
    assert quality.pooled_low == quality.pooled < quality.pooled_high == quality.mean_high == 1


def test_without_truth_in_any_stack_no_interval_is_known() -> None:
    collected = Accumulator(centreline_quality, tolerance=3.0)
    collected.update(EMPTY, LINE)
    quality = collected.summary(resamples=5)["quality"]
    assert quality.stacks == 0 and np.isnan([quality.pooled_low, quality.mean_high]).all()


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
    estimate = collected.summary(resamples=500)["completeness"]
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
    with pytest.raises(TypeError, match="one metric, got TracingScore with several numbers under"):
        Accumulator(score_tracing, tolerance=3.0).update(LINE, LINE)
    with pytest.raises(ValueError, match="`resamples` must be at least 1"):
        collected.summary(resamples=0)


@dataclass(frozen=True)
class Farthest:
    """A result with a number that is no sum."""

    points: int
    largest: float = field(metadata=pooled_by(maximum))

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
