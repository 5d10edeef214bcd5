import shutil
from pathlib import Path

import numpy as np
import pytest
from v3dpy.terafly import TeraflyInterface

from tests.topodelin.export.small_run import bars, phantom_npy, write_run
from tests.topodelin.volumes.phantom import SHAPE, SPACING
from topodelin.export import FinishedRun
from topodelin.export.overlay_volume import OverlayRecipe, overlay_source
from topodelin.export.terafly import export_terafly
from topodelin.graphs import read_ano, read_apo
from topodelin.volumes import Box, VolumeError, open_volume

INTENSITY = {"low": 0.0, "high": 100.0}
TILE = (4, 8, 16)


@pytest.fixture
def run(tmp_path: Path) -> FinishedRun:
    image = phantom_npy(tmp_path)
    return write_run(tmp_path / "run", bars(), image=image, spacing=SPACING, intensity=INTENSITY)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_another_reader_finds_the_overlay(tmp_path: Path, run: FinishedRun, dtype: str) -> None:
    exported = export_terafly(run, tmp_path / "out", dtype=dtype, tile=TILE)
    z, y, x = SHAPE
    reader = TeraflyInterface(str(exported.paths[0] / f"RES({y}x{x}x{z})"))
    overlay = overlay_source(run, OverlayRecipe(dtype=dtype)).volume()
    seen = reader.get_sub_volume(0, x, 0, y, 0, z)[0]
    np.testing.assert_array_equal(seen, overlay.read(overlay.box))
    assert open_volume(exported.paths[0]).spacing == SPACING
    assert "RES(17x29x5)" in str(exported) and "tracing.ano" in str(exported)


def test_tracings_and_markers_lie_beside_it_in_voxels(tmp_path: Path, run: FinishedRun) -> None:
    export_terafly(run, tmp_path / "out", box=Box((0, 0, 10), (5, 17, 29)))
    linked = read_ano(tmp_path / "out" / "tracing.ano")
    assert [f.name for f in (*linked.swc, *linked.apo)] == ["tracing.vox.eswc", "tracing.apo"]
    rows = np.loadtxt(linked.swc[0], ndmin=2)
    assert rows[:, 2].max() == 9
    assert [m.position for m in read_apo(linked.apo[0])] == [(3.0, 1.0, 9.0)]


def test_without_weight_the_pyramid_shows_the_image(tmp_path: Path, run: FinishedRun) -> None:
    export_terafly(run, tmp_path / "out", factor=0)
    volume = open_volume(tmp_path / "out" / "pyramid")
    shown = np.rint(run.image.read(run.image.box) * 2.55)
    np.testing.assert_allclose(volume.read(volume.box), shown, atol=1)


def test_a_second_time_nothing_is_computed_again(tmp_path: Path, run: FinishedRun) -> None:
    export_terafly(run, tmp_path / "out", tile=TILE)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.tif")}
    export_terafly(run, tmp_path / "out", tile=TILE)
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.tif")}


def test_an_overlay_of_another_recipe_is_not_mixed_in(tmp_path: Path, run: FinishedRun) -> None:
    export_terafly(run, tmp_path / "out")
    with pytest.raises(VolumeError, match="holds a pyramid with clip = 6.0, now it is 3"):
        export_terafly(run, tmp_path / "out", clip=3)


def test_a_full_disk_is_foreseen(
    tmp_path: Path, run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(ValueError, match="10 B are free; name a box of the image"):
        export_terafly(run, tmp_path / "out")
