"""Spanning trees and merge trees of many graphs at once, against one edge after the other."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from topodelin.losses.kernels.boruvka import spanning_trees
from topodelin.losses.kernels.merge_tree import NO_EDGE, merge_trees


def random_graphs(rng: np.random.Generator, graphs: int, each: int) -> np.ndarray:
    """Connected graphs as edges (graphs, n, 2), best first."""
    trees = [[(int(rng.integers(i)), i) for i in range(1, each)] for _ in range(graphs)]
    more = rng.integers(each, size=(graphs, each, 2))
    edges = np.concatenate([np.array(trees).reshape(graphs, each - 1, 2), more], 1)
    return np.stack([rng.permutation(one) for one in edges])


def groups_joined(edges: np.ndarray, each: int) -> dict[int, set[frozenset[int]]]:
    """By Kruskal: for each edge of the spanning tree the two groups of vertices it joins."""
    group = [frozenset([vertex]) for vertex in range(each)]
    joined = {}
    for index, (a, b) in enumerate(edges):
        if group[a] != group[b]:
            joined[index] = {group[a], group[b]}
            union = group[a] | group[b]
            group = [union if vertex in union else group[vertex] for vertex in range(each)]
    return joined


@given(seed=st.integers(0, 2**32 - 1), graphs=st.integers(1, 4), each=st.integers(2, 40))
def test_the_intervals_of_a_node_are_the_groups_its_edge_joins(
    seed: int, graphs: int, each: int
) -> None:
    edges = random_graphs(np.random.default_rng(seed), graphs, each)
    stacked = torch.from_numpy(edges + each * np.arange(graphs)[:, None, None]).reshape(-1, 2)
    rounds = spanning_trees(stacked[:, 0], stacked[:, 1], graphs * each, each)
    trees = merge_trees(rounds, graphs * each, each)
    count = edges.shape[1]
    for graph in range(graphs):
        rows = slice(graph * each, (graph + 1) * each)
        edge, begin, middle, end, place = (part[rows].tolist() for part in trees)
        assert sorted(place) == list(range(each))
        at = np.argsort(place)
        found = {
            e - graph * count: {frozenset(at[b:m].tolist()), frozenset(at[m:n].tolist())}
            for e, b, m, n in zip(edge, begin, middle, end, strict=True)
            if e != NO_EDGE
        }
        assert found == groups_joined(edges[graph], each)


@given(seed=st.integers(0, 2**32 - 1), each=st.integers(2, 60))
def test_every_group_but_one_ends_once(seed: int, each: int) -> None:
    edges = torch.from_numpy(random_graphs(np.random.default_rng(seed), 1, each)[0])
    rounds = spanning_trees(edges[:, 0], edges[:, 1], each, each)
    ended = torch.cat([step.ended for step in rounds])
    assert len(ended) == len(ended.unique()) == each - 1
    assert len(rounds) <= each.bit_length()
