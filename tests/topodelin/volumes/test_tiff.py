import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from topodelin.volumes import Box, VolumeError, open_volume

STACK: dict[str, dict[str, Any]] = {
    "plain": {},
    "page by page": {"metadata": None, "contiguous": False},
    "bigtiff": {"bigtiff": True},
    "big-endian": {"byteorder": ">", "metadata": None, "contiguous": False},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
    "strips": {"rowsperstrip": 4, "metadata": None},
    "deflate": {"compression": "deflate"},
    "deflate in strips": {"compression": "deflate", "rowsperstrip": 4},
    "deflate in tiles": {"compression": "deflate", "tile": (16, 16)},
    "tiles": {"tile": (16, 16)},
    "big-endian deflate": {"byteorder": ">", "compression": "deflate"},
    "predictor": {"compression": "deflate", "predictor": True},
    "ome deflate": {"ome": True, "compression": "deflate", "metadata": {"axes": "ZYX"}},
}


def write(path: Path, array: np.ndarray, **options: Any) -> Path:
    if options.pop("contiguous", True):
        tifffile.imwrite(path, array, photometric="minisblack", **options)
        return path
    byteorder = options.pop("byteorder", "<")
    with tifffile.TiffWriter(path, byteorder=byteorder) as tif:
        for page in array:
            tif.write(page, contiguous=False, photometric="minisblack", **options)
    return path


@pytest.mark.parametrize("flavour", STACK)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_phantom_comes_back_unturned(tmp_path: Path, flavour: str, dtype: str) -> None:
    path = write(tmp_path / "a.tif", phantom(dtype), **STACK[flavour])
    volume = open_volume(path, spacing=SPACING)
    assert (volume.shape, volume.dtype, volume.spacing) == (SHAPE, np.dtype(dtype), SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    assert volume.read(Box((0, 0, 0), (1, 1, 1))).item() == 100


@pytest.mark.parametrize("flavour", STACK)
def test_any_box_equals_the_same_part_of_the_whole(tmp_path: Path, flavour: str) -> None:
    path = write(tmp_path / "a.tif", phantom("uint16"), **STACK[flavour])
    volume = open_volume(path, spacing=SPACING)
    rng = np.random.default_rng(3)
    corners = np.sort([[rng.integers(0, n + 1, 2) for n in SHAPE] for _ in range(20)], axis=-1)
    boxes = [Box(tuple(c[:, 0].tolist()), tuple(c[:, 1].tolist())) for c in corners]
    same = [np.array_equal(volume.read(b), phantom("uint16")[b.slices]) for b in boxes]
    assert all(same)


@pytest.mark.parametrize("dtype", ["int16", "uint32", "float32", "float64"])
def test_values_keep_their_type(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "a.tif", phantom(dtype), compression="deflate")
    read = open_volume(path, spacing=SPACING).data[...]
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, phantom(dtype))


def test_black_and_white_pixels_are_read_as_bool(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", phantom("bool"))
    volume = open_volume(path, spacing=SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom("bool"))


@pytest.mark.parametrize("flavour", ["deflate", "plain"])
def test_a_volume_can_be_sent_to_another_process(tmp_path: Path, flavour: str) -> None:
    volume = open_volume(write(tmp_path / "a.tif", phantom(), **STACK[flavour]), spacing=SPACING)
    volume.read(volume.box)
    copy = pickle.dumps(volume)
    assert len(copy) < 2000
    np.testing.assert_array_equal(pickle.loads(copy).data[...], phantom())


@pytest.mark.parametrize(
    ("kind", "axes"), [({"imagej": True}, "ZCYX"), ({"ome": True}, "ZCYX"), ({"ome": True}, "CZYX")]
)
def test_channels_come_first(tmp_path: Path, kind: dict[str, bool], axes: str) -> None:
    channels = np.stack([phantom(), phantom()[::-1], 7 - phantom()])
    stored = channels if axes == "CZYX" else channels.transpose(1, 0, 2, 3)
    path = write(tmp_path / "a.tif", stored, metadata={"axes": axes}, **kind)
    volume = open_volume(path, spacing=SPACING)
    assert volume.data.shape == (3, *SHAPE)
    np.testing.assert_array_equal(volume.data[...], channels)
    np.testing.assert_array_equal(volume.data[1, 2:4], channels[1, 2:4])


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("um", 1.0), ("micron", 1.0), ("nm", 1e-3), ("mm", 1e3), ("\\u00B5m", 1.0)],
)
def test_imagej_tells_the_spacing(tmp_path: Path, unit: str, factor: float) -> None:
    path = write(
        tmp_path / "a.tif",
        phantom(),
        imagej=True,
        resolution=(1 / SPACING[2], 1 / SPACING[1]),
        metadata={"spacing": SPACING[0], "unit": unit, "axes": "ZYX"},
    )
    assert open_volume(path).spacing == pytest.approx([factor * s for s in SPACING])


