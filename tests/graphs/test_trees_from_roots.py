"""Trees seen from their roots, against a walk from node to node."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from tests.graphs.drawings import EMPTY, chain, fork, random_forest, seeds
from topodelin.graphs.trees_from_roots import trees_from_roots


def test_a_fork_from_its_trunk_and_from_a_tip() -> None:
    trees = trees_from_roots(fork(), np.array([0]))
    assert trees.nodes.tolist()[:2] == [0, 1] and set(trees.nodes[2:]) == {2, 4}
    assert trees.parents.tolist() == [-1, 0, 1, 1] and trees.tips.tolist() == [2, 2, 1, 1]
    assert dict(zip(trees.nodes.tolist(), trees.depths.tolist(), strict=True)) == {
        0: 0,
        1: 10,
        2: 20,
        4: 30,
    }
    assert trees_from_roots(fork(), np.array([3])).tips.tolist()[0] == 3  # a root amid a line


def test_trees_without_a_root_and_roots_without_a_tree() -> None:
    assert len(trees_from_roots(EMPTY, np.zeros(0, dtype=np.int64))) == 0
    assert len(trees_from_roots(fork(), np.zeros(0, dtype=np.int64))) == 0
    line = chain((0, 0, 0), (0, 0, 5))
    alone = trees_from_roots(line.select(np.array([True, False])), np.array([0]))
    assert alone.tips.tolist() == [0] and alone.below_roots.tolist() == [False]


@given(seed=seeds)
def test_every_row_is_what_a_walk_finds(seed: int) -> None:
    graph = random_forest(seed)
    rng = np.random.default_rng(seed)
    first = [rng.choice(np.flatnonzero(graph.components == tree)) for tree in range(3)]
    roots = rng.permutation(first)[: rng.integers(1, 4)]
    trees = trees_from_roots(graph, roots)
    assert trees.nodes[: len(roots)].tolist() == roots.tolist()
    whole = graph.to_networkx()
    paths = {}
    for root in roots.tolist():
        paths |= nx.single_source_shortest_path(whole, root)
    wanted = {n for n in paths if whole.degree(n) != 2 or n in roots}
    assert set(trees.nodes.tolist()) == wanted and len(trees) == len(wanted)
    row_of = {node: row for row, node in enumerate(trees.nodes.tolist())}
    above = np.zeros((len(trees), len(trees)), dtype=bool)
    for row, node in enumerate(trees.nodes.tolist()):
        path = paths[node]
        up = [row_of[other] for other in path[:-1] if other in row_of]
        above[up, row] = True
        assert roots[trees.tree[row]] == path[0]
        assert trees.parents[row] == (up[-1] if up else -1) and trees.parents[row] < row
        assert trees.depths[row] == pytest.approx(nx.path_weight(whole, path, "length"))
    rows = np.arange(len(trees))
    assert (trees.is_above(rows[:, None], rows) == above).all()
    ends = (graph.degrees[trees.nodes] == 1) & trees.below_roots
    assert trees.tips.tolist() == (above[:, ends].sum(axis=1) + ends).tolist()
    assert trees.sizes.tolist() == (above.sum(axis=1) + 1).tolist()
