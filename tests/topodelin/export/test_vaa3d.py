import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from v3dpy.loaders import Raw

from tests.topodelin.export.small_run import SPOTS, bars, phantom_npy, write_run
from tests.topodelin.volumes.phantom import SHAPE, SPACING
from topodelin.delineation.tracing.spots import KINDS
from topodelin.export import FinishedRun
from topodelin.export.overlay_volume import OverlayRecipe, overlay_source
from topodelin.export.vaa3d import export_vaa3d
from topodelin.export.vaa3d_drawings import SEED_COLOUR, SPOT_COLOURS
from topodelin.graphs import read_ano, read_apo, read_swc
from topodelin.volumes import Box, open_volume

INTENSITY = {"low": 0.0, "high": 100.0}


@pytest.fixture
def run(tmp_path: Path) -> FinishedRun:
    image = phantom_npy(tmp_path)
    return write_run(tmp_path / "run", bars(), image=image, spacing=SPACING, intensity=INTENSITY)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_small_image_is_one_picture_that_other_readers_open(
    tmp_path: Path, run: FinishedRun, colour: str, dtype: str
) -> None:
    exported = export_vaa3d(run, tmp_path / "out", colour=colour, dtype=dtype)
    names = [f"whole.{end}" for end in ("v3draw", "tif", "ano", "vox.swc", "vox.eswc", "apo")]
    assert [path.name for path in exported.paths] == [*names, "um"]
    overlay = overlay_source(run, OverlayRecipe(colour=colour, dtype=dtype)).volume()
    expected = overlay.read(overlay.box).reshape(-1, *SHAPE)
    np.testing.assert_array_equal(Raw().load(str(tmp_path / "out" / "whole.v3draw")), expected)
    pages = tifffile.imread(tmp_path / "out" / "whole.tif")
    np.testing.assert_array_equal(pages.reshape(*SHAPE, -1), np.moveaxis(expected, 0, -1))


def test_the_tiff_keeps_the_spacing_of_the_image(tmp_path: Path, run: FinishedRun) -> None:
    export_vaa3d(run, tmp_path / "out")
    assert open_volume(tmp_path / "out" / "whole.tif").spacing == pytest.approx(SPACING)


def test_drawings_are_in_voxels_of_the_picture(tmp_path: Path, run: FinishedRun) -> None:
    export_vaa3d(run, tmp_path / "out")
    rows = np.loadtxt(tmp_path / "out" / "whole.vox.swc")
    ends = {(0, 0, 0), (0, 0, 3), (0, 8, 0), (19, 0, 0)}  # x, y, z of the bars of the phantom
    assert ends <= {tuple(row) for row in rows[:, 2:5].tolist()}
    markers = read_apo(tmp_path / "out" / "whole.apo")
    assert [m.name for m in markers] == [
        "001 failed_cube", "002 bright_end", "003 gap", "seed 1", "seed 2",
    ]  # fmt: skip
    assert [m.colour for m in markers[1:4]] == [(0, 255, 255), (255, 0, 0), SEED_COLOUR]
    assert markers[2].position == (1.0, 8.0, 1.0)


def test_every_kind_of_spot_has_a_colour_of_its_own() -> None:
    assert set(SPOT_COLOURS) == set(KINDS)
    assert len({*SPOT_COLOURS.values(), SEED_COLOUR}) == len(KINDS) + 1


def test_neurons_are_kept_in_micrometres_too(tmp_path: Path, run: FinishedRun) -> None:
    export_vaa3d(run, tmp_path / "out")
    for (name, graph), number in zip(run.graphs(), (1, 2), strict=True):
        copy = read_swc(tmp_path / "out" / "um" / f"tree_{number:04d}.um.swc")
        assert name == f"tree_{number:04d}"
        np.testing.assert_allclose(copy.positions, graph.positions, atol=1e-4)
        assert (tmp_path / "out" / "um" / f"{name}.um.eswc").is_file()


def test_the_linker_names_picture_tracing_and_markers(tmp_path: Path, run: FinishedRun) -> None:
    export_vaa3d(run, tmp_path / "out")
    linked = read_ano(tmp_path / "out" / "whole.ano")
    files = [*linked.images, *linked.swc, *linked.apo]
    assert [f.name for f in files] == ["whole.v3draw", "whole.vox.eswc", "whole.apo"]
    assert all(file.is_file() for file in files)


