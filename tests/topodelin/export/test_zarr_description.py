"""What is said of zarr arrays, and which of them a viewer can read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.export.small_run import phantom_zarr
from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.export.image_preview import preview_factors, write_preview
from topodelin.export.node_confidence import node_confidence
from topodelin.export.zarr_description import zarr_image
from topodelin.volumes import Volume, open_volume


def test_the_spacing_that_was_given_wins_over_the_one_in_the_file(tmp_path: Path) -> None:
    image = zarr_image(phantom_zarr(tmp_path), (3.0, 1.0, 1.0))
    assert image is not None
    assert image.levels[0].scale == (3, 1, 1)
    assert image.levels[1].scale == pytest.approx((3, 2, 1))  # y was the finest axis
    assert image.levels[1].shift == pytest.approx((0, 0.5, 0))


def test_one_array_without_metadata_is_described_from_above(tmp_path: Path) -> None:
    path = tmp_path / "plain.zarr"
    zarr.create_array(str(path), data=phantom(), chunks=(4, 8, 8), zarr_format=2)
    image = zarr_image(path, SPACING)
    assert image is not None
    assert (image.root, image.axes, image.version) == (tmp_path, "zyx", "0.4")
    assert [level.path for level in image.levels] == ["plain.zarr"]
    image.describe(tmp_path / "out")
    shutil.copytree(path, tmp_path / "out" / "plain.zarr")
    volume = open_volume(tmp_path / "out")
    assert volume.spacing == SPACING and np.array_equal(volume.read(volume.box), phantom())


@pytest.mark.parametrize("dtype", ["float64", "bool", "float16", "int64"])
def test_types_that_viewers_do_not_know_are_not_served(tmp_path: Path, dtype: str) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), data=phantom(dtype), chunks=(4, 8, 8))
    assert zarr_image(tmp_path / "a.zarr", SPACING) is None


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "uint64"])
@pytest.mark.parametrize("version", [2, 3])
def test_types_that_viewers_know_are_served(tmp_path: Path, dtype: str, version: int) -> None:
    path = str(tmp_path / "a.zarr")
    zarr.create_array(path, data=phantom(dtype), chunks=(4, 8, 8), zarr_format=version)  # type: ignore[arg-type]
    assert zarr_image(tmp_path / "a.zarr", SPACING) is not None


def test_codecs_that_viewers_do_not_know_are_not_served(tmp_path: Path) -> None:
    path = phantom_zarr(tmp_path)
    file = path / "0" / ".zarray"
    stored = json.loads(file.read_text())
    file.write_text(json.dumps(stored | {"compressor": {"id": "lzma"}}))
    assert zarr_image(path, SPACING) is None


def test_shards_are_served(tmp_path: Path) -> None:
    path = str(tmp_path / "a.zarr")
    zarr.create_array(path, data=phantom(), chunks=(4, 8, 8), shards=(8, 16, 16))
    assert zarr_image(tmp_path / "a.zarr", SPACING) is not None


@pytest.mark.parametrize("dtype", ["bool", "float64", "uint16"])
def test_a_preview_holds_the_mean_of_what_it_merges(tmp_path: Path, dtype: str) -> None:
    volume = Volume(phantom(dtype), SPACING)
    factors = write_preview(tmp_path / "out", volume, max_voxels=1310)
    assert factors == (1, 2, 1)
    found = open_volume(tmp_path / "out")
    first = found.read(found.box)[0, 0, :3].astype(float)
    whole = phantom(dtype)[0, :2, :3].astype(float)
    assert first == pytest.approx(np.rint(whole.mean(axis=0)), abs=0.5)
    assert zarr_image(tmp_path / "out", found.spacing) is not None


def test_a_preview_is_read_in_small_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topodelin.export.image_preview.READ_BYTES", 200)
    volume = Volume(phantom(), SPACING)
    write_preview(tmp_path / "small", volume, max_voxels=1310)
    monkeypatch.undo()
    write_preview(tmp_path / "large", volume, max_voxels=1310)
    small, large = open_volume(tmp_path / "small"), open_volume(tmp_path / "large")
    assert np.array_equal(small.read(small.box), large.read(large.box))


@given(st.integers(1, 3000))
def test_a_preview_has_at_most_the_voxels_it_may(limit: int) -> None:
    volume = Volume(phantom(), SPACING)
    factors = preview_factors(volume, limit)
    assert np.prod(-(-np.array(volume.shape) // factors)) <= limit
    assert limit < 5 * 17 * 29 or factors == (1, 1, 1)


@given(st.integers(0, 2**16), st.integers(0, 60))
def test_the_confidence_of_a_node_is_that_of_its_voxel(seed: int, count: int) -> None:
    numbers = np.random.default_rng(seed)
    near = numbers.uniform(0, 6, (70, 66, 3)).astype(np.float32)
    voxels = np.stack([numbers.integers(-2, n + 2, count) for n in near.shape], axis=1)
    found = node_confidence(Volume(near, SPACING), voxels * np.array(SPACING), 6.0)
    inside = np.clip(voxels, 0, np.subtract(near.shape, 1))
    assert found == pytest.approx([1 - near[tuple(voxel)] / 6 for voxel in inside], abs=1e-6)
