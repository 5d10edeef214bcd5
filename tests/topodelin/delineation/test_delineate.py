"""From an image to SWC files: neurites are followed, and only where they lead."""

import io
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.topodelin.delineation.stand_in import D_MAX, Inverse, card, drawn, fork_in_space
from topodelin.delineation import Delineation, SearchRule, TreeRule, delineate
from topodelin.delineation.frontier import Frontier, RunInUse
from topodelin.delineation.memory import CubeCost
from topodelin.delineation.task import Task, search_rule
from topodelin.graphs import check_swc, read_swc
from topodelin.volumes import IntensityRange, Volume, open_volume

KEPT = ("run.json", "seeds.csv", "trees.csv", "trees", "distance_map.ome.zarr")


def contents(run: Path) -> dict[str, bytes]:
    """Every file that has to be the same after a kill, by its path."""
    files = [path for name in KEPT for path in [run / name, *(run / name).rglob("*")]]
    return {str(path.relative_to(run)): path.read_bytes() for path in files if path.is_file()}


def follow(volume: Volume, run: Path, **options: object) -> Delineation:
    options.setdefault("progress", None)
    return delineate(volume, run, Inverse(), card(), **options)  # type: ignore[arg-type]


def chunks(run: Path) -> set[str]:
    folder = run / "distance_map.ome.zarr" / "0"
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_straight_neurite_is_followed_through_its_cubes_and_no_others(tmp_path: Path) -> None:
    volume = drawn([[(8, 24, 4), (8, 24, 92)]], (48, 48, 96))
    result = follow(volume, tmp_path / "run", seeds=[(8, 24, 5)])
    assert (result.visited, result.total, result.waiting, result.failed) == (6, 54, 0, ())
    assert chunks(tmp_path / "run") == {f"0/1/{x}" for x in range(6)}
    (tree,) = result.trees
    assert tree.graph.length == pytest.approx(88, rel=0.02)
    assert tree.holds_seed
    assert abs(tree.graph.positions - [8, 24, 0])[:, :2].max() < 0.5


def test_only_the_neurite_that_holds_a_seed_is_traced(tmp_path: Path) -> None:
    volume = drawn([[(8, 8, 4), (8, 8, 92)], [(40, 40, 4), (40, 40, 60)]], (48, 48, 96))
    one = follow(volume, tmp_path / "one", seeds=[(8, 8, 50)])
    both = follow(volume, tmp_path / "both", seeds=[(8, 8, 50), (40, 40, 9)])
    assert [round(tree.graph.length) for tree in one.trees] == [88]
    assert [round(tree.graph.length) for tree in both.trees] == [88, 56]


def test_without_seeds_a_scan_finds_every_neurite(tmp_path: Path) -> None:
    result = follow(fork_in_space(), tmp_path / "run")
    assert len(result.trees) == 2
    assert (tmp_path / "run" / "seeds.csv").read_text().startswith("z,y,x\n")


def test_an_oblique_neurite_across_many_cubes_is_one_tree_of_the_right_length(
    tmp_path: Path,
) -> None:
    start, end = (5.0, 7.0, 6.0), (58.0, 41.0, 90.0)
    result = follow(drawn([[start, end]], (64, 48, 96)), tmp_path / "run", seeds=[start])
    (tree,) = result.trees
    expected = np.linalg.norm(np.subtract(start, end))
    assert tree.graph.length == pytest.approx(expected, rel=0.02)
    assert tree.branches == 1


def test_a_fork_on_the_corner_of_cubes_is_one_tree_with_one_junction(tmp_path: Path) -> None:
    volume = drawn([[(16, 16, 6), (16, 16, 42)], [(16, 16, 32), (16, 42, 32)]], (32, 48, 48))
    (tree,) = follow(volume, tmp_path / "run", seeds=[(16, 16, 8)]).trees
    assert sorted(tree.graph.degrees[tree.graph.degrees != 2]) == [1, 1, 1, 3]
    assert tree.graph.length == pytest.approx(36 + 26, rel=0.03)