def test_a_box_is_drawn_in_its_own_voxels(tmp_path: Path, run: FinishedRun) -> None:
    box = Box((0, 0, 10), (5, 17, 29))
    export_vaa3d(run, tmp_path / "out", box=box)
    rows = np.loadtxt(tmp_path / "out" / "box_0_0_10.vox.swc", ndmin=2)
    assert rows[:, 2].max() == 9  # the bar along x ends at voxel 19
    assert rows[:, 2].min() == -10  # and its other end, outside the picture, is kept
    image = Raw().load(str(tmp_path / "out" / "box_0_0_10.v3draw"))[0]
    whole = overlay_source(run, OverlayRecipe()).volume()
    np.testing.assert_array_equal(image, whole.read(box))
    assert not any(
        "seed" in marker.name for marker in read_apo(tmp_path / "out" / "box_0_0_10.apo")
    )


def test_a_preview_comes_with_drawings_in_its_own_voxels(tmp_path: Path, run: FinishedRun) -> None:
    exported = export_vaa3d(run, tmp_path / "out", longest=10)
    assert exported.paths[0].name == "preview.v3draw"
    rows = np.loadtxt(tmp_path / "out" / "preview.vox.swc")
    # voxels of 1, 6 and 3 voxels of the image, whose centres are at 0, 2.5 and 1 of these
    far = ((19 - 1) / 3, (0 - 2.5) / 6, 0)
    assert np.abs(rows[:, 2:5] - far).sum(axis=1).min() < 1e-3
    picture = Raw().load(str(tmp_path / "out" / "preview.v3draw"))[0]
    x, y, z = np.rint(far).astype(int)
    assert picture[z, y, x] > 2 * np.median(picture)


def test_around_each_neuron_when_the_image_is_too_large(tmp_path: Path, run: FinishedRun) -> None:
    exported = export_vaa3d(run, tmp_path / "out", max_voxels=1000, margin_um=1.0)
    # tree 1 spans 5 x 13 x 3 voxels with its margin, tree 2 2 x 5 x 22
    names = {path.name for path in exported.paths if path.suffix == ".v3draw"}
    assert names == {"tree_0001.v3draw", "tree_0002.v3draw"}
    assert Raw().load(str(tmp_path / "out" / "tree_0002.v3draw")).shape == (1, 2, 5, 22)


def test_a_neuron_too_large_for_one_picture_is_said(tmp_path: Path, run: FinishedRun) -> None:
    exported = export_vaa3d(run, tmp_path / "out", max_voxels=200, margin_um=1.0, longest=10)
    assert "tree_0002: (2, 5, 22) voxels are too many" in str(exported)
    assert "tree_0001.v3draw" in str(exported)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"box": Box((0, 0, 0), (5, 17, 29)), "max_voxels": 100}, "more than `max_voxels` = 100"),
        (
            {"max_voxels": 1000, "margin_um": 1.0, "max_total_voxels": 100},
            "more than `max_total_voxels` = 100",
        ),
        ({"box": Box((0, 0, 0), (5, 17, 30))}, "`box` must lie inside"),
        ({"colour": "cmyk"}, "`colour` must be grey or rgb"),
        ({"dtype": "int8"}, "`dtype` must be"),
        ({"longest": 0}, "`longest` must be"),
    ],
)
def test_too_much_or_wrong_is_refused_before_anything_is_written(
    tmp_path: Path, run: FinishedRun, options: dict, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        export_vaa3d(run, tmp_path / "out", **options)
    assert not list(tmp_path.glob("out/*"))


def test_a_full_disk_is_foreseen(
    tmp_path: Path, run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ValueError, match="out: .* are to be written and 1 KB are free"):
        export_vaa3d(run, tmp_path / "out")


def test_a_run_without_neurites_still_gives_its_picture(tmp_path: Path) -> None:
    image = phantom_npy(tmp_path)
    run = write_run(
        tmp_path / "r", [], image=image, spacing=SPACING, spots=SPOTS[:1], intensity=INTENSITY
    )
    export_vaa3d(run, tmp_path / "out")
    assert not (tmp_path / "out" / "whole.vox.swc").exists()
    assert read_ano(tmp_path / "out" / "whole.ano").swc == ()
