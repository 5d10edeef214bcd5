import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.cli import app as command_line
from topodelin.cli import verbs  # noqa: F401  (registers the verbs)
from topodelin.cli.app import main
from topodelin.volumes import Box, Volume, VolumeError, open_volume
from topodelin.volumes import convert as converting
from topodelin.volumes.changed import as_type, in_slabs, one_channel
from topodelin.volumes.convert import convert, source_text
from topodelin.volumes.lazy import LazyArray, Slices

IMAGE = Volume(phantom("uint16"), SPACING)
COLOURS = Volume(np.stack([phantom(), 7 + phantom()]), SPACING)
NAMES = ("a.ome.zarr", "b.zarr", "a.tif", "a.TIFF", "a.v3draw", "a.npy")


class Recorder(LazyArray):
    """Remembers the slices along z that were read, and fails where it is told to."""

    def __init__(self, array: np.ndarray, fail_at: int | None = None) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.fail_at = fail_at
        self.reads: list[tuple[int, int]] = []

    def read_slices(self, slices: Slices) -> np.ndarray:
        z = slices[-3]
        self.reads.append((z.start, z.stop))
        if self.fail_at is not None and z.stop > self.fail_at:
            raise KeyboardInterrupt
        return self.array[slices]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_phantom_arrives_unturned_with_its_spacing(
    tmp_path: Path, name: str, dtype: str
) -> None:
    path = tmp_path / f"ä {name}"
    done = convert(Volume(phantom(dtype), SPACING), path)
    silent = name in ("a.v3draw", "a.npy")
    volume = open_volume(path, spacing=SPACING if silent else None)
    np.testing.assert_array_equal(volume.data[...], phantom(dtype))
    assert volume.spacing == pytest.approx(SPACING) and volume.dtype == dtype
    assert ("--spacing 1.5,0.25,0.5" in str(done)) is silent
    assert {f.name for f in tmp_path.iterdir()} == {path.name}


@pytest.mark.parametrize("name", NAMES)
def test_channels_stay_apart(tmp_path: Path, name: str) -> None:
    convert(COLOURS, tmp_path / name)
    volume = open_volume(tmp_path / name, spacing=SPACING)
    np.testing.assert_array_equal(volume.data[...], COLOURS.data[...])


def test_a_terafly_folder_by_its_option(tmp_path: Path) -> None:
    convert(IMAGE, tmp_path / "brain", target="terafly", chunks=(4, 8, 8))
    np.testing.assert_array_equal(open_volume(tmp_path / "brain").data[...], phantom())
    with pytest.raises(VolumeError, match="one of 2 channels.*--channel"):
        convert(COLOURS, tmp_path / "other", target="terafly")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_there_is_never_overwritten(tmp_path: Path, name: str) -> None:
    convert(IMAGE, tmp_path / name)
    for restart in (False, True):
        with pytest.raises(VolumeError, match="exists already and is not overwritten"):
            convert(COLOURS, tmp_path / name, restart=restart)
    volume = open_volume(tmp_path / name, spacing=SPACING)
    np.testing.assert_array_equal(volume.data[...], phantom())


