"""Chunks read and written as files are those of zarr."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from topodelin.volumes import Box, OmeZarrWriter, VolumeError, create_ome_zarr, open_volume
from topodelin.volumes.zarr_chunks import ZarrChunks, is_plain

SHAPE, CHUNKS = (20, 16, 9), (8, 8, 8)
NOISE = np.random.default_rng(0).random(SHAPE).astype(np.float32)


def image(path: Path) -> OmeZarrWriter:
    return create_ome_zarr(
        path, shape=SHAPE, spacing=(1, 1, 1), dtype=np.float32, chunks=CHUNKS,
        fill_value=6.0, name="map",
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_bytes_are_those_of_zarr_also_where_the_volume_ends(tmp_path: Path) -> None:
    slow, fast = image(tmp_path / "slow"), image(tmp_path / "fast")
    array = zarr.open_array(str(tmp_path / "slow" / "0"), mode="r+")
    boxes = [Box((0, 0, 0), (8, 8, 8)), Box((16, 8, 8), (20, 16, 9)), Box((8, 0, 0), (16, 16, 9))]
    for box in boxes:  # a chunk, one that is cut, four at once
        array[box.slices] = NOISE[box.slices]
        fast.write(box, NOISE[box.slices])
    assert files(tmp_path / "fast") == files(tmp_path / "slow")
    assert len([name for name in files(tmp_path / "fast") if name.startswith("0/")]) == 6 + 2
    np.testing.assert_array_equal(slow.volume.read(boxes[1]), NOISE[boxes[1].slices])


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    writer = image(tmp_path / "map")
    writer.write(Box((0, 0, 0), (8, 8, 8)), np.zeros((8, 8, 8), np.float32))
    before = files(tmp_path / "map")
    (tmp_path / "map" / "0" / "0" / "0" / "1.0a1b2c3d.partial").write_bytes(b"half a ch")
    writer.sweep()
    assert files(tmp_path / "map") == before


def stored(folder: Path, **options: Any) -> zarr.Array:
    """A zarr 2 array with its far end unwritten."""
    array = zarr.create_array(
        str(folder), shape=SHAPE, chunks=CHUNKS, dtype="float32", zarr_format=2, fill_value=6.0,
        **options,
    )  # fmt: skip
    array[:16] = NOISE[:16]
    return array


ends = st.tuples(*(st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted) for n in SHAPE))


@pytest.mark.parametrize("codec", ["auto", None])
def test_any_box_reads_as_zarr_reads_it(tmp_path: Path, codec: str | None) -> None:
    array = stored(tmp_path / "a.zarr", compressors=codec)
    assert is_plain(array)
    ours = ZarrChunks(tmp_path / "a.zarr", array, kept_bytes=2500)

    @given(ends)
    def same(box: tuple) -> None:
        slices = tuple(slice(a, b) for a, b in box)
        np.testing.assert_array_equal(ours[slices], array[slices])
        assert ours._bytes <= 2500

    same()


@pytest.mark.parametrize("dtype", [">u2", "<i4", "u1", ">f8", "?"])
def test_types_of_either_byte_order_are_read(tmp_path: Path, dtype: str) -> None:
    values = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype) if dtype == "?" else (
        np.arange(24).reshape(2, 3, 4).astype(dtype)
    )  # fmt: skip
    array = zarr.create_array(
        str(tmp_path / "a"), shape=(2, 3, 4), chunks=(2, 2, 2), dtype=dtype, zarr_format=2
    )
    array[:] = values
    found = ZarrChunks(tmp_path / "a", array)[...]
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")


def test_filters_fortran_order_and_version_3_are_left_to_zarr(tmp_path: Path) -> None:
    options = {"shape": SHAPE, "chunks": CHUNKS, "dtype": "float32"}
    fortran = zarr.create_array(str(tmp_path / "f"), order="F", zarr_format=2, **options)
    three = zarr.create_array(str(tmp_path / "t"), zarr_format=3, **options)
    assert not is_plain(fortran) and not is_plain(three)


def test_a_chunk_is_decoded_once_until_its_file_changes(tmp_path: Path) -> None:
    array = stored(tmp_path / "a.zarr")
    ours = ZarrChunks(tmp_path / "a.zarr", array)
    first = ours._chunk((0, 0, 0))
    assert first is ours._chunk((0, 0, 0))
    array[:8, :8, :8] = 3.0
    assert (ours[:8, :8, :8] == 3).all()
    assert ours._chunk((2, 0, 0)) is None
    array[16:, :8, :8] = 4.0
    assert (ours[16:, :8, :8] == 4).all()


def test_it_travels_without_what_it_keeps(tmp_path: Path) -> None:
    ours = ZarrChunks(tmp_path / "a.zarr", stored(tmp_path / "a.zarr"))
    whole = ours[...]
    again = pickle.loads(pickle.dumps(ours))
    assert not again._kept
    np.testing.assert_array_equal(again[...], whole)


def test_a_damaged_chunk_is_one_line_and_is_read_again_once_it_is_restored(tmp_path: Path) -> None:
    writer = image(tmp_path / "map")
    writer.write(Box((0, 0, 0), (8, 8, 8)), NOISE[:8, :8, :8])
    chunk = tmp_path / "map" / "0" / "0" / "0" / "0"
    good = chunk.read_bytes()
    volume = open_volume(tmp_path / "map")
    for damage in (b"", good[:40], b"nonsense" * 50):
        chunk.write_bytes(damage)
        with pytest.raises(VolumeError, match="cannot be read, it is damaged or incomplete"):
            volume.read(Box((0, 0, 0), (8, 8, 8)))
    chunk.write_bytes(good)
    np.testing.assert_array_equal(volume.read(Box((0, 0, 0), (8, 8, 8))), NOISE[:8, :8, :8])
