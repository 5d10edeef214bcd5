import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from v3dpy.loaders import PBD

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import Box, VolumeError, vaa3d
from topodelin.volumes.vaa3d import open_v3d


def pack(path: Path, blocks: list[int], count: int, size: int, order: str = "<") -> Path:
    mark = {"<": b"L", ">": b"B"}[order]
    header = struct.pack(order + "h4i", size, count, 1, 1, 1)
    path.write_bytes(vaa3d.PBD_KEY + mark + header + bytes(blocks))
    return path


def unpack(path: Path) -> list[int]:
    volume = open_v3d(path, SPACING)
    return volume.read(volume.box).ravel().tolist()


@pytest.mark.parametrize(
    ("blocks", "voxels"),
    [
        ([2, 5, 6, 7], [5, 6, 7]),
        ([130, 9], [9, 9, 9]),
        ([0, 100, 36, 0b11_10_01_00], [100, 100, 101, 103, 102]),
        ([0, 100, 37, 0b11_10_01_00, 1], [100, 100, 101, 103, 102, 103]),
        ([128, 9, 33, 1, 0, 4, 33, 3], [9, 10, 4, 3]),
        ([33, 3, 33, 1], [255, 0]),
    ],
)
def test_blocks_of_8_bits_by_hand(tmp_path: Path, blocks: list[int], voxels: list[int]) -> None:
    path = pack(tmp_path / "a.v3dpbd", blocks, len(voxels), 1)
    assert unpack(path) == voxels
    assert PBD().load(str(path)).ravel().tolist() == voxels


@pytest.mark.parametrize(
    ("blocks", "voxels"),
    [
        ([1, 232, 3, 1, 0], [1000, 1]),
        ([225, 232, 3], [1000, 1000, 1000]),
        ([0, 232, 3, 38, 41, 203, 184], [1000, 1001, 1003, 1006, 1010, 1009, 1007, 1004]),
        ([0, 232, 3, 83, 0x12, 0x89], [1000, 1001, 1003, 1011, 1010]),
        ([0, 232, 3, 185, 0b00001_100, 0b01_11111_0], [1000, 1001, 1000, 985]),
    ],
)
def test_blocks_of_16_bits_by_hand(tmp_path: Path, blocks: list[int], voxels: list[int]) -> None:
    path = pack(tmp_path / "a.v3dpbd", blocks, len(voxels), 2)
    assert unpack(path) == voxels
    assert PBD().load(str(path)).ravel().tolist() == voxels


@given(
    steps=st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 40)), min_size=1, max_size=40),
    full=st.booleans(),
    dtype=st.sampled_from(["uint8", "uint16"]),
)
def test_whatever_another_writer_packs_is_unpacked(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, int]],
    full: bool,
    dtype: str,
) -> None:
    jumps = np.repeat([step for step, _ in steps], [times for _, times in steps])
    image = (np.cumsum(jumps) + 100).astype(dtype)
    path = tmp_path_factory.getbasetemp() / "law.v3dpbd"
    PBD(pbd16_full_blood=full).save(str(path), image.reshape(1, 1, 1, -1))
    assert unpack(path) == image.tolist()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_phantom_comes_back_unturned(tmp_path: Path, dtype: str) -> None:
    channels = np.stack([phantom(dtype), phantom(dtype) + 1])
    PBD().save(str(tmp_path / "a.v3dpbd"), channels)
    volume = open_v3d(tmp_path / "a.v3dpbd", SPACING)
    assert volume.spacing == SPACING and volume.dtype == dtype
    np.testing.assert_array_equal(volume.data[...], channels)
    box = Box((1, 2, 3), (4, 9, 10))
    np.testing.assert_array_equal(volume.read(box), channels[(..., *box.slices)])


def test_what_is_read_can_be_changed_and_a_copy_stays_small(tmp_path: Path) -> None:
    PBD().save(str(tmp_path / "a.v3dpbd"), phantom()[None])
    volume = open_v3d(tmp_path / "a.v3dpbd", SPACING)
    volume.read(volume.box)[:] = 0
    np.testing.assert_array_equal(volume.read(volume.box), phantom())
    assert len(pickle.dumps(volume)) < 1000


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_cut_file_is_named(tmp_path: Path, size: int, cut: int) -> None:
    blocks = [5, *range(6 * size)][: 4 * size - cut]
    path = pack(tmp_path / "a.v3dpbd", blocks, 6, size)
    with pytest.raises(VolumeError, match=r"a\.v3dpbd: is truncated"):
        unpack(path)


def test_more_voxels_than_bytes_can_hold_are_refused_at_once(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.v3dpbd", [255, 0], 2_000_000_000, 1)
    with pytest.raises(VolumeError, match="do not fit into 2 packed bytes"):
        open_v3d(path, SPACING)


def test_too_little_memory_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.v3dpbd", [255, 0], 128, 1)

    def full(*_: object) -> np.ndarray:
        raise MemoryError

    volume = open_v3d(path, SPACING)
    monkeypatch.setattr("topodelin.volumes.vaa3d_pbd.np.empty", full)
    with pytest.raises(VolumeError, match="128 bytes of memory.*v3draw"):
        volume.read(volume.box)


def test_big_endian_is_read_where_it_makes_no_difference(tmp_path: Path) -> None:
    assert unpack(pack(tmp_path / "a.v3dpbd", [0, 7], 1, 1, ">")) == [7]
    with pytest.raises(VolumeError, match="big-endian v3dpbd of 16 bits"):
        open_v3d(pack(tmp_path / "b.v3dpbd", [0, 7, 0], 1, 2, ">"), SPACING)


def test_floats_are_never_packed(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="4 bytes per voxel, known are 1 and 2"):
        open_v3d(pack(tmp_path / "a.v3dpbd", [0, 7], 1, 4), SPACING)
