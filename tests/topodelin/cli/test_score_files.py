"""What `topodelin score` makes of volumes: masks, labels, and their voxels."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.topodelin.cli.score_command import LINE, refused, run, written

ONE_UM = ("--spacing", "1,1,1")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """100 µm along x."""
    return written(tmp_path, truth=LINE)[0]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """That line as two segments, 60 and 41 voxels long."""
    volume = np.zeros((3, 3, 101), dtype=np.int32)
    volume[0, 0, :60], volume[0, 0, 60:] = 1, 2
    np.save(tmp_path / "labels.npy", volume)
    return tmp_path / "labels.npy"


@pytest.fixture
def one(tmp_path: Path, labels: Path) -> Path:
    """The line as one segment."""
    np.save(tmp_path / "one.npy", np.minimum(np.load(labels), 1))
    return tmp_path / "one.npy"


def test_labels_along_a_truth_give_its_run_length(truth: Path, labels: Path) -> None:
    answer = json.loads(run(truth, labels, *ONE_UM, "--json").stdout)
    expected = ((59 / 100) ** 2 + (40 / 100) ** 2) * 100  # one edge of 1 µm is split
    assert answer["run_length"]["expected_run_length_um"] == pytest.approx(expected)
    assert (answer["truth_read_as"], answer["traced_read_as"]) == ("tracing", "labels")
    assert answer["run_length"]["merge_length_um"] == 4 * answer["tolerance_um"]
    table = run(truth, labels, *ONE_UM).stdout
    assert "1 split," in table and "labels, 3 x 3 x 101 voxels of 1 x 1 x 1 µm" in table


def test_a_volume_of_one_label_is_labels_where_that_is_said(truth: Path, one: Path) -> None:
    answer = json.loads(run(truth, one, *ONE_UM, "--volumes", "labels", "--json").stdout)
    assert answer["run_length"]["normalised_run_length"] == 1
    answer = json.loads(run(truth, one, *ONE_UM, "--json").stdout)
    assert answer["traced_read_as"] == "mask" and answer["quality"] > 0.9


def test_the_truth_along_labels_may_be_in_voxels(tmp_path: Path, labels: Path) -> None:
    (voxels,) = written(tmp_path, voxels="1 2 0 0 0 1 -1\n2 2 100 0 0 1 1\n")
    done = run(voxels, labels, "--truth-unit", "voxel", "--spacing", "1,1,0.5", "--json")
    run_length = json.loads(done.stdout)["run_length"]
    assert run_length["best_run_length_um"] == 50 and run_length["omitted_edges"] == 0


def test_labels_against_labels_give_rand_and_voi(one: Path, labels: Path) -> None:
    for pair in ((one, labels), (labels, one)):  # one that holds several makes both labels
        done = run(*pair, *ONE_UM, "--json")
        segments = json.loads(done.stdout)["segments"]
        better, worse = ("merge", "split") if pair[0] == one else ("split", "merge")
        assert segments[f"rand_{better}"] == 1 and segments[f"voi_{worse}"] > 0.9
    assert "judged on the 101 voxels" in run(one, labels, *ONE_UM).stdout


def test_masks_become_their_centrelines(tmp_path: Path, truth: Path) -> None:
    mask = np.zeros((3, 3, 101), dtype=np.uint8)
    mask[0, 0] = 255
    image = tmp_path / "mask.ome.tif"
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 1.0, "PhysicalSizeZ": 1.0}
    tifffile.imwrite(image, mask, metadata=metadata)
    answer = json.loads(run(truth, image, "--json").stdout)
    assert answer["predicted_length_um"] == pytest.approx(50, abs=1)
    assert answer["completeness"] == pytest.approx(0.53, abs=0.01)
    assert "mask, 3 x 3 x 101 voxels of 1 x 1 x 0.5 µm" in run(truth, image).stdout


def test_a_truth_beside_the_label_volume_is_told(tmp_path: Path, labels: Path) -> None:
    (far,) = written(tmp_path, far="1 2 0 900 0 1 -1\n2 2 100 900 0 1 1\n")
    done = run(far, labels, *ONE_UM, "--json")
    answer = json.loads(done.stdout)
    assert answer["run_length"]["normalised_run_length"] == 0
    assert answer["warnings"] == [done.stderr.removeprefix("warning: ").strip()]
    assert "100 % of the nodes of the truth lie outside the label volume" in done.stderr


def test_voxels_of_two_sizes_are_told(tmp_path: Path) -> None:
    mask = np.ones((2, 5, 60), dtype=np.uint8)
    for name, size in (("a", 1.0), ("b", 0.5)):
        metadata = {"axes": "ZYX", "PhysicalSizeX": size, "PhysicalSizeY": 1, "PhysicalSizeZ": 1}
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", mask, metadata=metadata)
    pair = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    assert "truth are 1 x 1 x 1 µm and those of the tracing 1 x 1 x 0.5" in run(*pair).stderr
    line = refused(*pair, "--also", "voxel_quality")
    assert "b.ome.tif: voxels must be as large as those of" in line
    assert run(*pair, *ONE_UM).stderr == ""


def test_a_mistake_about_volumes_is_one_line(tmp_path: Path, truth: Path, labels: Path) -> None:
    np.save(tmp_path / "float.npy", np.zeros((2, 2, 2)))
    np.save(tmp_path / "small.npy", np.load(labels)[:, :, :50])
    np.save(tmp_path / "channels.npy", np.zeros((2, 2, 2, 2), dtype=np.uint8))
    assert "add --volumes mask" in refused(labels, truth, *ONE_UM)
    assert "must hold integers, got float64; threshold" in refused(
        truth, tmp_path / "float.npy", *ONE_UM
    )
    assert "has several channels" in refused(truth, tmp_path / "channels.npy", *ONE_UM)
    assert "must have one shape, (3, 3, 101) as" in refused(labels, tmp_path / "small.npy", *ONE_UM)
    assert "`--volumes` must be one of" in refused(truth, truth, "--volumes", "maybe")
    assert "add --volumes mask" in refused(truth, labels, *ONE_UM, "--errors", tmp_path / "e.csv")
