import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from topodelin.volumes import (
    Box,
    OmeZarrWriter,
    Volume,
    VolumeError,
    create_ome_zarr,
    open_volume,
    write_ome_zarr,
)
from topodelin.volumes.ome_zarr_writer import chunk_boxes

CHUNKS = (2, 8, 16)


def create(path: Path, **changes: Any) -> OmeZarrWriter:
    arguments: dict[str, Any] = {
        "shape": SHAPE,
        "spacing": SPACING,
        "dtype": "float32",
        "chunks": CHUNKS,
        "fill_value": 15,
        "levels": 2,
    }
    return create_ome_zarr(path, **{**arguments, **changes})


def level(root: Path, number: int) -> np.ndarray:
    """A level as zarr alone reads it."""
    return np.asarray(zarr.open_group(root, mode="r")[str(number)])


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
def test_the_phantom_comes_back_unturned(tmp_path: Path, version: str, dtype: str) -> None:
    source = Volume(phantom(dtype), SPACING)
    written = write_ome_zarr(tmp_path / "a.ome.zarr", source, chunks=CHUNKS, version=version)
    reopened = open_volume(tmp_path / "a.ome.zarr")
    assert written.spacing == reopened.spacing == SPACING
    np.testing.assert_array_equal(written.data[...], phantom(dtype))
    np.testing.assert_array_equal(reopened.data[...], phantom(dtype))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_channels_come_back_in_order(tmp_path: Path, version: str) -> None:
    channels = np.stack([phantom(), phantom()[::-1], 100 - phantom()])
    volume = write_ome_zarr(tmp_path / "a", Volume(channels, SPACING), version=version)
    np.testing.assert_array_equal(volume.data[...], channels)
    np.testing.assert_array_equal(open_volume(tmp_path / "a").data[2, 1:3], channels[2, 1:3])


def test_the_metadata_of_version_0_4_by_hand(tmp_path: Path) -> None:
    create(tmp_path / "tree.ome.zarr", spacing=(1.0, 0.5, 0.5), levels=2)
    assert json.loads((tmp_path / "tree.ome.zarr" / ".zgroup").read_text()) == {"zarr_format": 2}
    (image,) = json.loads((tmp_path / "tree.ome.zarr" / ".zattrs").read_text())["multiscales"]
    assert image["version"] == "0.4" and image["name"] == "tree"
    assert image["axes"] == [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
    ]
    first, second = image["datasets"]
    assert first["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 0.5, 0.5]},
        {"type": "translation", "translation": [0.0, 0.0, 0.0]},
    ]
    assert second["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 1.0, 1.0]},  # z is coarse enough already
        {"type": "translation", "translation": [0.0, 0.25, 0.25]},
    ]
    array = json.loads((tmp_path / "tree.ome.zarr" / "0" / ".zarray").read_text())
    assert array["zarr_format"] == 2 and array["dimension_separator"] == "/"


