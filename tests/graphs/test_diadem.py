"""DIADEM score: by hand, by law, against a slow walk, against reference numbers."""

import json
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import linear_sum_assignment

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, ring, rotation, seeds
from tests.graphs.events import EVENTS, TOLERANCE, draw
from tests.graphs.test_centreline_quality import moved_a_little, split_edges
from tests.graphs.test_nearest import slow_distances
from tests.shared_files import needs_shared, shared
from topodelin.graphs import NeuriteGraph, joined, read_swc, spanning_forest
from topodelin.graphs.diadem import DiademScore, diadem

TREE = """
+-----------+------------+
            |
            |
            +------+-----+
                   |
                   |
                   +-----+
"""


def judged(truth: str, predicted: str, tolerance: float = TOLERANCE) -> DiademScore:
    return diadem(draw(truth), draw(predicted), tolerance=tolerance)


def weights(found: DiademScore) -> tuple[int, int, int]:
    return found.matched_weight, found.truth_weight, found.excess_weight


def test_a_junction_weighs_as_many_endpoints_as_hang_on_it() -> None:
    found = judged(TREE, TREE)
    assert weights(found) == (8, 8, 0)  # junctions of 3 and 2, and three endpoints
    assert (found.truth, found.matched, found.continued, found.excess) == (5, 5, 0, 0)
    assert found.score == 1 and (found.trees, found.found_trees) == (1, 1)


def test_a_gap_near_the_root_costs_more_than_one_at_an_end() -> None:
    near_root = judged(TREE, TREE.replace("+-----------+-", "+-----><----+-"))
    near_end = judged(TREE, TREE.replace("+------+-----+", "+------+-><--+"))
    assert weights(near_root) == (0, 8, 0) and weights(near_end) == (7, 8, 0)


def test_a_junction_whose_branch_is_missed_is_passed_and_counts() -> None:
    found = judged(TREE, TREE.replace("+-----------+------------+", "+-----------+"))
    assert (found.matched, found.continued) == (3, 1) and weights(found) == (7, 8, 0)


def test_a_detour_below_a_junction_costs_that_junction_and_not_what_hangs_on_it() -> None:
    detour = """
+-----------+------------+
       +----+
       |
       +----+------+-----+
                   |
                   |
                   +-----+
"""
    found = judged(TREE, detour)
    assert weights(found) == (6, 8, 0) and found.matched == 4
    long_way = diadem(draw(TREE), draw(detour), tolerance=TOLERANCE, path_error=2.0)
    assert long_way.score == 1


def test_a_spur_is_excess_with_all_its_ends_and_not_the_line_that_it_leaves() -> None:
    spur = TREE.replace("+-----------+--", "+---+-------+--").replace(
        "\n            |\n            |\n",
        "\n    |       |\n +--+--+    |\n",
        1,
    )
    found = judged(TREE, spur)
    assert (found.excess, found.excess_weight) == (3, 4)  # its fork of two, and two endpoints
    assert found.score == 8 / 12


def test_of_two_trees_joined_the_lighter_is_lost_and_is_excess() -> None:
    truth = joined([chain((0, 9, 9), (0, 0, 50)), NeuriteGraph(fork().positions * 3, fork().edges)])
    bridge = NeuriteGraph(truth.positions, np.concatenate([truth.edges, [(1, 4)]]))
    found = diadem(truth, bridge, tolerance=2.0)
    assert (found.trees, found.found_trees) == (2, 1)
    # Where the two are joined there is no endpoint any more; of the lost tree one is left.
    assert weights(found) == (3, 5, 1) and (found.matched, found.excess) == (2, 1)


def test_the_end_of_one_tree_beside_the_line_of_another_is_excess() -> None:
    truth = joined([chain((0, 0, 0), (0, 0, 50)), chain((0, 20, 0), (0, 20, 50))])
    positions = np.array([(0, 0, 0), (0, 0, 25), (0, 0, 50), (0, 20, 25)], float)
    stray = NeuriteGraph(positions, np.array([(0, 1), (1, 2), (1, 3)]))
    found = diadem(truth, joined([stray, chain((0, 21, 0), (0, 21, 50))]), tolerance=2.0)
    assert weights(found) == (2, 2, 1)


