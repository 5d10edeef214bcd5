import hashlib
import re

import numpy as np
import pytest

from topodelin.demo import STACK, TRUTH
from topodelin.demo.packaged import DATA
from topodelin.graphs import check_swc, read_swc
from topodelin.volumes import open_volume

VOLUME = open_volume(STACK)
CENTRELINES = read_swc(TRUTH)


def voxels() -> np.ndarray:
    return VOLUME.read(VOLUME.box)


def test_the_packaged_files_stay_below_four_megabytes() -> None:
    assert sum(file.stat().st_size for file in DATA.rglob("*")) < 4_000_000


def test_the_licence_of_the_data_is_packaged_with_it() -> None:
    notice = (DATA / "LICENSE-data").read_text(encoding="utf-8")
    assert "Copyright (c) 2018 cudmore" in notice
    assert "shall be included in all" in notice


def test_the_stack_brings_its_own_spacing() -> None:
    assert VOLUME.spacing == pytest.approx((1.0, 0.12, 0.12))
    assert VOLUME.shape == (30, 320, 734)
    assert VOLUME.dtype == np.uint8


def test_the_voxels_are_those_that_the_readme_vouches_for() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(voxels().tobytes()).hexdigest() in readme
    counted = re.search(r"of the ([\d,]+) voxels", readme)
    assert counted and int(counted[1].replace(",", "")) == voxels().size


def test_the_truth_is_one_tree_inside_the_stack() -> None:
    assert check_swc(TRUTH) == []
    assert CENTRELINES.components.max() == 0
    assert sorted(CENTRELINES.degrees[CENTRELINES.degrees != 2]) == [1, 1, 1, 3]
    assert CENTRELINES.length == pytest.approx(151.2, abs=0.1)
    assert CENTRELINES.lengths.max() < 1.1
    last = np.multiply(np.subtract(VOLUME.shape, 1), VOLUME.spacing)
    assert (CENTRELINES.positions >= 0).all() and (CENTRELINES.positions <= last).all()


def test_the_truth_runs_along_bright_voxels() -> None:
    image = voxels()
    z, y, x = np.round(CENTRELINES.positions / VOLUME.spacing).astype(int).T
    under = image[z, y, x].astype(float)
    assert under.mean() > 20 * image.mean()
    assert np.median(under) > np.percentile(image, 99)


def test_the_truth_mirrored_along_any_axis_lies_in_the_dark() -> None:
    image = voxels()
    index = np.round(CENTRELINES.positions / VOLUME.spacing).astype(int)
    right = image[tuple(index.T)].mean()
    for axis, size in enumerate(VOLUME.shape):
        mirrored = index.copy()
        mirrored[:, axis] = size - 1 - mirrored[:, axis]
        assert image[tuple(mirrored.T)].mean() < 0.5 * right
