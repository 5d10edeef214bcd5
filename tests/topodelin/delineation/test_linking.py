"""One neurite after the other is what stitching all fragments at once gives."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tests.topodelin.delineation.test_stitching import SIZE, UNIT, curves
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.tracing.fragment_store import FragmentStore
from topodelin.delineation.tracing.fragments import Fragment, fragment
from topodelin.delineation.tracing.linking import link, skeletons
from topodelin.delineation.tracing.stitching import SkeletonGraph, stitch


def one_by_one(
    distance: np.ndarray, cube: int, overlap: int, folder: Path, backwards: bool = False
) -> tuple[list[Fragment], list[SkeletonGraph]]:
    """The fragments, and the skeletons that come out of the store."""
    lattice = Lattice(distance.shape, (cube, cube, cube))
    made = []
    for place in lattice:
        core = lattice.core(place)
        box = core.grow(overlap).clip(lattice.shape)
        part = distance[box.slices]
        piece = fragment(part, box, core, lattice.shape, threshold=2.0, min_voxels=5)
        made.append((place, b"", piece, core))
    with FragmentStore(folder / "fragments.sqlite") as store:
        for row in reversed(made) if backwards else made:
            store.put([row], lattice.shape)
        found = list(skeletons(store, link(store, lattice, UNIT), lattice.shape))
    return [piece for _, _, piece, _ in made], found


def as_sets(graph: SkeletonGraph) -> tuple[dict, set]:
    """Voxels with their distances, and pairs of voxels."""
    voxels = list(map(tuple, graph.voxels.tolist()))
    distances = [str(value) for value in graph.distances.tolist()]
    edges = {frozenset((voxels[a], voxels[b])) for a, b in graph.edges.tolist()}
    return dict(zip(voxels, distances, strict=True)), edges


def components(graph: SkeletonGraph) -> int:
    links = coo_array(
        (np.ones(len(graph.edges)), tuple(graph.edges.T)), shape=(len(graph), len(graph))
    )
    return connected_components(links, directed=False)[0]


@settings(max_examples=6)
@given(st.integers(0, 10_000), st.sampled_from([(12, 1), (16, 1), (19, 2), (20, 8)]))
def test_one_after_the_other_they_are_what_stitching_everything_at_once_gives(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int]
) -> None:
    # With one voxel of overlap neighbours disagree at their borders, and repairs are needed.
    folder = tmp_path_factory.mktemp("store")
    fragments, found = one_by_one(curves(seed), *size, folder)
    whole = stitch(fragments, (SIZE, SIZE, SIZE), UNIT)
    voxels, edges = as_sets(whole)
    parts = [as_sets(part) for part in found]
    assert sum(len(part) for part in found) == len(whole), "no voxel twice"
    assert {key: value for part, _ in parts for key, value in part.items()} == voxels
    assert set().union(*(pairs for _, pairs in parts)) == edges
    assert [components(part) for part in found] == [1] * len(found)


def test_the_order_in_which_fragments_come_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, forth = one_by_one(curves(3), 16, 1, tmp_path / "a")
    _, back = one_by_one(curves(3), 16, 1, tmp_path / "b", backwards=True)
    assert len(forth) == len(back) > 1
    for one, two in zip(forth, back, strict=True):
        np.testing.assert_array_equal(one.voxels, two.voxels)
        np.testing.assert_array_equal(one.edges, two.edges)
