"""From a distance map to SWC files: bridged, split, reported, resumed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.delineation.tracings import (
    D_MAX,
    NOWHERE,
    PLAIN,
    THRESHOLD,
    distances,
    rows,
    source,
    traced,
)
from topodelin.delineation.run_folder import RunFolder
from topodelin.delineation.tracing import fragmenting
from topodelin.delineation.tracing.fragment_store import FragmentStore
from topodelin.delineation.tracing.fragmenting import make_fragments
from topodelin.delineation.tracing.fragments import fragment
from topodelin.delineation.tracing.pipeline import trace
from topodelin.delineation.tracing.stitching import stitch
from topodelin.delineation.tracing.trees import TreeRule, grow_trees
from topodelin.graphs import check_swc, read_swc
from topodelin.volumes import Box

FORK = [
    [(12.0, 12.0, 4.0), (12.0, 12.0, 60.0)],
    [(12.0, 12.0, 30.0), (12.0, 40.0, 44.0)],
    [(20.0, 40.0, 8.0), (20.0, 6.0, 8.0)],
]
SHAPE = (32, 48, 64)
GAP = [[(12.0, 12.0, 4.0), (12.0, 12.0, 28.0)], [(12.0, 12.0, 34.0), (12.0, 12.0, 60.0)]]
BRIDGES = TreeRule(radius="fixed")


def test_neuron_by_neuron_the_trees_are_those_of_stitching_everything_at_once(
    tmp_path: Path,
) -> None:
    distance = distances(FORK, SHAPE)
    given = source(distance, seeds=np.array([[12.0, 12.0, 5.0]]))
    fragments = []
    for cube in given.lattice:
        core = given.lattice.core(cube)
        box = core.grow(8).clip(SHAPE)
        part = distance[box.slices]
        fragments.append(fragment(part, box, core, SHAPE, threshold=THRESHOLD, min_voxels=5))
    expected = grow_trees(stitch(fragments, SHAPE, (1, 1, 1)), (1, 1, 1), given.seeds, PLAIN)
    found = traced(tmp_path, distance, seeds=given.seeds)
    assert len(found) == len(expected) == 2
    for one, two in zip(found, expected, strict=True):
        assert one.holds_seed == two.holds_seed
        assert one.branches == two.branches
        assert one.graph.length == pytest.approx(two.graph.length, abs=1e-3)
        np.testing.assert_allclose(
            np.sort(one.graph.positions, axis=0), np.sort(two.graph.positions, axis=0), atol=1e-4
        )
        np.testing.assert_allclose(one.graph.positions[0], two.graph.positions[two.root], atol=1e-4)


def test_the_size_of_the_cubes_changes_no_byte_of_the_trees(tmp_path: Path) -> None:
    distance = distances(FORK, SHAPE)
    small = traced(tmp_path / "small", distance, BRIDGES, cube=16)
    large = traced(tmp_path / "large", distance, BRIDGES, cube=64)
    assert len(small) == len(large) == 2
    for name in ("tree_0001.swc", "tree_0002.swc"):
        one, two = (tmp_path / run / "trees" / name for run in ("small", "large"))
        assert one.read_bytes() == two.read_bytes()
        assert check_swc(one) == []


def test_a_gap_between_two_ends_is_bridged_and_written_down(tmp_path: Path) -> None:
    distance = distances(GAP, (24, 24, 64))
    assert len(traced(tmp_path / "open", distance)) == 2
    (tree,) = traced(tmp_path / "bridged", distance, BRIDGES)
    assert tree.graph.length == pytest.approx(54, abs=1)  # either tip ends a voxel early
    assert np.abs(tree.graph.positions[:, :2] - 12).max() < 1
    (bridge,) = rows(tmp_path / "bridged" / "bridges.csv")
    assert bridge["trees"] == "1"
    assert 0.6 <= float(bridge["confidence"]) <= 1
    assert sorted((float(bridge["from_x"]), float(bridge["to_x"]))) == pytest.approx(
        [28, 34], abs=1.5
    )


def test_a_gap_too_wide_for_the_cost_limit_stays_and_is_reported(tmp_path: Path) -> None:
    distance = distances(GAP, (24, 24, 64))
    rule = replace(BRIDGES, bridge_cost=0.5, min_confidence=0.2)
    assert len(traced(tmp_path, distance, rule)) == 2
    (gap,) = [row for row in rows(tmp_path / "spots.csv") if row["kind"] == "gap"]
    assert float(gap["x_um"]) == pytest.approx(31, abs=1)
    assert gap["trees"] == "1 2"
    assert rows(tmp_path / "bridges.csv") == []


def test_ends_that_point_past_each_other_are_not_joined(tmp_path: Path) -> None:
    lines = [[(12.0, 8.0, 4.0), (12.0, 8.0, 30.0)], [(12.0, 14.0, 26.0), (12.0, 14.0, 60.0)]]
    assert len(traced(tmp_path, distances(lines, (24, 24, 64)), BRIDGES)) == 2


def test_two_cell_bodies_are_never_joined_and_the_gap_is_reported(tmp_path: Path) -> None:
    distance = distances(GAP, (24, 24, 64))
    seeds = np.array([[12.0, 12.0, 5.0], [12.0, 12.0, 58.0]])
    (one,) = traced(tmp_path / "places", distance, BRIDGES, seeds=seeds)
    assert one.holds_seed
    assert (
        len(traced(tmp_path / "bodies", distance, replace(BRIDGES, somas=True), seeds=seeds)) == 2
    )
    (gap,) = [row for row in rows(tmp_path / "bodies" / "spots.csv") if row["kind"] == "gap"]
    assert "both neurons hold a cell body" in gap["note"]


def test_a_tree_with_two_cell_bodies_is_split_at_its_least_sure_place(tmp_path: Path) -> None:
    distance = distances([[(12.0, 12.0, 4.0), (12.0, 12.0, 60.0)]], (24, 24, 64))
    distance[:, :, 40] = np.maximum(distance[:, :, 40], 1.0)
    seeds = np.array([[12.0, 12.0, 5.0], [12.0, 12.0, 58.0]])
    (whole,) = traced(tmp_path / "whole", distance, PLAIN, seeds=seeds)
    (spot,) = [r for r in rows(tmp_path / "whole" / "spots.csv") if r["kind"] == "several_seeds"]
    assert float(spot["x_um"]) == pytest.approx(40, abs=1)
    left, right = traced(tmp_path / "split", distance, replace(PLAIN, somas=True), seeds=seeds)
    assert (left.graph.positions[:, 2].max(), right.graph.positions[:, 2].min()) == (
        pytest.approx((39.5, 40.5), abs=1)
    )
    assert left.graph.length + right.graph.length == pytest.approx(whole.graph.length - 1, abs=0.2)
    for tree, seed in ((left, seeds[0]), (right, seeds[1])):
        assert np.linalg.norm(tree.graph.positions[tree.root] - seed) < 2


def test_nodes_lie_at_the_distance_asked_for(tmp_path: Path) -> None:
    rule = replace(PLAIN, resample_um=4.0)
    (tree,) = traced(tmp_path, distances(FORK[:1], SHAPE), rule)
    assert tree.graph.lengths.max() <= 4
    assert len(tree.graph) == pytest.approx(15, abs=1)


def test_fragments_are_made_again_only_where_the_map_changed(tmp_path: Path) -> None:
    distance = distances(FORK, SHAPE)
    given = source(distance, 16)
    with FragmentStore(tmp_path / "fragments.sqlite") as store:
        assert make_fragments(given, store) == len(given.cubes)
        assert make_fragments(given, store) == 0
        distance[20, 8, 8] = 1.0  # in cube (1, 0, 0), within the overlap of its neighbours
        changed = make_fragments(given, store)
    assert 0 < changed < len(given.cubes)


def test_a_kill_loses_no_fragment_and_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distance = distances(FORK, SHAPE)
    given = source(distance, 16)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(fragmenting, "BATCH", 2)
    made = []

    def failing(*arguments: object, **options: object) -> object:
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(arguments[2])
        return fragment(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(fragmenting, "fragment", failing)
        with pytest.raises(KeyboardInterrupt):
            trace(given, BRIDGES, RunFolder(tmp_path / "run"))
        again: list[Box] = []
        patch.setattr(
            fragmenting, "fragment", lambda *a, **o: (again.append(a[2]), fragment(*a, **o))[1]
        )
        trace(given, BRIDGES, RunFolder(tmp_path / "run"))
    assert len(again) == len(given.cubes) - 4
    traced(tmp_path / "undisturbed", distance, BRIDGES, cube=16)
    for path in (tmp_path / "undisturbed").rglob("*.*"):
        if path.suffix in (".swc", ".csv"):
            other = tmp_path / "run" / path.relative_to(tmp_path / "undisturbed")
            assert other.read_bytes() == path.read_bytes()


def test_a_cube_that_failed_is_a_spot(tmp_path: Path) -> None:
    failed = (((0, 1, 1), "Input/output\nerror"),)
    traced(tmp_path, distances(FORK, SHAPE), failed=failed)
    (spot,) = [row for row in rows(tmp_path / "spots.csv") if row["kind"] == "failed_cube"]
    assert (spot["rank"], spot["note"]) == ("1", "Input/output error")
    assert [float(spot[f"{axis}_um"]) for axis in "zyx"] == [11.5, 35.5, 35.5]


def test_nothing_to_trace_leaves_empty_tables(tmp_path: Path) -> None:
    trees = traced(tmp_path, np.full((24, 24, 24), D_MAX, np.float32), BRIDGES, seeds=NOWHERE)
    assert (len(trees), trees.length_um) == (0, 0)
    assert rows(tmp_path / "trees.csv") == rows(tmp_path / "spots.csv") == []


def test_trees_are_read_from_their_files(tmp_path: Path) -> None:
    trees = traced(tmp_path, distances(FORK, SHAPE))
    assert [tree.graph.length for tree in trees] == pytest.approx(list(trees.lengths), abs=1e-6)
    assert trees.length_um == pytest.approx(sum(tree.graph.length for tree in trees))
    assert len(trees[:1]) == 1
    path = tmp_path / "trees" / "tree_0002.swc"
    assert len(read_swc(path)) == len(trees[1].graph)