@pytest.mark.parametrize(("unit", "factor"), [("µm", 1.0), ("nm", 1e-3), ("mm", 1e3), (None, 1.0)])
def test_ome_tells_the_spacing(tmp_path: Path, unit: str | None, factor: float) -> None:
    metadata: dict[str, Any] = {"axes": "ZYX"}
    for axis, value in zip("ZYX", SPACING, strict=True):
        metadata[f"PhysicalSize{axis}"] = value
        if unit:
            metadata[f"PhysicalSize{axis}Unit"] = unit
    path = write(tmp_path / "a.tif", phantom(), ome=True, metadata=metadata)
    assert open_volume(path).spacing == pytest.approx([factor * s for s in SPACING])
    assert open_volume(path, spacing=(9, 8, 7)).spacing == (9, 8, 7)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"imagej": True, "metadata": {"spacing": 2.0, "unit": "inch", "axes": "ZYX"}},
        {"imagej": True, "metadata": {"spacing": 2.0, "unit": "pixel", "axes": "ZYX"}},
        {"imagej": True, "metadata": {"spacing": -2.0, "unit": "um", "axes": "ZYX"}},
        {"imagej": True, "metadata": {"unit": "um", "axes": "ZYX"}},
        {"ome": True, "metadata": {"PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0, "axes": "ZYX"}},
        {
            "ome": True,
            "metadata": {
                "PhysicalSizeX": 1.0,
                "PhysicalSizeY": 1.0,
                "PhysicalSizeZ": 1.0,
                "PhysicalSizeZUnit": "pixel",
                "axes": "ZYX",
            },
        },
    ],
)
def test_a_file_without_spacing_is_refused_with_the_flag(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = write(tmp_path / "lost.tif", phantom(), **options)
    with pytest.raises(VolumeError, match=re.escape(str(path)) + ".*--spacing z,y,x") as error:
        open_volume(path)
    assert "\n" not in str(error.value)


def test_a_small_box_of_a_hundred_gigabytes_is_read_alone(tmp_path: Path) -> None:
    # 2048 planes of 7000 x 7000 pixels; the file is sparse, it holds a few pages on disk
    path = tmp_path / "brain.tif"
    shape = (2048, 7000, 7000)
    mapped = tifffile.memmap(path, shape=shape, dtype="uint8", bigtiff=True)
    mapped[1000, 5000, 6000:6010] = range(10)
    del mapped
    assert path.stat().st_size > 100e9
    before = _bytes_read()
    volume = open_volume(path, spacing=(1, 1, 1))
    read = volume.read(Box((999, 4990, 5990), (1009, 5000 + 10, 6020)))
    assert read[1, 10, 10:20].tolist() == list(range(10))
    assert int(read.sum(dtype=int)) == 45
    assert _bytes_read() - before < 5e6


def test_a_small_box_of_compressed_pages_decodes_few_of_them(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 256, 256), dtype=np.uint8)
    path = write(tmp_path / "a.tif", noise, compression="deflate", rowsperstrip=16)
    volume = open_volume(path, spacing=(1, 1, 1))
    before = _bytes_read()
    np.testing.assert_array_equal(volume.data[20, 100:110, :5], noise[20, 100:110, :5])
    assert _bytes_read() - before < path.stat().st_size / 20


def _bytes_read() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"]) if os.path.exists("/proc/self/io") else 0


