"""Sizes and shapes of trees: by hand, against a walk that follows the definitions, and by law."""

from dataclasses import replace
from math import hypot, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, ring, rotation, seeds
from topodelin.graphs import Morphometry, NeuriteGraph, joined, morphometry, split_long_edges
from topodelin.graphs.morphometry import total


def only(graph: NeuriteGraph, root: int = 0) -> Morphometry:
    (found,) = morphometry(graph, roots=[root])
    return found


def test_a_fork_by_hand() -> None:
    found = only(fork())
    assert (found.trees, found.nodes, found.tips, found.junctions) == (1, 5, 2, 1)
    assert (found.branches, found.stems, found.strahler) == (3, 1, 2)
    assert found.length == 40 and found.max_path == 30
    assert found.max_radial == pytest.approx(sqrt(500)) and found.extent == (0, 10, 20)
    assert found.tortuosity == pytest.approx((1 + 1 + 20 / hypot(10, 10)) / 3)
    assert found.partition_asymmetry == 0 and found.mean_branch == pytest.approx(40 / 3)
    assert found.as_dict()["mean_radius_um"] is None and found.as_dict()["surface_um2"] is None


def test_a_root_within_a_branch_cuts_it_and_a_root_at_an_end_is_no_tip() -> None:
    line = chain((0, 0, 0), (0, 0, 10), (0, 0, 30))
    end, middle = only(line), only(line, 1)
    assert (end.branches, end.tips, end.stems, end.max_path) == (1, 1, 1, 30)
    assert (middle.branches, middle.tips, middle.stems, middle.max_path) == (2, 2, 2, 20)
    assert (end.strahler, middle.strahler) == (1, 2) and end.length == middle.length == 30


def test_a_comb_is_as_lopsided_as_can_be_and_of_order_two() -> None:
    # 0 - 1 - 2 - 3 with teeth 4, 5 at 1, 2: below 1 are 1 + 2 tips, below 2 are 1 + 1.
    places = [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 3), (0, 1, 1), (0, 1, 2)]
    graph = NeuriteGraph(np.array(places), np.array([(0, 1), (1, 2), (2, 3), (1, 4), (2, 5)]))
    found = only(graph)
    assert (found.strahler, found.bifurcations) == (2, 2)
    assert found.partition_asymmetry == pytest.approx((1 + 0) / 2)


def test_a_cone_and_a_cylinder_have_the_surface_and_the_volume_of_the_schoolbook() -> None:
    line = chain((0, 0, 0), (0, 0, 4), (0, 0, 9), (0, 0, 10))
    found = only(replace(line, radii=np.array([3.0, 0.0, 0.0, np.nan])))
    cylinder = only(replace(line, radii=np.full(4, 2.0)))
    assert found.surface == pytest.approx(pi * 3 * 5) and found.volume == pytest.approx(
        pi * 9 * 4 / 3
    )
    assert found.known_share == pytest.approx(0.9) and found.mean_radius == pytest.approx(6 / 9)
    assert cylinder.surface == pytest.approx(2 * pi * 2 * 10)
    assert cylinder.volume == pytest.approx(pi * 4 * 10) and cylinder.mean_radius == 2


def test_trees_come_in_the_order_of_their_lowest_nodes_each_from_its_own_root() -> None:
    graph = joined([chain((0, 0, 0), (0, 0, 5)), fork(), chain((9, 9, 9))])
    sizes = morphometry(graph, roots=[6])
    assert [size.nodes for size in sizes] == [2, 5, 1]
    assert [size.max_path for size in sizes] == [5, 30, 0] and sizes[1].tips == 2
    lone = sizes[2]
    assert (lone.strahler, lone.tips, lone.branches, lone.extent) == (1, 0, 0, (0, 0, 0))
    assert np.isnan([lone.tortuosity, lone.mean_branch, lone.partition_asymmetry]).all()


def test_all_together_are_sums_the_greatest_and_one_box() -> None:
    far = fork()
    far = NeuriteGraph(far.positions + (100, 0, 0), far.edges, np.ones(5))
    whole = total(morphometry(joined([fork(), far])))
    assert (whole.trees, whole.nodes, whole.length, whole.strahler) == (2, 10, 80, 2)
    assert whole.extent == (100, 10, 20) and whole.known_share == pytest.approx(0.5)
    assert whole.tortuosity == pytest.approx(only(fork()).tortuosity)
    assert morphometry(EMPTY) == () and total([]).as_dict()["extent_z_um"] is None


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a forest, got 1 edges that close a cycle"):
        morphometry(ring())
    with pytest.raises(ValueError, match="`roots` must lie in different trees, got 0 and 3"):
        morphometry(fork(), roots=[0, 3])


def walked(graph: NeuriteGraph, root: int) -> dict[str, float]:
    """The definitions, followed from node to node."""
    near: dict[int, list[int]] = {}
    for a, b in graph.edges.tolist():
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    at, branches, asymmetries, ways = graph.positions, [], [], []

    def visit(node: int, above: int, way: float, top: int, since: float) -> tuple[int, int]:
        """Strahler order and tips below; `top` and `since` are of the branch so far."""
        below = [other for other in near.get(node, []) if other != above]
        ways.append(way)
        ends = len(below) != 1 and above >= 0
        if ends:
            branches.append((since, float(np.linalg.norm(at[node] - at[top]))))
        if ends or above < 0:
            top, since = node, 0.0
        parts = []
        for other in below:
            step = float(np.linalg.norm(at[other] - at[node]))
            parts.append(visit(other, node, way + step, top, since + step))
        if not below:
            return 1, int(above >= 0)
        tips = sum(count for _, count in parts)
        if len(parts) == 2 and above >= 0:
            difference = abs(parts[0][1] - parts[1][1])
            asymmetries.append(difference / (tips - 2) if tips > 2 else 0.0)
        orders = sorted((order for order, _ in parts), reverse=True)
        return orders[0] + (orders[:2] == [orders[0]] * 2), tips

    order, tips = visit(root, -1, 0.0, root, 0.0)
    return {
        "strahler_order": order,
        "tips": tips,
        "branches": len(branches),
        "stems": len(near.get(root, [])),
        "max_path_distance_um": max(ways),
        "tortuosity": float(np.mean([way / chord for way, chord in branches])),
        "partition_asymmetry": float(np.mean(asymmetries)) if asymmetries else np.nan,
    }


@settings(max_examples=25)
@given(seed=seeds)
def test_every_number_is_that_of_a_walk_from_the_root(seed: int) -> None:
    graph = random_forest(seed, count=30, trees=1)
    root = seed % 30
    found = only(graph, root).as_dict()
    for name, value in walked(graph, root).items():
        got = found[name]
        assert (np.nan if got is None else got) == pytest.approx(value, nan_ok=True), name


@settings(max_examples=10)
@given(seed=seeds)
def test_moving_turning_and_cutting_edges_changes_no_shape(seed: int) -> None:
    graph = random_forest(seed)
    turned = replace(graph, positions=graph.positions @ rotation(seed).T + 7.0)
    finer = split_long_edges(graph, 1.0).graph
    keep = (
        "length_um tips junctions branches strahler_order max_path_distance_um tortuosity".split()
    )
    keep += ["partition_asymmetry", "surface_um2", "volume_um3", "max_radial_distance_um"]
    one, two, three = (total(morphometry(g)).as_dict() for g in (graph, turned, finer))
    assert {name: two[name] for name in keep} == pytest.approx({name: one[name] for name in keep})
    for name in keep[:8]:
        assert three[name] == pytest.approx(one[name]), name