def test_a_loop_across_cubes_is_opened_at_its_faintest_place(tmp_path: Path) -> None:
    corners = [(8.0, 6.0, 6.0), (8.0, 40.0, 6.0), (8.0, 40.0, 40.0), (8.0, 6.0, 40.0)]
    volume = drawn([[*corners, corners[0]]], (16, 48, 48))
    image = np.array(volume.data)
    image[:, 22:25, 38:44] = np.minimum(image[:, 22:25, 38:44], 190)  # distance 1.5: still inside
    result = follow(Volume(image, volume.spacing), tmp_path / "run", seeds=[corners[0]])
    (tree,) = result.trees
    assert len(tree.graph.edges) == len(tree.graph) - 1
    ends = tree.graph.positions[tree.graph.degrees == 1]
    assert len(ends) == 2
    assert np.abs(ends - [8, 23, 40]).max() < 3


def test_what_is_written_can_be_opened_elsewhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = follow(fork_in_space(), run, volume_name="drawing.tif", model_name="stand-in")
    paths = sorted((run / "trees").glob("*.swc"))
    assert [path.name for path in paths] == ["tree_0001.swc", "tree_0002.swc"]
    assert [check_swc(path) for path in paths] == [[], []]
    first = read_swc(paths[0])
    assert first.length == pytest.approx(result.trees[0].graph.length, rel=1e-4)
    assert "# volume drawing.tif, spacing (1, 1, 1) um" in paths[0].read_text()
    table = (run / "trees.csv").read_text().splitlines()
    assert table[0] == "tree,length_um,nodes,branches,holds_seed,root_z,root_y,root_x"
    assert table[1].startswith(f"tree_0001,{result.trees[0].graph.length:.3f},")
    stored = open_volume(run / "distance_map.ome.zarr")
    assert stored.spacing == (1.0, 1.0, 1.0)
    everything = stored.read(stored.box)
    assert everything.max() == D_MAX
    np.testing.assert_array_equal(everything * 16 % 1, 0)
    assert json.loads((run / "run.json").read_text())["volume_name"] == "drawing.tif"


def test_positions_are_micrometres_when_the_image_is_anisotropic(tmp_path: Path) -> None:
    # Voxels of 2 x 1 x 1 µm for a network of 1 µm; the neurite rises in z and leaves both ends.
    fine = drawn([[(2.0, 24.0, -10.0), (60.0, 24.0, 106.0)]], (64, 48, 96))
    coarse = Volume(np.array(fine.data)[::2], (2.0, 1.0, 1.0))
    (tree,) = follow(coarse, tmp_path / "run", seeds=[(6.0, 24.0, 2.0)]).trees
    assert tree.graph.length == pytest.approx(np.hypot(47.5, 95), rel=0.02)
    assert tree.graph.positions[:, 0].max() == pytest.approx(54.5, abs=1.5)


def test_order_and_executor_change_no_byte(tmp_path: Path) -> None:
    volume = fork_in_space()
    follow(volume, tmp_path / "alone")
    with ThreadPoolExecutor(3) as threads:
        follow(volume, tmp_path / "threads", executor=threads, workers=3)
    assert contents(tmp_path / "alone") == contents(tmp_path / "threads")


def test_a_budget_stops_the_search_and_the_same_command_goes_on(tmp_path: Path) -> None:
    volume = drawn([[(8, 24, 4), (8, 24, 92)]], (48, 48, 96))
    seeds = [(8, 24, 5)]
    part = follow(volume, tmp_path / "run", seeds=seeds, budget_cubes=3)
    assert (part.visited, part.waiting) == (3, 1)
    assert part.length_um == pytest.approx(44, abs=4)
    assert "1 cubes wait" in str(part)
    full = follow(volume, tmp_path / "run", seeds=seeds)
    follow(volume, tmp_path / "at once", seeds=seeds)
    assert full.visited == 6
    assert contents(tmp_path / "run") == contents(tmp_path / "at once")


def test_other_rules_for_trees_predict_nothing_again(tmp_path: Path) -> None:
    volume = fork_in_space()
    follow(volume, tmp_path / "run")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("0/*/*/*")}
    result = follow(volume, tmp_path / "run", trees=TreeRule(min_tree_um=50))
    assert len(result.trees) == 1
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("0/*/*/*")}
    assert len(list((tmp_path / "run" / "trees").iterdir())) == 1


