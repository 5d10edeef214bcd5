"""Mask to graph, judged by two published programs on networks drawn on voxels."""

import networkx as nx
import numpy as np
import pytest
import sknw
from skan.csr import Skeleton

from tests.graphs.drawings import betti
from topodelin.graphs import graph_from_mask
from topodelin.graphs.thinning import thin

UNIT = (1.0, 1.0, 1.0)
SHAPES = [(1, 4, 4), (2, 3, 3)]


def lattice(seed: int, shape: tuple[int, int, int], gap: int = 16) -> np.ndarray:
    """Lines between some neighbours on a grid of junctions that lie up to 3 voxels beside it.

    Denser drawings hold rings of 4 voxels, which sknw takes for one junction.
    """
    rng = np.random.default_rng(seed)
    corners = np.argwhere(np.ones(shape))
    beside = rng.uniform(-3, 3, corners.shape) * (np.array(shape) > 1)
    points = np.rint((corners + 0.5) * gap + beside).astype(int)
    mask = np.zeros(np.array(shape) * gap, dtype=bool)
    for one, two in np.argwhere(np.abs(corners[:, None] - corners).sum(axis=2) == 1).tolist():
        if one < two and rng.random() < 0.6:
            count = int(np.abs(points[one] - points[two]).max()) + 1
            line = np.rint(np.linspace(points[one], points[two], count)).astype(int)
            mask[tuple(line.T)] = True
    return mask


def counts(graph: nx.Graph) -> dict[str, int]:
    degrees = [degree for _, degree in graph.degree()]
    components = nx.number_connected_components(graph)
    return {
        "tips": degrees.count(1),
        "junctions": sum(degree > 2 for degree in degrees),
        "components": components,
        "cycles": graph.number_of_edges() - graph.number_of_nodes() + components,
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(15))
def test_tips_junctions_components_cycles_and_length_are_those_of_sknw(
    seed: int, shape: tuple[int, int, int]
) -> None:
    skeleton = thin(lattice(seed, shape))
    graph = graph_from_mask(skeleton, UNIT, smoothing=1)
    theirs = sknw.build_sknw(np.squeeze(skeleton).astype(np.uint16), multi=True, ring=True)
    components, cycles = betti(graph)
    assert counts(theirs) == {
        "tips": len(graph.tips),
        "junctions": len(graph.junctions),
        "components": components,
        "cycles": cycles,
    }
    assert graph.length == pytest.approx(theirs.size(weight="weight"), rel=0.004)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(15))
def test_components_cycles_and_length_are_those_of_skan(
    seed: int, shape: tuple[int, int, int]
) -> None:
    skeleton = thin(lattice(seed, shape))
    graph = graph_from_mask(skeleton, UNIT, smoothing=1)
    theirs = Skeleton(np.squeeze(skeleton))
    found = counts(nx.MultiGraph([(path[0], path[-1]) for path in theirs.paths_list()]))
    assert (found["components"], found["cycles"]) == betti(graph)
    assert graph.length == pytest.approx(theirs.path_lengths().sum(), rel=0.006)
