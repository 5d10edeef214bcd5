from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.training.drawings import SHAPE, SPACING, image, line, write_run
from topodelin.training import Stack, TrainingConfig, load_config, stacks
from topodelin.training.config_data import Rendered
from topodelin.training.rendered import render_sets
from topodelin.training.stacks import open_stacks
from topodelin.volumes import IntensityRange, Volume, intensity_range


def opened(config: TrainingConfig) -> Stack:
    return open_stacks(config.data.train, (), config)[0]


def test_a_real_stack_comes_on_the_target_grid_with_its_truth(tmp_path: Path) -> None:
    settings = ["target.spacing=[1.0, 1.0, 1.0]", "sampling.crop=[8, 8, 8]"]
    stack = opened(load_config(write_run(tmp_path), overrides=settings))
    assert stack.name == "image.npy"
    assert stack.image.spacing == (1.0, 1.0, 1.0)
    assert stack.image.shape == (12, 20, 24)
    assert stack.truth.length == pytest.approx(line().length, abs=1e-3)
    # the truth stays where the image is bright: a voxel off would not be
    bright = stack.read(stack.image.box)[tuple(stack.centreline.T)]
    assert np.median(bright) > 0.5


def test_brightness_is_measured_in_the_spacing_of_the_file(tmp_path: Path) -> None:
    # the delineation does so too; a coarser grid blurs bright voxels away
    stack = opened(load_config(write_run(tmp_path), overrides=["target.spacing=[2.0, 2.0, 2.0]"]))
    assert stack.brightness == intensity_range(Volume(image(), SPACING))


def test_the_same_voxels_come_from_memory_and_from_the_file(tmp_path: Path) -> None:
    yaml = write_run(tmp_path)
    held, lazy = (
        opened(load_config(yaml, overrides=["target.spacing=[1, 1, 1]", f"data.memory_gb={size}"]))
        for size in (1, 0)
    )
    assert isinstance(held.image.data, np.ndarray)
    assert not isinstance(lazy.image.data, np.ndarray)
    np.testing.assert_array_equal(held.read(held.image.box), lazy.read(lazy.image.box))


def test_a_tracing_in_voxels_is_scaled(tmp_path: Path) -> None:
    yaml = write_run(tmp_path)
    (tmp_path / "truth.swc").write_text("1 0 5 4 3 1 -1\n2 0 20 22 6 1 1\n3 0 44 30 9 1 2\n")
    stack = opened(load_config(yaml, overrides=["data.train.0.unit=voxel"]))
    np.testing.assert_allclose(stack.truth.positions, line().positions)


def test_the_centreline_is_found_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    def voxels() -> np.ndarray:
        return Stack("a", Volume(image(), SPACING), IntensityRange(0.0, 1.0), line()).centreline

    whole = voxels()
    monkeypatch.setattr(stacks, "SLAB", 5)
    np.testing.assert_array_equal(voxels(), whole)
    assert len(whole) > max(SHAPE) - 10


def test_rendered_volumes_depend_on_seed_and_place_alone(tmp_path: Path) -> None:
    small = Rendered(count=2, shape=(6, 24, 24), spacing=SPACING)
    first = list(render_sets([small, small], tmp_path / "a", seed=0, workers=1))
    second = list(render_sets([small, small], tmp_path / "b", seed=0, workers=1))
    other = list(render_sets([small, small], tmp_path / "c", seed=1, workers=1))
    for made, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(made.image, again.image)
        np.testing.assert_array_equal(made.graph.positions, again.graph.positions)
    images = [made.image.tobytes() for made in (*first, *other)]
    assert len(set(images)) == 8


def test_rendered_volumes_are_made_once(tmp_path: Path) -> None:
    small = Rendered(count=2, shape=(6, 24, 24), spacing=SPACING)
    list(render_sets([small], tmp_path, seed=0, workers=1))
    files = sorted(tmp_path.iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    list(render_sets([small], tmp_path, seed=0, workers=1))
    assert [file.stat().st_mtime_ns for file in sorted(tmp_path.iterdir())] == times
    assert len(files) == 2