def test_a_cut_end_beside_its_own_line_is_not_excess_even_if_another_tree_is_nearer() -> None:
    truth = joined([chain((0, 0, 0), (0, 0, 50)), chain((0, 2, 0), (0, 2, 50))])
    cut = joined([chain((0, 1, 0), (0, 1.2, 25)), chain((0, 3, 0), (0, 2, 50))])
    found = diadem(truth, cut, tolerance=2.0)
    assert found.found_trees == 2 and found.excess == 0 and found.matched == 1


def test_trees_that_start_at_one_place_are_each_compared_with_their_own() -> None:
    ends = [(0.0, 0.0, 50.0), (0.0, 50.0, 0.0), (50.0, 0.0, 0.0)]
    truth = joined([chain((0, 0, 0), end) for end in ends])
    turned = joined([chain((0, 0, 0), end) for end in ends[::-1]])
    assert diadem(truth, turned, tolerance=2.0).score == 1


def test_a_root_amid_a_long_edge_is_found() -> None:
    truth = chain((0, 0, 0), (0, 0, 40), (0, 0, 100))
    found = diadem(truth, chain((0, 1, 0), (0, 1, 100)), tolerance=2.0, roots=[1])
    assert weights(found) == (2, 2, 0)


def test_without_its_root_a_tree_is_lost() -> None:
    found = diadem(fork(), chain((0, 0, 10), (0, 0, 20)), tolerance=2.0)
    assert found.found_trees == 0 and weights(found) == (0, 3 + 1, 0)


def test_along_z_another_tolerance_may_hold() -> None:
    truth = chain((0, 0, 0), (0, 0, 100))
    deeper = chain((3, 0, 0), (3, 0, 100))
    assert diadem(truth, deeper, tolerance=2.0).score == 0
    found = diadem(truth, deeper, tolerance=2.0, z_tolerance=3.0)
    assert found.score == 1 and found.as_dict()["z_tolerance_um"] == 3
    deepest = chain((3.5, 0, 0), (3.5, 0, 100))  # within neither, and no farther than their sum
    assert diadem(truth, deepest, tolerance=2.0, z_tolerance=3.0).score == 0
    beside = chain((0, 3, 0), (0, 3, 100))
    assert diadem(truth, beside, tolerance=2.0, z_tolerance=3.0).score == 0


def test_no_truth_is_undefined_and_no_prediction_is_the_worst() -> None:
    found = diadem(fork(), EMPTY, tolerance=1.0)
    assert found.score == 0 and (found.trees, found.found_trees) == (1, 0)
    dots = NeuriteGraph(np.zeros((2, 3)), np.zeros((0, 2), dtype=np.int64))
    assert diadem(fork(), dots, tolerance=1.0).score == 0
    for truth in (EMPTY, dots):
        for predicted in (EMPTY, dots, fork()):
            found = diadem(truth, predicted, tolerance=1.0)
            assert math.isnan(found.score)
            assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["diadem"] is None


def test_cycles_and_wrong_parameters_are_answered_in_one_line() -> None:
    with pytest.raises(ValueError, match="`predicted` must be a forest, got 1 cycles; `spanning_f"):
        diadem(fork(), ring(), tolerance=1.0)
    with pytest.raises(ValueError, match="`truth` must be a forest"):
        diadem(EVENTS["ring"].truth, fork(), tolerance=1.0)
    with pytest.raises(ValueError, match="`tolerance` must be a positive number"):
        diadem(fork(), fork(), tolerance=0)
    with pytest.raises(ValueError, match="`z_tolerance` must be a positive number"):
        diadem(fork(), fork(), tolerance=1, z_tolerance=0)
    with pytest.raises(ValueError, match="`path_error` must be a finite number from 0 up"):
        diadem(fork(), fork(), tolerance=1, path_error=-1)
    with pytest.raises(ValueError, match="`roots` must be nodes of the 5 of `truth`"):
        diadem(fork(), fork(), tolerance=1, roots=[5])
    with pytest.raises(ValueError, match="`roots` must lie in different trees"):
        diadem(fork(), fork(), tolerance=1, roots=[0, 2])


