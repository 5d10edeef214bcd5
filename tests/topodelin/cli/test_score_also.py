"""`topodelin score --also`: metrics on request, of tracings and of masks."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.cli.score_command import CUT, FORK, refused, run, written
from topodelin import graphs
from topodelin.cli.score_also import METRICS
from topodelin.graphs.diadem import diadem

ONE_UM = ("--spacing", "1,1,1")
OF_GRAPHS = [name for name, also in METRICS.items() if not also.masks]
OF_MASKS = [name for name, also in METRICS.items() if also.masks]


@pytest.fixture
def wrong(tmp_path: Path) -> tuple[Path, Path]:
    fork, cut = written(tmp_path, fork=FORK, cut=CUT)
    return fork, cut


@pytest.fixture
def masks(tmp_path: Path) -> tuple[Path, Path]:
    """A ring of tubes, and the same with a gap."""
    ring = np.zeros((7, 24, 24), dtype=np.uint8)
    ring[2:5, 2:22, 2:22] = 255
    ring[:, 6:18, 6:18] = 0
    np.save(tmp_path / "ring.npy", ring)
    ring[:, 10:14, :8] = 0
    np.save(tmp_path / "open.npy", ring)
    return tmp_path / "ring.npy", tmp_path / "open.npy"


def test_each_metric_is_the_one_of_python(wrong: tuple[Path, Path]) -> None:
    answer = json.loads(run(*wrong, "--also", ",".join(OF_GRAPHS), "--json").stdout)
    truth, traced = (graphs.read_swc(path) for path in wrong)
    assert answer["spatial_distance"] == graphs.spatial_distance(truth, traced).as_dict()
    assert answer["diadem"] == diadem(truth, traced, tolerance=3.0).as_dict()
    for name in sorted({*OF_GRAPHS} - {"spatial_distance", "diadem"}):
        assert answer[name] == getattr(graphs, name)(truth, traced, tolerance=3.0).as_dict()


def test_the_table_tells_the_headlines_that_a_metric_has(
    wrong: tuple[Path, Path], masks: tuple[Path, Path]
) -> None:
    for pair, names in ((wrong, OF_GRAPHS), (masks, OF_MASKS)):
        done = run(*pair, *(ONE_UM if pair is masks else ()), "--also", "all")
        assert done.returncode == 0, done.stderr
        rows = {line.split()[0]: line for line in done.stdout.splitlines() if line}
        for name in names:
            assert all(key in rows[name] for key in METRICS[name].headlines)


def test_masks_are_compared_voxel_by_voxel(masks: tuple[Path, Path]) -> None:
    answer = json.loads(run(*masks, *ONE_UM, "--also", ",".join(OF_MASKS), "--json").stdout)
    ring, broken = (np.load(path) > 0 for path in masks)
    assert answer["mask_betti_errors"]["error_loops"] == 1
    assert answer["betti_matching"]["betti_matching_error"] == 1
    assert answer["skeleton_overlap"] == graphs.skeleton_overlap(ring, broken).as_dict()
    share = 2 * broken.sum() / (ring.sum() + broken.sum())
    assert answer["confusion"]["dice_1"] == pytest.approx(share)
    quality = answer["voxel_quality"]
    assert quality["voxel_correctness"] == 1 > quality["voxel_completeness"] > 0.9
    assert quality["truth_voxels"] < 0.1 * ring.sum()  # of the skeletons


def test_all_leaves_out_what_does_not_suit(
    wrong: tuple[Path, Path], masks: tuple[Path, Path]
) -> None:
    answer = json.loads(run(*wrong, "--also", "all", "--json").stdout)
    assert set(OF_GRAPHS) <= set(answer) and not set(OF_MASKS) & set(answer)
    answer = json.loads(run(*masks, *ONE_UM, "--also", "all", "--json").stdout)
    assert {*OF_MASKS, "tlts"} <= set(answer) and "diadem" not in answer  # there is a cycle


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_metric_is_ever_asked_in_vain(
    tmp_path: Path, wrong: tuple[Path, Path], masks: tuple[Path, Path], name: str
) -> None:
    (dot,) = written(tmp_path, dot="1 2 0 0 0 1 -1\n")
    np.save(tmp_path / "none.npy", np.zeros((7, 24, 24), dtype=np.uint8))
    full, empty = (masks[0], tmp_path / "none.npy") if METRICS[name].masks else (wrong[0], dot)
    options = ONE_UM if METRICS[name].masks else ()
    for pair in ((full, empty), (empty, full), (empty, empty)):
        done = run(*pair, *options, "--also", name, "--json")
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout)[name], dict)


def test_a_mistake_about_metrics_is_one_line(
    tmp_path: Path, wrong: tuple[Path, Path], masks: tuple[Path, Path]
) -> None:
    line = refused(*wrong, "--also", "tlts,f1")
    assert "`--also` must name metrics of all, critical_nodes, diadem" in line and "'f1'" in line
    line = refused(*wrong, "--also", "confusion")
    assert "`--also confusion` compares two masks" in line and "fork.swc is a tracing" in line
    np.save(tmp_path / "flat.npy", np.ones((1, 24, 24), dtype=np.uint8))
    line = refused(masks[0], tmp_path / "flat.npy", *ONE_UM, "--also", "betti_matching")
    assert "flat.npy: must have the shape of" in line
    line = refused(*masks, *ONE_UM, "--volumes", "labels", "--also", "confusion")
    assert "add --volumes mask" in line