@pytest.mark.parametrize("name", ["a.tif", "a.v3draw", "a.npy"])
def test_an_interrupted_file_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        convert(Volume(Recorder(phantom(), fail_at=3), SPACING), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_folder_goes_on_with_the_same_source_only(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    first = Recorder(phantom(), fail_at=4)
    options: dict[str, Any] = {"chunks": (2, 8, 8), "source": "brain"}
    with pytest.raises(KeyboardInterrupt):
        convert(Volume(first, SPACING), path, **options)
    with pytest.raises(VolumeError, match="begun with source brain, now it is other.*--restart"):
        convert(Volume(phantom(), SPACING), path, chunks=(2, 8, 8), source="other")
    second = Recorder(phantom())
    convert(Volume(second, SPACING), path, **options)
    assert first.reads == [(0, 2), (2, 4), (4, 5)] and second.reads == [(4, 5)]
    np.testing.assert_array_equal(open_volume(path).data[...], phantom())
    assert not path.with_name("a.zarr.converting").exists()


def test_a_restart_discards_what_was_begun(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        convert(Volume(Recorder(phantom(), fail_at=4), SPACING), path, chunks=(2, 8, 8))
    convert(Volume(7 + phantom(), SPACING), path, source="other", restart=True)
    np.testing.assert_array_equal(open_volume(path).data[...], 7 + phantom())


def test_other_folders_are_left_alone_by_a_restart(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr/precious").touch()
    with pytest.raises(VolumeError, match="exists already"):
        convert(IMAGE, tmp_path / "a.zarr", restart=True)
    assert (tmp_path / "a.zarr/precious").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"path": "a.mrc"}, "ending names no format.*--to"),
        ({"path": "gone/a.tif"}, "no folder to stand in"),
        ({"path": "a.tif", "chunks": (4, 4, 4)}, "tiff has no chunks"),
        ({"path": "a.npy", "levels": 2}, "npy has no chunks and no levels"),
        ({"path": "a.tif", "target": "jpeg"}, "`target` must be one of"),
        ({"path": "a.tif", "dtype": "int32"}, "tiff holds uint8, .*image is int32; say --dtype"),
        ({"path": "a.v3draw", "dtype": "float64"}, "v3draw holds .*--rescale"),
        ({"path": "a", "target": "terafly", "dtype": "float32"}, "terafly holds uint8, uint16"),
        ({"path": "a.zarr", "chunks": (0, 4, 4)}, "`chunks` must be three positive"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    tmp_path: Path, options: dict[str, Any], error: str
) -> None:
    image = Volume(phantom(options.pop("dtype", "uint8")), SPACING)
    with pytest.raises(ValueError, match=error) as raised:
        convert(image, tmp_path / options.pop("path"), **options)
    assert "\n" not in str(raised.value) and list(tmp_path.iterdir()) == []


def test_a_full_disk_is_seen_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(converting.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(VolumeError, match="needs 0.0 GB, and 0.0 GB are free"):
        convert(IMAGE, tmp_path / "a.tif")


def test_beyond_four_gigabytes_it_is_a_bigtiff_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from topodelin.volumes import tiff_writer

    monkeypatch.setattr(tiff_writer, "CLASSIC_LIMIT", 1000)
    done = convert(IMAGE, tmp_path / "a.tif")
    assert "BigTIFF, which Vaa3D cannot open" in str(done)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif").data[...], phantom())


def test_a_channel_is_taken(tmp_path: Path) -> None:
    np.testing.assert_array_equal(one_channel(COLOURS, 1).data[...], 7 + phantom())
    assert one_channel(IMAGE, 0) is not None and one_channel(IMAGE, 0).data.shape == IMAGE.shape
    with pytest.raises(ValueError, match="`channel` must be 0 to 1, got 2"):
        one_channel(COLOURS, 2)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 300], "uint8"),
        ([-1, 3], "uint16"),
        ([-1, 3], "uint64"),
        ([0.5, 1.0], "uint8"),
        ([1e300, 0.0], "float32"),
        ([2**24 + 1, 0], "float32"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error(values: list[float], dtype: str) -> None:
    image = Volume(np.array(values).reshape(1, 1, 2), SPACING)
    changed = as_type(image, dtype)
    with pytest.raises(VolumeError, match=f"does not fit into {dtype}.*--rescale"):
        changed.read(changed.box)


def test_values_that_fit_are_kept() -> None:
    for dtype in ("uint8", "int32", "float32", "float64"):
        changed = as_type(IMAGE, dtype)
        assert changed.dtype == dtype
        np.testing.assert_array_equal(changed.data[...], phantom())


def test_rescaling_maps_the_percentiles_to_the_range_of_the_type() -> None:
    ramp = Volume(np.arange(-5000.0, 5000.0).reshape(10, 20, 50), SPACING)
    small = as_type(ramp, "uint8", rescale=True).data[...]
    assert small.dtype == np.uint8 and (small.min(), small.max()) == (0, 255)
    assert (np.diff(small.ravel().astype(int)) >= 0).all()
    assert np.median(small) == pytest.approx(127.5, abs=0.5)
    share = as_type(ramp, "float32", rescale=True).data[...]
    assert (share.min(), share.max()) == (0, 1)
    with pytest.raises(ValueError, match="`dtype` must be an integer or float"):
        as_type(ramp, "bool")


def test_slabs_read_each_slice_once() -> None:
    recorder = Recorder(np.zeros((200, 3, 4), np.uint8))
    slabs = in_slabs(Volume(recorder, SPACING))
    for z in range(200):
        slabs.read(Box((z, 1, 0), (z + 1, 2, 4)))
    assert recorder.reads == [(0, 64), (64, 128), (128, 192), (192, 200)]


@given(begin=st.integers(0, 199), length=st.integers(1, 150))
def test_slabs_hold_what_the_volume_holds(begin: int, length: int) -> None:
    array = np.arange(2 * 200 * 3, dtype=np.int64).reshape(2, 200, 1, 3)
    slabs = in_slabs(Volume(array, SPACING)).data
    at = (slice(1, 2), slice(begin, begin + length), 0, slice(1, 3))
    np.testing.assert_array_equal(slabs[at], array[at])


def test_the_source_is_told_by_path_size_time_and_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, phantom())
    before = source_text(str(path))
    assert source_text(str(path), channel=1) != before != source_text(str(path), dtype="uint8")
    np.save(path, phantom("float64"))
    assert source_text(str(path)) != before
    assert source_text("gs://bucket/image") == "gs://bucket/image"


def test_the_command_converts(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COLOURS.data[...])
    arguments = [
        "convert", str(tmp_path / "a.npy"), str(tmp_path / "b.ome.zarr"), "--channel", "1",
        "--spacing", "1.5,0.25,0.5", "--dtype", "uint16", "--chunks", "2,8,8", "--levels", "2",
        "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(command_line, arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(result.output.splitlines()[-1])
    assert (told["target"], told["dtype"]) == ("ome-zarr", "uint16")
    volume = open_volume(tmp_path / "b.ome.zarr")
    np.testing.assert_array_equal(volume.data[...], 7 + phantom())


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--rescale"], "`--rescale` needs `--dtype`"),
        (["--chunks", "2,2"], "`--chunks` must be z,y,x"),
        (["--spacing", "1e-6,1e-6,1e-6"], "must be in µm"),
        ([], "--spacing z,y,x"),
    ],
)
def test_bad_options_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    message: str,
) -> None:
    np.save(tmp_path / "a.npy", phantom())
    spacing = [] if "--spacing" in extra or not extra else ["--spacing", "1,1,1"]
    command = ["topodelin", "convert", str(tmp_path / "a.npy"), str(tmp_path / "b.zarr")]
    monkeypatch.setattr(sys, "argv", [*command, *spacing, *extra])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1
    assert [f.name for f in tmp_path.iterdir()] == ["a.npy"]