@settings(max_examples=50)
@given(seed=seeds)
def test_numbering_nodes_on_the_lines_motion_and_scale_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = random_forest(seed)
    predicted = moved_a_little(truth, seed, 0.3)
    predicted = NeuriteGraph(predicted.positions, truth.edges[rng.random(len(truth.edges)) > 0.05])
    roots = [int(rng.choice(np.flatnonzero(truth.components == tree))) for tree in range(3)]
    found = diadem(truth, predicted, tolerance=2.0, roots=roots)
    assert 0 <= found.score <= 1
    new = rng.permutation(len(truth))
    positions = np.empty_like(truth.positions)
    positions[new] = truth.positions
    numbered = split_edges(NeuriteGraph(positions, new[truth.edges][::-1]))
    turn, shift = rotation(seed), rng.normal(0, 9, 3)
    moved = [
        NeuriteGraph(2 * (graph.positions @ turn.T + shift), graph.edges)
        for graph in (numbered, split_edges(predicted))
    ]
    again = diadem(*moved, tolerance=4.0, roots=new[roots])
    assert weights(again) == weights(found)
    assert (again.matched, again.continued) == (found.matched, found.continued)
    same = diadem(truth, truth, tolerance=2.0, roots=roots)
    assert same.score == 1 and same.matched == same.truth and same.continued == 0