FAULTS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "colour": (np.zeros((5, 9, 11, 3), np.uint8), {"photometric": "rgb"}, "colour.*Split Channels"),
    "planar colour": (
        np.zeros((3, 9, 11), np.uint8),
        {"photometric": "rgb", "planarconfig": "separate"},
        "colour",
    ),
    "flat": (np.zeros((9, 11), np.uint8), {}, "2-D image"),
    "complex": (np.zeros((5, 9, 11), np.complex64), {}, "complex64.*convert"),
    "movie": (
        np.zeros((5, 9, 11), np.uint8),
        {"imagej": True, "metadata": {"axes": "TYX"}},
        "5 planes are marked as time",
    ),
    "movie of stacks": (
        np.zeros((2, 5, 9, 11), np.uint8),
        {"ome": True, "metadata": {"axes": "TZYX"}},
        "axes TZYX",
    ),
    "channels without slices": (
        np.zeros((5, 9, 11), np.uint8),
        {"imagej": True, "metadata": {"axes": "CYX"}},
        "5 planes are marked as channels",
    ),
    "unnamed axes": (np.zeros((2, 5, 9, 11), np.uint8), {}, "axes"),
    "not finite": (np.full((5, 9, 11), np.nan, np.float32), {}, "495 voxels.*nan_to_num"),
    "one infinity": (
        np.where(np.arange(495).reshape(5, 9, 11) == 300, np.inf, 0).astype(np.float32),
        {"compression": "deflate"},
        r"1 voxels.*\(3, 0, 3\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_grey_stack_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    array, options, message = FAULTS[fault]
    path = tmp_path / "bad.tif"
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    with pytest.raises(VolumeError, match=message) as error:
        volume = open_volume(path, spacing=(1, 1, 1))
        volume.read(volume.box)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_pages_of_different_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(np.zeros((9, 11), np.uint8))
        tif.write(np.zeros((8, 11), np.uint8))
    with pytest.raises(VolumeError, match="different sizes"):
        open_volume(path, spacing=(1, 1, 1))


def test_a_missing_codec_names_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.tif", phantom(), compression="deflate")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for page in tif.pages:
            offset = page.aspage().tags["Compression"].valueoffset
            content[offset : offset + 2] = (5).to_bytes(2, "little")  # LZW
    path.write_bytes(content)
    monkeypatch.setattr(
        type(tifffile.TIFF.DECOMPRESSORS),
        "__getitem__",
        _no_codec,
    )
    volume = open_volume(path, spacing=SPACING)
    with pytest.raises(VolumeError, match=r'LZW.*pip install "topodelin\[io\]"'):
        volume.read(volume.box)


def _no_codec(self: Any, key: int) -> Any:
    raise KeyError(f"<COMPRESSION.LZW: {key}> requires the 'imagecodecs' package")


ONE_PAGE = {
    "Fiji beyond 4 GB": "ImageJ=1.54f\nimages=5\nslices=5\nloop=false\n",
    "tifffile": '{"shape": [5, 17, 29]}',
}


@pytest.mark.parametrize("description", ONE_PAGE.values(), ids=ONE_PAGE)
def test_one_page_may_stand_for_all_planes_that_follow_it(tmp_path: Path, description: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, phantom()[0], description=description, metadata=None)
    path.write_bytes(path.read_bytes() + phantom()[1:].tobytes())
    volume = open_volume(path, spacing=SPACING)
    np.testing.assert_array_equal(volume.data[...], phantom())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VolumeError, match=r"a\.tif: is truncated"):
        open_volume(path, spacing=SPACING)


@pytest.mark.parametrize("flavour", STACK)
@given(data=st.data())
def test_a_cut_file_is_never_read_as_if_it_were_whole(
    tmp_path_factory: pytest.TempPathFactory, flavour: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.tif"
    content = write(path, phantom("uint16"), **STACK[flavour]).read_bytes()
    length = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:length])
    try:
        volume = open_volume(path, spacing=SPACING)
        read = volume.read(volume.box)
    except VolumeError as error:
        assert str(path) in str(error)
    else:  # what was cut off is no pixel
        np.testing.assert_array_equal(read, phantom("uint16"))


@pytest.mark.parametrize("flavour", ["plain", "page by page", "imagej", "ome", "deflate in tiles"])
@given(data=st.data())
def test_damaged_bytes_give_an_error_of_ours_or_an_image(
    tmp_path_factory: pytest.TempPathFactory, flavour: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("rot") / "a.tif"
    content = bytearray(write(path, phantom(), **STACK[flavour]).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        volume = open_volume(path, spacing=SPACING)
        volume.read(volume.box & Box((0, 0, 0), (50, 50, 50)))
        open_volume(path)
    except VolumeError as error:
        assert "\n" not in str(error)