def test_the_metadata_of_version_0_5_by_hand(tmp_path: Path) -> None:
    create(tmp_path / "a", version="0.5", shape=(2, *SHAPE))
    group = json.loads((tmp_path / "a" / "zarr.json").read_text())
    assert group["zarr_format"] == 3 and group["node_type"] == "group"
    ome = group["attributes"]["ome"]
    assert ome["version"] == "0.5" and "version" not in ome["multiscales"][0]
    assert [axis["name"] for axis in ome["multiscales"][0]["axes"]] == ["c", "z", "y", "x"]
    array = json.loads((tmp_path / "a" / "0" / "zarr.json").read_text())
    assert array["dimension_names"] == ["c", "z", "y", "x"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_zarr_alone_reads_what_was_written(tmp_path: Path, version: str) -> None:
    write_ome_zarr(tmp_path / "a", Volume(phantom(), SPACING), chunks=CHUNKS, version=version)
    np.testing.assert_array_equal(level(tmp_path / "a", 0), phantom())
    assert level(tmp_path / "a", 1).shape == (5, 9, 29)  # x is twice as coarse as y already


def test_unwritten_chunks_hold_the_fill_value_and_no_bytes(tmp_path: Path) -> None:
    writer = create(tmp_path / "a")
    box = Box((2, 8, 16), (4, 16, 29))
    assert not writer.has(box) and (writer.volume.data[...] == 15).all()
    writer.write(box, np.full(box.shape, 15, np.float32))
    assert writer.has(box)  # visited, though it holds the fill value
    assert not writer.has(writer.volume.box)
    chunks = [f for f in (tmp_path / "a" / "0").rglob("*") if f.is_file() and f.name[0] != "."]
    assert [str(f.relative_to(tmp_path / "a" / "0")) for f in chunks] == ["1/1/1"]


def test_a_mean_pyramid_by_hand(tmp_path: Path) -> None:
    line = np.array([[[0, 4, 10, 20, 7]]], np.uint8)
    writer = create(tmp_path / "a", shape=(1, 1, 5), spacing=(1, 1, 1), dtype="uint8", levels=3)
    writer.write(Box((0, 0, 0), (1, 1, 5)), line)
    writer.build_pyramid(reduce="mean")
    assert [level(tmp_path / "a", number)[0, 0].tolist() for number in range(3)] == [
        [0, 4, 10, 20, 7],
        [2, 15, 7],
        [8, 7],
    ]  # 8.5 rounds to even


@pytest.mark.parametrize("reduce", ["min", "max", "mean"])
def test_a_pyramid_equals_the_plain_reduction_of_the_whole(tmp_path: Path, reduce: str) -> None:
    array = np.random.default_rng(0).normal(size=(12, 20, 36)).astype(np.float32)
    writer = create(tmp_path / "a", shape=array.shape, spacing=(1, 1, 1), levels=3)
    for box in chunk_boxes(writer.volume.shape, CHUNKS):
        writer.write(box, array[box.slices])
    writer.build_pyramid(reduce=reduce)
    coarse = level(tmp_path / "a", 2)
    blocks = array.reshape(3, 4, 5, 4, 9, 4)
    np.testing.assert_allclose(coarse, getattr(blocks, reduce)(axis=(1, 3, 5)), atol=1e-6)
    image = json.loads((tmp_path / "a" / ".zattrs").read_text())["multiscales"][0]
    assert image["type"] == reduce and reduce in image["metadata"]["description"]


def test_a_pyramid_holds_nothing_where_nothing_was_written(tmp_path: Path) -> None:
    writer = create(tmp_path / "a", shape=(8, 32, 64), spacing=(1, 1, 1))
    box = Box((6, 24, 48), (8, 32, 64))
    writer.write(box, np.zeros(box.shape, np.float32))
    steps: list[tuple[int, int]] = []
    writer.build_pyramid(reduce="min", progress=lambda done, total: steps.append((done, total)))
    chunks = [f for f in (tmp_path / "a" / "1").rglob("*") if f.is_file() and f.name[0] != "."]
    assert [str(f.relative_to(tmp_path / "a" / "1")) for f in chunks] == ["1/1/1"]
    assert steps == [(i, 8) for i in range(1, 9)]


@pytest.mark.parametrize(
    ("box", "array", "message"),
    [
        (Box((0, 0, 0), (2, 8, 15)), np.zeros((2, 8, 15), np.float32), "whole chunks"),
        (Box((1, 0, 0), (2, 8, 16)), np.zeros((1, 8, 16), np.float32), "whole chunks"),
        (Box((0, 0, 0), (2, 8, 32)), np.zeros((2, 8, 32), np.float32), "inside"),
        (Box((0, 0, 0), (0, 8, 16)), np.zeros((0, 8, 16), np.float32), "inside"),
        (Box((0, 0, 0), (2, 8, 16)), np.zeros((2, 8, 15), np.float32), "must have shape"),
        (Box((0, 0, 0), (2, 8, 16)), np.zeros((2, 8, 16), complex), "fit into float32"),
        (Box((0, 0, 0), (2, 8, 16)), np.full((2, 8, 16), np.nan), "NaN"),
    ],
)
def test_a_write_that_would_spoil_the_image_is_refused(
    tmp_path: Path, box: Box, array: np.ndarray, message: str
) -> None:
    writer = create(tmp_path / "a")
    with pytest.raises(VolumeError, match=message):
        writer.write(box, array)
    assert not writer.has(Box((0, 0, 0), (1, 1, 1)))


def test_an_unknown_reduction_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`reduce` must be one of"):
        create(tmp_path / "a").build_pyramid(reduce="median")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    "change",
    [
        {"shape": (5, 17, 30)},
        {"shape": (1, *SHAPE)},
        {"chunks": (2, 8, 8)},
        {"dtype": "float64"},
        {"fill_value": 14},
        {"spacing": (1.5, 0.25, 0.51)},
        {"levels": 3},
        {"levels": 1},
        {"version": "other"},
    ],
)
def test_another_image_is_not_mixed_with_the_one_that_is_there(
    tmp_path: Path, version: str, change: dict[str, Any]
) -> None:
    create(tmp_path / "a", version=version)
    before = contents(tmp_path / "a")
    if change.get("version"):
        change = {"version": "0.5" if version == "0.4" else "0.4"}
    with pytest.raises(VolumeError, match="a: (exists with|is a folder with).*; ") as error:
        create(tmp_path / "a", **{"version": version, **change})
    assert "\n" not in str(error.value)
    assert contents(tmp_path / "a") == before


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    (tmp_path / "download.partial").write_text("precious")
    with pytest.raises(VolumeError, match="other files"):
        create(tmp_path)
    with pytest.raises(VolumeError, match="is a file"):
        create(tmp_path / "thesis.tex")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (5, 17)}, "`shape`"),
        ({"shape": (5, 17, 0)}, "`shape`"),
        ({"chunks": (2, 8)}, "`chunks`"),
        ({"chunks": (2, 8, 0)}, "`chunks`"),
        ({"version": "0.6"}, "`version`"),
        ({"levels": 0}, "`levels`"),
        ({"dtype": "complex64"}, "`dtype`"),
        ({"spacing": (1, 1, -1)}, "`spacing`"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create(tmp_path / "a", **change)
    assert not (tmp_path / "a").exists()


def test_a_writer_can_be_sent_to_another_process(tmp_path: Path) -> None:
    writer = create(tmp_path / "a")
    box = Box((0, 0, 0), CHUNKS)
    writer.write(box, np.zeros(CHUNKS, np.float32))
    copy = pickle.loads(pickle.dumps(writer))
    copy.write(Box((2, 0, 0), (4, 8, 16)), np.ones(CHUNKS, np.float32))
    assert copy.has(box) and writer.has(Box((0, 0, 0), (4, 8, 16)))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_order_and_repetition_leave_no_trace(tmp_path: Path, version: str) -> None:
    array = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    forwards = create(tmp_path / "forwards", version=version, name="a")
    boxes = list(chunk_boxes(SHAPE, CHUNKS))
    for box in boxes:
        forwards.write(box, array[box.slices])
    forwards.build_pyramid()
    backwards = create(tmp_path / "backwards", version=version, name="a")
    for box in [*boxes[::-1], *boxes[3:7]]:
        backwards.write(box, array[box.slices])
    backwards.build_pyramid()
    create(tmp_path / "backwards", version=version, name="a").build_pyramid()
    assert contents(tmp_path / "forwards") == contents(tmp_path / "backwards")


KILLED = """
import sys, numpy as np
from topodelin.volumes import Volume, ome_zarr_writer, write_ome_zarr
ome_zarr_writer.BAND_BYTES = 1
noise = np.random.default_rng(1).integers(0, 255, (32, 128, 192), dtype=np.uint8)
write_ome_zarr(sys.argv[1], Volume(noise, (1, 1, 1)), chunks=(16, 16, 16), version=sys.argv[2])
"""


@pytest.mark.parametrize(("version", "moments"), [("0.4", (0.01, 0.5)), ("0.5", (0.7,))])
def test_a_copy_killed_at_any_moment_ends_as_if_never_killed(
    tmp_path: Path, version: str, moments: tuple[float, ...]
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (32, 128, 192), dtype=np.uint8)
    whole, killed = tmp_path / "whole" / "a.zarr", tmp_path / "killed" / "a.zarr"
    write_ome_zarr(whole, Volume(noise, (1, 1, 1)), chunks=(16, 16, 16), version=version)
    expected = contents(whole)
    run = [sys.executable, "-c", KILLED, str(killed), version]
    for moment in moments:
        with subprocess.Popen(run) as process:
            while process.poll() is None and _count(killed) < moment * len(expected):
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        metadata = (".zattrs", ".zarray", ".zgroup", "zarr.json", ".partial")
        chunks = {k: v for k, v in contents(killed).items() if not k.endswith(metadata)}
        assert len(chunks) < len(expected) and chunks.items() <= expected.items()
    subprocess.run(run, check=True)
    assert contents(killed) == expected


def test_remains_of_a_killed_write_are_removed(tmp_path: Path) -> None:
    writer = create(tmp_path / "a")
    writer.write(Box((0, 0, 0), CHUNKS), np.zeros(CHUNKS, np.float32))
    before = contents(tmp_path / "a")
    (tmp_path / "a" / "0" / "0" / "0" / "1.0123abcd.partial").write_bytes(b"half a chunk")
    assert not create(tmp_path / "a").has(Box((0, 0, 16), (2, 8, 29)))
    assert contents(tmp_path / "a") == before


def _count(root: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(root))


def test_a_copy_goes_on_where_it_stopped(tmp_path: Path) -> None:
    class Failing:
        shape, dtype, reads = (40, 40, 40), np.dtype(np.uint8), 0

        def __init__(self, working: int) -> None:
            self.working = working

        def __getitem__(self, key: Any) -> np.ndarray:
            self.reads += 1
            if self.reads > self.working:
                raise OSError(28, "No space left on device")
            return np.full([s.stop - s.start for s in key if s is not ...], 7, np.uint8)

    with pytest.raises(OSError, match="No space left"):
        write_ome_zarr(tmp_path / "a", Volume(Failing(2), (1, 1, 1)), chunks=(10, 40, 40))
    second = Failing(2)
    write_ome_zarr(tmp_path / "a", Volume(second, (1, 1, 1)), chunks=(10, 40, 40))
    assert second.reads == 2
    assert (open_volume(tmp_path / "a").data[...] == 7).all()


def test_memory_stays_flat_on_a_large_volume(tmp_path: Path) -> None:
    # 64 MB copied by a process that needs far less than that beyond its imports
    code = """
import resource, sys, numpy as np
from topodelin.volumes import Volume, ome_zarr_writer, write_ome_zarr
ome_zarr_writer.BAND_BYTES = 8 << 20
class Zeros:
    shape, dtype = (256, 512, 512), np.dtype(np.uint8)
    def __getitem__(self, key):
        return np.zeros([s.stop - s.start for s in key if s is not ...], np.uint8)
write_ome_zarr(sys.argv[1] + "/small", Volume(np.zeros((9, 9, 9), np.uint8), (1, 1, 1)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_ome_zarr(sys.argv[1] + "/large", Volume(Zeros(), (1, 1, 1)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 40_000  # KiB