@settings(max_examples=40)
@given(seed=seeds)
def test_a_longer_gap_is_never_better(seed: int) -> None:
    truth = random_forest(seed)
    line = nx.shortest_path(truth.to_networkx(), *_ends_of_the_longest_way(truth))
    edges = {frozenset(pair): row for row, pair in enumerate(truth.edges.tolist())}
    rows = [edges[frozenset(pair)] for pair in zip(line[:-1], line[1:], strict=True)]
    start = seed % len(rows)
    scores = []
    for size in range(len(rows)):
        gap = rows[max(0, start - size // 2) : start + (size + 1) // 2]
        cut = NeuriteGraph(truth.positions, np.delete(truth.edges, gap, axis=0))
        scores.append(diadem(truth, cut, tolerance=0.1, roots=[line[0]]).score)
    assert scores[0] == 1 and scores == sorted(scores, reverse=True)


def _ends_of_the_longest_way(graph: NeuriteGraph) -> tuple[int, int]:
    ways = dict(nx.all_pairs_dijkstra_path_length(graph.to_networkx(), weight="length"))
    _, start, end = max((way, a, b) for a, row in ways.items() for b, way in row.items())
    return start, end


def slow_weights(truth: NeuriteGraph, predicted: NeuriteGraph, root: int) -> tuple[int, int, int]:
    """The definition, node by node; `root` is at the same place in both."""
    trees, near = [], 1.5
    for graph in (truth, predicted):
        whole = graph.to_networkx()
        paths = nx.single_source_shortest_path(whole, root)
        kept = {n for n in paths if whole.degree(n) != 2 and n != root}
        up = {n: [m for m in paths[n][-2::-1] if m in kept or m == root] for n in kept}
        ends = {n for n in kept if whole.degree(n) == 1}
        weight = {n: sum(n == end or n in up[end] for end in ends) for n in kept}
        depth = nx.single_source_dijkstra_path_length(whole, root, weight="length")
        trees.append((up, ends, weight, depth))
    (up, ends, weight, depth), (there_up, there_ends, there_weight, there_depth) = trees
    close = {(root, root)} | {
        (g, t)
        for g in up
        for t in there_up
        if np.linalg.norm(truth.positions[g] - predicted.positions[t]) <= near
    }
    tops = {}
    for g, t in close - {(root, root)}:
        for top in up[g]:
            others = [b for b in there_up[t] if (top, b) in close]
            if others:
                way = depth[g] - depth[top]
                error = min(abs(there_depth[t] - there_depth[b] - way) for b in others)
                if error <= 0.05 * way:
                    tops[g, t] = top
                break
    rows, columns = sorted(up), sorted(there_up)
    costs = np.full((len(rows), len(columns)), 1000.0)
    for g, t in tops:
        distance = np.linalg.norm(truth.positions[g] - predicted.positions[t])
        costs[rows.index(g), columns.index(t)] = distance
    chosen = [
        (rows[i], columns[j])
        for i, j in zip(*linear_sum_assignment(costs), strict=True)
        if costs[i, j] < 1000
    ]
    matched = {g for g, _ in chosen}
    for g, t in chosen:
        matched |= set(up[g][: up[g].index(tops[g, t])])
    own = truth.select(truth.components == truth.components[root])
    partners = {t for _, t in chosen}
    far = {
        t
        for t in there_ends - partners
        if slow_distances(predicted.positions[[t]], own).min() > near
    }
    excess = {
        t
        for t in set(there_up) - partners
        if all(end in far for end in there_ends if end == t or t in there_up[end])
    }
    return (
        sum(weight[g] for g in matched),
        sum(weight.values()),
        sum(there_weight[t] for t in excess),
    )


@settings(max_examples=60)
@given(seed=seeds)
def test_the_score_is_that_of_a_walk_from_node_to_node(seed: int) -> None:
    rng = np.random.default_rng([seed, 1])  # not the numbers that the forest is made of
    truth = random_forest(seed, trees=1)
    root = int(rng.choice(np.flatnonzero(truth.degrees == 1)))
    noise = rng.normal(0, rng.choice([0.02, 0.2]), truth.positions.shape)
    noise[root] = 0
    lost = (rng.random(len(truth.edges)) < 0.05) & (truth.edges != root).all(axis=1)
    spurs = rng.choice(np.delete(np.arange(len(truth)), root), 3)
    predicted = NeuriteGraph(
        np.concatenate(
            [truth.positions + noise, truth.positions[spurs] + rng.normal(0, 3, (3, 3))]
        ),
        np.concatenate([truth.edges[~lost], np.stack([spurs, len(truth) + np.arange(3)], axis=1)]),
    )
    found = diadem(truth, predicted, tolerance=1.5, roots=[root])
    assert weights(found) == slow_weights(truth, predicted, root)


@needs_shared
def test_reference_numbers_are_met_but_in_the_cases_named() -> None:
    folder = shared("goldens", "metrics")
    cases = json.loads((folder / "expected" / "pyneval.json").read_text())["values"]
    for case, values in cases.items():
        expected, base = values["diadem"], case.split("/")[0]
        truth = read_swc(folder / "swc" / base / "gt.swc")
        predicted = read_swc(folder / "swc" / f"{case}.swc")
        found = diadem(truth, predicted, tolerance=2.0, z_tolerance=1.0)
        if case in ELSEWHERE:
            assert weights(found) == ELSEWHERE[case], case
        else:
            assert found.score == pytest.approx(expected["diadem_score"], abs=1e-6), case
    assert len(cases) == 54 and len(ELSEWHERE) == 12


# Where the port of the published program gives another number, and what is right by the definition.
ELSEWHERE = {
    # Moved by exactly the tolerance, which here counts as near: the port finds no root and gives 0.
    "forest2d/shift2": (3, 3, 0),
    "forest3d/shift2": (3, 3, 0),
    "neuron3d/shift2": (34, 34, 0),
    "tree2d/shift2": (17, 17, 0),
    # All is matched, and yet the port finds one endpoint too many.
    "forest2d/jitter": (3, 3, 0),
    "tree2d/jitter": (17, 17, 0),
    # The root is missing from the tracing. The port looks for another one.
    "forest2d/combo": (1, 3, 0),
    "tree2d/combo": (0, 17, 0),
    "tree2d/missing_branch": (0, 17, 0),
    # Moved nodes make ways longer by more than 5 %. The port gives 23 and 14; it has thresholds for
    # the plane and for z apart, and may compare ways so.
    "neuron3d/jitter": (5, 34, 0),
    "neuron3d/combo": (7, 34, 1),
    # The port fails.
    "tree2d/spurious_branch": (17, 17, 1),
}


def test_cycles_can_be_cut_first() -> None:
    event = EVENTS["bridge within a tree"]
    cut = spanning_forest(event.predicted)
    assert diadem(event.truth, cut, tolerance=TOLERANCE).excess_weight == 1
