from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import Volume, VolumeError, open_volume, tiff_writer
from topodelin.volumes.tiff_spacing import tiff_spacing
from topodelin.volumes.tiff_writer import write_tiff_stack

ODD = (1.4737, 0.1357, 0.3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_phantom_and_its_spacing_come_back(tmp_path: Path, dtype: str, bigtiff: bool) -> None:
    write_tiff_stack(tmp_path / "a.tif", Volume(phantom(dtype), ODD), bigtiff=bigtiff)
    volume = open_volume(tmp_path / "a.tif")
    assert volume.dtype == dtype and volume.spacing == pytest.approx(ODD, rel=1e-6)
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), phantom(dtype))


def test_channels_come_back(tmp_path: Path) -> None:
    channels = np.stack([phantom(), 7 - phantom()])
    write_tiff_stack(tmp_path / "a.tif", Volume(channels, SPACING))
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif").data[...], channels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_three_channels_become_colours(tmp_path: Path, dtype: str) -> None:
    colours = np.stack([phantom(dtype), 3 * phantom(dtype), 0 * phantom(dtype)])
    write_tiff_stack(tmp_path / "a.tif", Volume(colours, SPACING), rgb=True)
    assert tiff_spacing(tmp_path / "a.tif") == pytest.approx(SPACING)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), np.moveaxis(colours, 0, -1))


@pytest.mark.parametrize("rgb", [False, True])
def test_every_page_says_which_it_is_of_how_many(tmp_path: Path, rgb: bool) -> None:
    image = np.stack([phantom()] * 3) if rgb else phantom()
    write_tiff_stack(tmp_path / "a.tif", Volume(image, SPACING), rgb=rgb)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        pages: Any = tif.pages
        assert [page.tags["PageNumber"].value for page in pages] == [(n, 5) for n in range(5)]
        assert {page.tags["NewSubfileType"].value for page in pages} == {2}
        assert {page.compression for page in pages} == {1}
        assert {len(page.dataoffsets) for page in pages} == {1}
        assert not tif.is_bigtiff


def test_bands_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_writer, "BAND_BYTES", 2 * 17 * 29)
    told: list[tuple[int, int]] = []
    write_tiff_stack(
        tmp_path / "a.tif", Volume(phantom(), SPACING), progress=lambda *each: told.append(each)
    )
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), phantom())
    assert told == [(n, 5) for n in range(1, 6)]


def test_more_than_4_gb_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    image = np.broadcast_to(np.uint8(0), (1100, 2000, 2000))
    with pytest.raises(VolumeError, match=r"a\.tif: 1100 pages and 4,400,\d+,\d+ bytes.*TeraFly"):
        write_tiff_stack(tmp_path / "a.tif", Volume(image, SPACING))
    assert not list(tmp_path.iterdir())


def test_more_pages_than_a_tag_can_count_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="65536 pages"):
        write_tiff_stack(tmp_path / "a.tif", Volume(np.zeros((65536, 1, 1), "u1"), SPACING))


def test_floats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="uint8 or uint16, got float32"):
        write_tiff_stack(tmp_path / "a.tif", Volume(phantom("float32"), SPACING))


def test_two_channels_are_no_colour(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"`rgb` needs .*\(2, 5, 17, 29\)"):
        write_tiff_stack(tmp_path / "a.tif", Volume(np.stack([phantom()] * 2), SPACING), rgb=True)
