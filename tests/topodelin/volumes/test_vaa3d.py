import pickle
import struct
from math import prod
from pathlib import Path

import numpy as np
import pytest
from v3dpy.loaders import Raw

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import Box, Volume, VolumeError, vaa3d
from topodelin.volumes.lazy import LazyArray, Slices
from topodelin.volumes.vaa3d import open_v3d, write_v3draw


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_is_written_another_reader_reads_unturned(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.v3draw"
    write_v3draw(path, Volume(phantom(dtype), SPACING))
    np.testing.assert_array_equal(Raw().load(str(path)), phantom(dtype)[None])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_another_writer_wrote_is_read_unturned(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.v3draw"
    Raw().save(str(path), phantom(dtype)[None])
    volume = open_v3d(path, SPACING)
    assert volume.spacing == SPACING and volume.dtype == dtype
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    box = Box((1, 2, 3), (4, 9, 10))
    np.testing.assert_array_equal(volume.read(box), phantom(dtype)[box.slices])


def test_floats_and_channels_come_back(tmp_path: Path) -> None:
    channels = np.stack([phantom("float32"), 0.5 - phantom("float32")])
    write_v3draw(tmp_path / "a.v3draw", Volume(channels, SPACING))
    volume = open_v3d(tmp_path / "a.v3draw", SPACING)
    np.testing.assert_array_equal(volume.data[...], channels)
    np.testing.assert_array_equal(Raw().load(str(tmp_path / "a.v3draw")), channels)


def test_the_bytes_by_hand(tmp_path: Path) -> None:
    image = np.array([[[1, 2], [3, 4], [5, 600]]], np.uint16)  # x 2, y 3, z 1, c 1
    write_v3draw(tmp_path / "a.v3draw", Volume(image, SPACING))
    expected = b"raw_image_stack_by_hpengL\2\0" + b"\2\0\0\0\3\0\0\0\1\0\0\0\1\0\0\0"
    expected += bytes([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 88, 2])
    assert (tmp_path / "a.v3draw").read_bytes() == expected


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("sizes", ["4h", "4i"])
@pytest.mark.parametrize(("code", "dtype"), [(1, "u1"), (2, "u2"), (4, "f4")])
def test_both_byte_orders_and_both_widths_of_sizes(
    tmp_path: Path, order: str, sizes: str, code: int, dtype: str
) -> None:
    mark = {"<": b"L", ">": b"B"}[order]
    header = struct.pack(order + "h", code) + struct.pack(order + sizes, 29, 17, 5, 1)
    voxels = phantom().astype(order + dtype).tobytes()
    (tmp_path / "a.v3draw").write_bytes(vaa3d.RAW_KEY + mark + header + voxels)
    volume = open_v3d(tmp_path / "a.v3draw", SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom())


def test_bands_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaa3d, "BAND_BYTES", 2 * 17 * 29)
    channels, told = np.stack([phantom(), 7 - phantom()]), []
    write_v3draw(
        tmp_path / "a.v3draw", Volume(channels, SPACING), progress=lambda *each: told.append(each)
    )
    volume = open_v3d(tmp_path / "a.v3draw", SPACING)
    np.testing.assert_array_equal(volume.data[...], channels)
    assert told == [(n, 6) for n in range(1, 7)]


class Vanishing(LazyArray):
    """A volume whose store is gone after its first slices."""

    shape, dtype = (5, 17, 29), np.dtype("uint8")

    def read_slices(self, slices: Slices) -> np.ndarray:
        if slices[0].start > 0:
            raise OSError("the disk is gone")
        return np.zeros([s.stop - s.start for s in slices], self.dtype)


def test_a_write_that_fails_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vaa3d, "BAND_BYTES", 1)
    path = tmp_path / "a.v3draw"
    write_v3draw(path, Volume(phantom(), SPACING))
    with pytest.raises(OSError, match="gone"):
        write_v3draw(path, Volume(Vanishing(), SPACING))
    np.testing.assert_array_equal(
        open_v3d(path, SPACING).read(Box((0, 0, 0), (5, 17, 29))), phantom()
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.v3draw"]


def test_a_brain_opens_at_once(tmp_path: Path) -> None:
    sizes = (7000, 7000, 2048, 1)
    with (tmp_path / "a.v3draw").open("wb") as file:
        file.write(vaa3d.RAW_KEY + b"L" + struct.pack("<h4i", 1, *sizes))
        file.truncate(43 + prod(sizes))
    volume = open_v3d(tmp_path / "a.v3draw", SPACING)
    assert len(pickle.dumps(volume)) < 1000
    assert not volume.read(Box((2040, 6990, 6990), (2048, 7000, 7000))).any()


def test_an_integer_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="uint8, uint16 or float32, got int64"):
        write_v3draw(tmp_path / "a.v3draw", Volume(phantom("int64"), SPACING))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"L\1\0", "truncated"),
        (b"X\1\0" + struct.pack("<4i", 2, 2, 2, 1) + bytes(8), "byte order"),
        (b"L\3\0" + struct.pack("<4i", 2, 2, 2, 1) + bytes(8), "3 bytes per voxel"),
        (b"L\1\0" + struct.pack("<4i", 2, -2, 2, 1) + bytes(8), "impossible sizes"),
        (b"L\1\0" + struct.pack("<4i", 2, 2, 2, 1) + bytes(7), "truncated"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, start: bytes, reason: str) -> None:
    (tmp_path / "a.v3draw").write_bytes(vaa3d.RAW_KEY + start)
    with pytest.raises(VolumeError, match=rf"a\.v3draw: .*{reason}"):
        open_v3d(tmp_path / "a.v3draw", SPACING)


def test_the_spacing_has_to_be_given(tmp_path: Path) -> None:
    write_v3draw(tmp_path / "a.v3draw", Volume(phantom(), SPACING))
    with pytest.raises(VolumeError, match="--spacing z,y,x"):
        open_v3d(tmp_path / "a.v3draw")
