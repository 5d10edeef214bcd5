"""Laws that every metric of graphs keeps, each measured as one table of numbers."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings

import topodelin.graphs
from tests.graphs.drawings import EMPTY, betti, random_forest, random_network, ring, rotation, seeds
from tests.graphs.events import EVENTS
from tests.graphs.laws import Law, Numbers, assert_same
from topodelin.graphs import (
    NeuriteGraph,
    apls,
    betti_errors,
    cable_connectivity,
    centreline_quality,
    critical_nodes,
    error_costs,
    expected_run_length,
    find_errors,
    holes_and_marbles,
    joined,
    junction_arms,
    junction_score,
    path_score,
    spatial_distance,
    split_at,
    tlts,
)
from topodelin.graphs.diadem import DiademScore, diadem

DOTS = NeuriteGraph(np.zeros((3, 3)), np.zeros((0, 2), dtype=np.int64))


def costs_of_errors(
    truth: NeuriteGraph, predicted: NeuriteGraph, *, merge_length: float, **lengths: float
) -> Numbers:
    """The cheapest and dearest error and the run lengths before and after all repairs."""
    errors = find_errors(truth, predicted, **lengths)
    found = error_costs(truth, predicted, errors, merge_length=merge_length)
    return {
        "dearest_um": max(found.costs, default=0.0),
        "before_um": found.run_lengths[0],
        "after_um": found.run_lengths[-1],
    }


def diadem_from_far_tips(
    truth: NeuriteGraph, predicted: NeuriteGraph, *, tolerance: float
) -> DiademScore:
    """With roots that do not depend on numbers: of each tree the node farthest from its middle."""
    roots = []
    middles = truth.positions[truth.edges].mean(axis=1)
    for tree in np.unique(truth.components[truth.edges[:, 0]]):
        here = truth.components[truth.edges[:, 0]] == tree
        middle = truth.lengths[here] @ middles[here] / truth.lengths[here].sum()
        nodes = np.flatnonzero(truth.components == tree)
        away = np.linalg.norm(truth.positions[nodes] - middle, axis=1)
        roots.append(int(nodes[np.argmax(away)]))
    return diadem(truth, predicted, tolerance=tolerance, roots=roots)


BOTH = (("truth", "predicted"), ("recall", "precision"))
PATHS = {"tolerance": 3.0, "interval": 7.3, "min_path": 1.0}
FOUND = {"tolerance": 3.0, "step": 0.5, "min_length": 3.0, "slack": 12.0}
KINDS = ("gap", "bridge", "missing_branch", "spurious_branch", "displaced")
LAWS = {
    "apls": Law(
        apls,
        PATHS,
        ones=("apls", "apls_arithmetic", "truth_to_predicted", "predicted_to_truth"),
        swap=BOTH,
    ),
    "betti_errors": Law(
        betti_errors,
        zeros=("error_components", "error_loops"),
        worst={"error_components": 1},
        swap=BOTH,
    ),
    "cable_connectivity": Law(
        cable_connectivity,
        {"tolerance": 3.0, "step": 0.5},
        ones=("connectivity", "connections_kept", "connections_true"),
        zeros=("connections_parted", "connections_lost", "split_bits", "merge_bits"),
        worst={"connections_lost": 1},
    ),
    "centreline_quality": Law(
        centreline_quality,
        {"tolerance": 3.0, "step": 0.5},
        ones=("completeness", "correctness", "quality"),
        zeros=("missed_um", "false_um"),
        swap=(*BOTH, ("completeness", "correctness"), ("missed", "false")),
    ),
    "critical_nodes": Law(
        critical_nodes,
        {"tolerance": 3.0},
        ones=("critical_f1", "critical_precision", "critical_recall"),
        swap=BOTH,
    ),
    "diadem": Law(diadem_from_far_tips, {"tolerance": 3.0}, ones=("diadem",), forests=True),
    "error_costs": Law(
        costs_of_errors,
        FOUND | {"merge_length": 12.0},
        zeros=("dearest_um",),
        worst={"before_um": 0},
        undefined=("before_um",),
    ),
    "expected_run_length": Law(
        expected_run_length,
        {"tolerance": 3.0, "step": 0.5, "merge_length": 12.0},
        ones=("normalised_run_length", "edge_accuracy"),
        zeros=("splits", "mergers", "split_um", "merged_um", "omitted_um"),
    ),
    "find_errors": Law(
        find_errors,
        FOUND,
        zeros=tuple(f"{kind}_{what}" for kind in KINDS for what in ("count", "um", "per_mm")),
        worst={"missing_branch_count": 1},
        undefined=tuple(f"{kind}_per_mm" for kind in KINDS),
    ),
    "holes_and_marbles": Law(
        holes_and_marbles,
        {"tolerance": 3.0, "radius": 30.0, "interval": 1.0},
        {"starts": 20},
        ones=("holes_marbles_f1", "holes_marbles_precision", "holes_marbles_recall"),
    ),
    "junction_arms": Law(
        junction_arms,
        {"tolerance": 3.0, "arm_length": 3.0, "cluster_radius": 1.0},
        ones=("junct_correct",),
        zeros=("junct_error",),
        worst={"junct_error": np.nan},
    ),
    "junction_score": Law(
        junction_score,
        {"tolerance": 3.0, "degree_cost": 100.0, "existing": 1.0},
        ones=("opt_j_f1", "opt_j_precision", "opt_j_recall"),
        # not symmetric: the truth chooses its partners first, the tracing has what is left
    ),
    "path_score": Law(
        path_score,
        {"tolerance": 3.0, "slack": 6.0, "step": 1.0},
        {"repeats": 4},
        ones=("opt_p_f1", "opt_p_precision", "opt_p_recall"),
        swap=BOTH,
    ),
    "spatial_distance": Law(
        spatial_distance,
        {"threshold": 2.0, "interval": 0.5},
        zeros=("esa_um", "dsa_um", "pds", "hausdorff_um"),
        worst={"pds": 1, "esa_um": np.nan, "dsa_um": np.nan, "hausdorff_um": np.nan},  # infinite
        undefined=("esa_um", "dsa_um", "pds", "hausdorff_um"),
        swap=BOTH,
    ),
    "tlts": Law(
        tlts,
        PATHS,
        {"slack": 0.05},
        ones=("tlts_correct", "tlts_predicted_correct"),
        zeros=("tlts_too_long", "tlts_too_short", "tlts_infeasible"),
        # of the paths of a tracing that is not there none is right and none is wrong
        worst={"tlts_infeasible": 1, "tlts_predicted_correct": np.nan},
    ),
}


def moved(graph: NeuriteGraph, seed: int, unit: float = 1.0) -> NeuriteGraph:
    """The same graph in another unit, place and order, with the edges in other directions."""
    rng = np.random.default_rng(seed)
    order, edges = rng.permutation(len(graph)), rng.permutation(len(graph.edges))
    place = np.argsort(order)
    turned = rng.permuted(place[graph.edges[edges]], axis=1)
    positions = graph.positions[order] @ rotation(seed).T + [3.0, -40.0, 20.0]
    return NeuriteGraph(unit * positions, turned)


def traced(graph: NeuriteGraph, seed: int) -> NeuriteGraph:
    """The graph with some edges lost, all nodes displaced and a few edges too many."""
    rng = np.random.default_rng(seed)
    kept = graph.edges[rng.random(len(graph.edges)) > 0.1]
    return joined(
        [
            NeuriteGraph(graph.positions + rng.normal(0, 0.3, graph.positions.shape), kept),
            random_forest(seed + 1, 4, 1),
        ]
    )


def rolled(graph: NeuriteGraph, by: int) -> NeuriteGraph:
    """The same graph, its nodes counted from another on."""
    edges = (graph.edges + by) % len(graph)
    return NeuriteGraph(np.roll(graph.positions, by, axis=0), edges)


def halved(graph: NeuriteGraph) -> NeuriteGraph:
    """The same graph with a node more in the middle of each edge."""
    count = len(graph.edges)
    return split_at(graph, np.arange(count), np.full(count, 0.5)).graph


def in_unit(numbers: Numbers, unit: float) -> Numbers:
    """The numbers in another unit of length, by the ends of their names."""
    powers = {"_um": 1, "_um2": 2, "_per_mm": -1}
    return {
        key: value * unit ** sum(power for end, power in powers.items() if key.endswith(end))
        for key, value in numbers.items()
    }


def random_truth(law: Law, seed: int) -> NeuriteGraph:
    """A random graph that the metric takes."""
    return random_forest(seed, 16) if law.forests else random_network(seed, 16)


def test_every_metric_of_graphs_is_under_the_law() -> None:
    public = [getattr(topodelin.graphs, name) for name in topodelin.graphs.__all__]
    metrics = {
        metric.__name__
        for metric in public
        if inspect.isfunction(metric)
        and list(inspect.signature(metric).parameters)[:2] == ["truth", "predicted"]
        and "NeuriteGraph" in str(inspect.signature(metric).parameters["truth"].annotation)
    }
    assert metrics - {"score_tracing", "comparison_doubts"} <= set(LAWS)  # made of the others


@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=5)
@given(seed=seeds)
def test_a_tracing_like_the_truth_gets_the_best(name: str, seed: int) -> None:
    law = LAWS[name]
    for graph in (random_truth(law, seed), random_forest(seed, 16), EVENTS["gap"].predicted):
        numbers = law(graph, graph)
        assert {key: numbers[key] for key in law.ones} == pytest.approx(dict.fromkeys(law.ones, 1))
        zeros = {key: numbers[key] for key in law.zeros}
        assert zeros == pytest.approx(dict.fromkeys(law.zeros, 0), abs=1e-6)


@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=5)
@given(seed=seeds)
def test_numbering_motion_and_scale_change_nothing(name: str, seed: int) -> None:
    law, unit = LAWS[name], 4.0
    truth = random_truth(law, seed)
    predicted = traced(truth, seed)
    again = law(moved(truth, seed, unit), moved(predicted, seed, unit), unit)
    assert_same(again, in_unit(law(truth, predicted), unit))


LOOPS = [name for name, law in LAWS.items() if not law.forests]


@pytest.mark.parametrize("name", LOOPS)
def test_it_plays_no_role_where_a_closed_loop_begins(name: str) -> None:
    law, rng = LAWS[name], np.random.default_rng(0)
    truth, loop = ring(11, 20.0), ring(14, 20.0)
    predicted = NeuriteGraph(loop.positions + rng.normal(0, 0.9, loop.positions.shape), loop.edges)
    assert_same(law(rolled(truth, 4), rolled(predicted, 3)), law(truth, predicted))


EVENTS_TAKEN = [
    (name, event)
    for name, law in LAWS.items()
    for event, graphs in EVENTS.items()
    if not law.forests or not betti(graphs.truth)[1] + betti(graphs.predicted)[1]
]


@pytest.mark.parametrize(
    ("name", "event"), [pair for pair in EVENTS_TAKEN if pair[0] != "spatial_distance"]
)
def test_cutting_edges_changes_nothing(name: str, event: str) -> None:
    law, truth = LAWS[name], EVENTS[event].truth
    predicted = EVENTS[event].predicted
    assert_same(law(halved(truth), halved(predicted)), law(truth, predicted))


@pytest.mark.parametrize("event", EVENTS)
def test_spatial_distance_counts_both_ends_of_an_edge_and_so_depends_on_cuts(event: str) -> None:
    law = Law(spatial_distance, {"threshold": 2.0, "interval": 0.05})
    truth, predicted = EVENTS[event].truth, EVENTS[event].predicted
    one, two = law(truth, predicted), law(halved(truth), halved(predicted))
    for key in ("esa_um", "pds", "dsa_um"):
        assert two[key] == pytest.approx(one[key], rel=0.03, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize("name", [name for name, law in LAWS.items() if law.swap])
@settings(max_examples=5)
@given(seed=seeds)
def test_swapping_the_graphs_swaps_what_belongs_to_either(name: str, seed: int) -> None:
    law, truth = LAWS[name], random_truth(LAWS[name], seed)
    predicted = traced(truth, seed)
    assert_same(law(predicted, truth), law.swapped(law(truth, predicted)))


@settings(max_examples=5)
@given(seed=seeds)
def test_shares_of_paths_add_up_to_one(seed: int) -> None:
    truth = random_network(seed, 16)
    numbers = LAWS["tlts"](truth, traced(truth, seed))
    shares = [
        numbers[f"tlts_{kind}"] for kind in ("correct", "too_long", "too_short", "infeasible")
    ]
    assert sum(shares) == pytest.approx(1)
    back = [value for key, value in numbers.items() if key.startswith("tlts_predicted_")]
    assert sum(back[:4]) == pytest.approx(1)


@pytest.mark.parametrize("name", LAWS)
def test_without_truth_and_tracing_nothing_is_defined(name: str) -> None:
    law = LAWS[name]
    for empty in (EMPTY, DOTS):
        numbers = law(empty, empty)
        assert all(np.isnan(numbers[key]) for key in law.ones + law.undefined), numbers


@pytest.mark.parametrize("name", LAWS)
def test_without_a_tracing_all_is_worst(name: str) -> None:
    law, event = LAWS[name], EVENTS["nothing"]
    for empty in (EMPTY, DOTS):
        numbers = law(event.truth, empty)
        worst = dict.fromkeys(law.ones, 0.0) | law.worst
        assert {key: numbers[key] for key in worst} == pytest.approx(worst, nan_ok=True)


@pytest.mark.parametrize("name", LAWS)
def test_without_truth_nothing_is_good(name: str) -> None:
    law, event = LAWS[name], EVENTS["nothing"]
    for empty in (EMPTY, DOTS):
        numbers = law(empty, event.truth)
        assert all(np.isnan(numbers[key]) or numbers[key] == 0 for key in law.ones)
