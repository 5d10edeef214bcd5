"""Trees: without cycles, pruned, rooted."""

import numpy as np
import pytest

from topodelin.delineation.tracing.stitching import SkeletonGraph
from topodelin.delineation.tracing.trees import TreeRule, grow_trees

UNIT = (1.0, 1.0, 1.0)
RAW = TreeRule(min_branch_um=0, min_tree_um=0, smooth_um=0)
NOWHERE = np.zeros((0, 3))


def skeleton(paths: list[list[tuple[int, int, int]]], distances: dict | None = None):
    """Voxels along paths; distance 0 unless told."""
    voxels = sorted({voxel for path in paths for voxel in path})
    number = {voxel: index for index, voxel in enumerate(voxels)}
    edges = {
        tuple(sorted((number[a], number[b])))
        for path in paths
        for a, b in zip(path[:-1], path[1:], strict=True)
    }
    values = [(distances or {}).get(voxel, 0.0) for voxel in voxels]
    return SkeletonGraph(
        np.array(voxels), np.array(values, np.float32), np.array(sorted(edges), np.int64)
    )


def line(length: int, y: int = 0) -> list[tuple[int, int, int]]:
    return [(0, y, x) for x in range(length)]


def test_trees_come_longest_first() -> None:
    trees = grow_trees(skeleton([line(20), line(40, y=9)]), UNIT, NOWHERE, RAW)
    assert [tree.graph.length for tree in trees] == [39, 19]
    assert [tree.holds_seed for tree in trees] == [False, False]


def test_a_tree_is_rooted_at_the_node_nearest_to_a_seed() -> None:
    seeds = np.array([[0.0, 2.0, 17.2]])
    near, far = grow_trees(skeleton([line(40), line(30, y=30)]), UNIT, seeds, RAW)
    assert near.holds_seed
    assert near.graph.positions[near.root].tolist() == [0, 0, 17]
    assert not far.holds_seed
    assert far.graph.degrees[far.root] == 1


def test_without_a_seed_the_root_is_an_end_of_the_longest_path() -> None:
    fork = [line(30), [(0, y, 20) for y in range(6)]]
    (tree,) = grow_trees(skeleton(fork), UNIT, NOWHERE, RAW)
    assert tree.graph.positions[tree.root].tolist() in [[0, 0, 0], [0, 0, 29]]
    assert tree.branches == 3


def test_a_cycle_is_cut_where_the_distance_is_largest() -> None:
    ring = [(0, 0, x) for x in range(9)] + [(0, y, 8) for y in range(1, 9)]
    ring += [(0, 8, x) for x in range(7, -1, -1)] + [(0, y, 0) for y in range(7, -1, -1)]
    (tree,) = grow_trees(skeleton([ring], {(0, 8, 4): 1.5}), UNIT, NOWHERE, RAW)
    assert len(tree.graph.edges) == len(tree.graph) - 1
    ends = tree.graph.positions[tree.graph.degrees == 1]
    assert [0, 8, 4] in ends.tolist()


def test_short_branches_and_short_trees_go_and_the_rest_stays_whole() -> None:
    drawing = [line(30), [(0, y, 15) for y in range(4)], line(5, y=20)]
    rule = TreeRule(min_branch_um=5, min_tree_um=10, smooth_um=0)
    (tree,) = grow_trees(skeleton(drawing), UNIT, NOWHERE, rule)
    assert tree.graph.length == 29
    assert tree.branches == 1


def test_lengths_are_those_of_the_spacing() -> None:
    (tree,) = grow_trees(skeleton([line(11)]), (1.0, 1.0, 0.5), NOWHERE, RAW)
    assert tree.graph.length == pytest.approx(5)


def test_no_voxels_give_no_trees() -> None:
    empty = SkeletonGraph(np.zeros((0, 3), int), np.zeros(0, np.float32), np.zeros((0, 2), int))
    assert grow_trees(empty, UNIT, NOWHERE, TreeRule()) == []


def test_a_rule_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="`min_tree_um` must be 0 µm or more"):
        TreeRule(min_tree_um=-1)
    with pytest.raises(ValueError, match="`smooth_um` must be 0 µm or more, got -1"):
        TreeRule(smooth_um=-1)
    with pytest.raises(ValueError, match="`min_confidence` must lie between 0 and 1, got 2"):
        TreeRule(min_confidence=2)
    with pytest.raises(ValueError, match="`radius` must be one of"):
        TreeRule(radius="guess")