def test_a_lost_chunk_is_predicted_again(tmp_path: Path) -> None:
    volume = fork_in_space()
    follow(volume, tmp_path / "run")
    complete = contents(tmp_path / "run")
    lost = tmp_path / "run" / "distance_map.ome.zarr" / "0" / sorted(chunks(tmp_path / "run"))[2]
    lost.unlink()
    follow(volume, tmp_path / "run")
    assert contents(tmp_path / "run") == complete


def test_a_run_of_other_settings_is_refused_and_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(fork_in_space(), run)
    complete = contents(run)
    with pytest.raises(ValueError, match=r"search.threshold = 2.5, now it is 2.0; add --restart"):
        follow(fork_in_space(), run, rule=SearchRule(2.0, reach_um=5.0))
    other = Volume(np.array(fork_in_space().data)[:, ::-1], (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"volume.sample = .*, now it is"):
        follow(other, run)
    assert contents(run) == complete
    follow(other, run, restart=True)
    follow(other, tmp_path / "fresh")
    assert contents(run) == contents(tmp_path / "fresh")


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="is not the folder of a run, it holds 'thesis.tex'"):
        follow(fork_in_space(), tmp_path)
    with pytest.raises(ValueError, match="is a file; give a folder"):
        follow(fork_in_space(), tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_seeds_outside_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 outside, the first at \\(8, 8, 400\\)"):
        follow(fork_in_space(), tmp_path / "run", seeds=[(8, 8, 400)])
    assert not (tmp_path / "run").exists()


def test_a_dark_volume_gives_one_line_that_asks_for_seeds(tmp_path: Path) -> None:
    dark = Volume(np.zeros((16, 16, 16), np.uint8), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="nothing bright to start from; .* --seeds"):
        follow(dark, tmp_path / "run")


def test_two_channels_and_a_threshold_above_d_max_are_refused(tmp_path: Path) -> None:
    double = Volume(np.zeros((2, 16, 16, 16), np.uint8), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="must have one channel, got 2"):
        follow(double, tmp_path / "run", seeds=[(1, 1, 1)])
    with pytest.raises(ValueError, match="`threshold` must be at most `d_max` = 6"):
        follow(fork_in_space(), tmp_path / "run", rule=SearchRule(7.0))


def test_a_run_that_is_going_on_is_not_touched_by_a_second_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(fork_in_space(), run)
    complete = contents(run)
    with Frontier(run / "state.sqlite"), pytest.raises(RunInUse, match="in use"):
        follow(fork_in_space(), run, restart=True)
    assert contents(run) == complete


def test_a_finished_run_is_the_same_whichever_cube_came_next(tmp_path: Path) -> None:
    volume = fork_in_space()
    for priority in ("distance", "confidence", "arrival"):
        follow(volume, tmp_path / priority, seeds=[(8, 8, 5)], priority=priority)
    kept = [contents(tmp_path / name) for name in ("distance", "confidence", "arrival")]
    for run in kept:
        assert b'"priority"' in run.pop("run.json")
    assert kept[0] == kept[1] == kept[2]
    with pytest.raises(ValueError, match="`priority` must be one of distance, confidence, arrival"):
        follow(volume, tmp_path / "other", priority="size")


def test_by_distance_a_budget_is_spent_around_the_seed(tmp_path: Path) -> None:
    volume = drawn([[(8, 24, 4), (8, 24, 92)]], (16, 48, 96))
    near = follow(volume, tmp_path / "run", seeds=[(8, 24, 40)], budget_cubes=3)
    assert [tuple(cube) for cube in np.argwhere(near.cubes)] == [(0, 1, 1), (0, 1, 2), (0, 1, 3)]


def test_the_search_stays_within_the_part_asked_for(tmp_path: Path) -> None:
    volume = drawn([[(8, 24, 4), (8, 24, 92)]], (16, 48, 96))
    part = ((0.0, 0.0, 0.0), (15.0, 47.0, 40.0))
    result = follow(volume, tmp_path / "run", seeds=[(8, 24, 5)], within=part)
    assert (result.visited, result.skipped, result.waiting) == (3, 1, 0)
    scanned = follow(volume, tmp_path / "scan", within=part)
    assert scanned.seeds.shape == (3, 3), "the rest of the volume is not looked at"
    with pytest.raises(ValueError, match="holds a run with within = .*; add --restart"):
        follow(volume, tmp_path / "run", seeds=[(8, 24, 5)])
    with pytest.raises(ValueError, match="`within` must hold a seed, none of 1 lies near"):
        follow(volume, tmp_path / "no", seeds=[(8, 24, 80)], within=part)
    with pytest.raises(ValueError, match="`within` must share a voxel with the volume"):
        follow(volume, tmp_path / "no", within=((99.0, 0.0, 0.0), (200.0, 1.0, 1.0)))
    assert not (tmp_path / "no").exists()


def test_blank_cubes_cost_one_run_of_the_network_and_no_chunk(tmp_path: Path) -> None:
    calls = []

    class Counting(Inverse):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            calls.append(image.shape)
            return super().forward(image)

    volume = drawn([[(8, 8, 4), (8, 8, 28)]], (16, 16, 160))
    seeds = [(8, 8, 5), (8, 8, 70), (8, 8, 90), (8, 8, 110)]  # three of them in the dark
    result = delineate(volume, tmp_path / "run", Counting(), card(), seeds=seeds, progress=None)
    assert result.skipped >= 3
    assert len(calls) == result.visited + 1
    assert len(chunks(tmp_path / "run")) == result.visited
    assert result.as_dict()["cubes_skipped"] == result.skipped


def test_a_network_for_quite_another_spacing_is_refused_unless_asked_for(tmp_path: Path) -> None:
    coarse = drawn([[(8, 8, 4), (8, 8, 28)]], (16, 16, 32), spacing=(1.0, 3.0, 2.0))
    with pytest.raises(ValueError, match=r"voxels of \(1, 3, 2\) µm .* 3 times .* along y;"):
        follow(coarse, tmp_path / "run", seeds=[(8, 24, 10)])
    assert not (tmp_path / "run").exists()
    said = io.StringIO()
    follow(coarse, tmp_path / "run", seeds=[(8, 24, 10)], resample=True, progress=said)
    line = "the image is resampled from (1, 3, 2) µm to (1, 1, 1) µm, the network's grid"
    assert line in said.getvalue()
    assert line in (tmp_path / "run" / "log.txt").read_text()


def test_finer_voxels_are_averaged_without_being_asked_up_to_a_limit(tmp_path: Path) -> None:
    fine = drawn([[(8, 8, 4), (8, 8, 92)]], (32, 32, 96), spacing=(1.0, 0.25, 0.25))
    assert len(follow(fine, tmp_path / "run", seeds=[(8, 2, 2)]).trees) == 1
    finest = drawn([[(8, 8, 4), (8, 8, 92)]], (16, 16, 96), spacing=(1.0, 0.25, 0.1))
    with pytest.raises(ValueError, match=r"10 times .* along x;"):
        follow(finest, tmp_path / "another", seeds=[(8, 2, 2)])


class Interrupting:
    """An array that is read so often and then stopped, as by Ctrl-C."""

    def __init__(self, array: np.ndarray, reads: int) -> None:
        self.array, self.reads, self.shape, self.dtype = array, reads, array.shape, array.dtype

    def __getitem__(self, key: tuple) -> np.ndarray:
        self.reads -= 1
        if self.reads == 0:
            raise KeyboardInterrupt
        return self.array[key]


def test_an_interrupted_scan_goes_on_where_it_was(tmp_path: Path) -> None:
    drawing = fork_in_space()
    whole = Interrupting(np.array(drawing.data), -1)
    follow(Volume(whole, drawing.spacing), tmp_path / "whole")
    with Frontier(tmp_path / "whole" / "state.sqlite") as frontier:
        rows = frontier._database.execute("SELECT COUNT(*) FROM scans").fetchone()[0]
    assert rows == 4
    before = len(list(_samples(drawing)))
    stopped = Interrupting(np.array(drawing.data), before + 3 * 2 + 1)  # in the third row of cubes
    with pytest.raises(KeyboardInterrupt):
        follow(Volume(stopped, drawing.spacing), tmp_path / "run")
    with Frontier(tmp_path / "run" / "state.sqlite") as frontier:
        assert frontier._database.execute("SELECT COUNT(*) FROM scans").fetchone()[0] == 2
    rest = Interrupting(np.array(drawing.data), -1)
    follow(Volume(rest, drawing.spacing), tmp_path / "run")
    assert whole.reads - rest.reads == -3 * 2, "two rows were not read again"
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def _samples(volume: Volume) -> Iterator[None]:
    """One entry for each read before the scan: the fingerprint and the range of intensities."""
    counted = Interrupting(np.array(volume.data), -1)
    task = Task(Volume(counted, volume.spacing), Inverse(), card(), search_rule(card()))
    task.settings(None)
    task.measure_intensity()
    yield from [None] * (-1 - counted.reads)


def test_failed_cubes_are_tried_again_only_if_asked_for(tmp_path: Path) -> None:
    volume, run = fork_in_space(), tmp_path / "run"
    follow(volume, run)
    with Frontier(run / "state.sqlite") as frontier:
        cube = next(iter(frontier.done()))
        frontier.retry([cube])
        frontier.lease(1)
        frontier.fail(cube, "broken", max_attempts=1)
    said = io.StringIO()
    again = follow(volume, run, progress=said)
    assert again.failed == ((cube, "broken"),)
    assert "1 cubes failed before; --retry-failed tries them again" in said.getvalue()
    assert follow(volume, run, retry_failed=True).failed == ()


def test_intensities_are_those_around_the_seeds_or_those_given(tmp_path: Path) -> None:
    near = drawn([[(8, 8, 4), (8, 8, 28)]], (16, 16, 400))  # nearly all of it is dark
    shine = np.array(near.data) // 3
    shine[:, :, 300:] = 255  # and a large bright thing lies far away
    image, seeds = Volume(shine, near.spacing), [(8, 8, 5)]
    follow(image, tmp_path / "run", seeds=seeds)
    found = json.loads((tmp_path / "run" / "run.json").read_text())["intensity"]
    assert found == {"low": 0.0, "high": 85.0}
    given = IntensityRange(0.0, 510.0)
    follow(image, tmp_path / "given", seeds=seeds, intensity=given)
    found = json.loads((tmp_path / "given" / "run.json").read_text())["intensity"]
    assert found == {"low": 0.0, "high": 510.0}
    with pytest.raises(ValueError, match=r"given_intensity = \[0.0, 510.0\], now it is None"):
        follow(image, tmp_path / "given", seeds=seeds)


def test_too_little_memory_is_refused_before_a_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = sys.modules["topodelin.delineation.delineate"]
    monkeypatch.setattr(pipeline, "measure_cube", lambda *_: CubeCost(1.0, 2**30))
    with pytest.raises(ValueError, match=r"`memory` must be at least [\d.]+ GB"):
        follow(fork_in_space(), tmp_path / "run", memory=2**28)
    assert not (tmp_path / "run").exists()


def test_where_the_image_came_from_is_kept_and_may_change(tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(fork_in_space(), run)
    assert json.loads((run / "run.json").read_text())["image"] == {"path": None, "spacing": None}
    follow(fork_in_space(), run, image_path="gs://brains/a.zarr", image_spacing=(1, 1, 1))
    image = json.loads((run / "run.json").read_text())["image"]
    assert image == {"path": "gs://brains/a.zarr", "spacing": [1.0, 1.0, 1.0]}


def test_a_run_of_another_version_is_refused_with_both(tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(fork_in_space(), run)
    settings = json.loads((run / "run.json").read_text())
    settings |= {"topodelin": "0.0.9", "grid": settings["grid"] | {"margin": [1, 1, 1]}}
    (run / "run.json").write_text(json.dumps(settings))
    with pytest.raises(
        ValueError,
        match=r"grid.margin = \[1, 1, 1\], now it is \[2, 2, 2\]; with topodelin = 0.0.9",
    ):
        follow(fork_in_space(), run)


def test_a_folder_that_cannot_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    with monkeypatch.context() as patch:  # root may write anywhere
        patch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(OSError, match="run cannot be written to; give another folder with -o"):
            follow(fork_in_space(), tmp_path / "run")
    with pytest.raises(OSError, match=r"/proc/run cannot be made \(.*\); give another folder"):
        follow(fork_in_space(), Path("/proc/run"))


def test_a_name_in_any_script_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "Gehirn für Łucja 脑"
    folder.mkdir()
    np.save(folder / "mózg.npy", np.array(fork_in_space().data))
    result = follow(open_volume(folder / "mózg.npy", spacing=(1, 1, 1)), folder / "run")
    assert len(result.trees) == len(list((folder / "run" / "trees").iterdir())) == 2
