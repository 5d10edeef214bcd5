"""N5 and precomputed in folders; these and OME-Zarr behind URLs."""

import json
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from tests.topodelin.volumes.served import served
from topodelin.volumes import Box, VolumeError, open_volume, stores, write_ome_zarr
from topodelin.volumes.info import volume_info
from topodelin.volumes.volume import Volume

BLOCK = [8, 8, 2]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    retries = {"max_retries": 1, "initial_delay": "1ms", "max_delay": "1ms"}
    monkeypatch.setattr(stores, "RETRIES", retries)
    stores._context.cache_clear()
    yield
    stores._context.cache_clear()


def write_n5(
    path: Path, array: np.ndarray | None = None, compression: str = "gzip", **attributes: Any
) -> Path:
    """One dataset; N5 lists x first."""
    array = phantom() if array is None else array
    metadata = {
        "dimensions": [*array.shape[::-1]],
        "blockSize": [*BLOCK, *(1 for _ in array.shape[:-3])],
        "dataType": array.dtype.name,
        "compression": {"type": compression},
    }
    wanted = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{path}/"}}
    opened = tensorstore.open({**wanted, "metadata": metadata}, create=True).result()
    opened.T[...] = array
    describe(path, **attributes)
    return path


def describe(folder: Path, **attributes: Any) -> None:
    """Add attributes to those of a group or dataset of N5."""
    file = folder / "attributes.json"
    former = json.loads(file.read_text()) if file.exists() else {"n5": "2.5.1"}
    file.write_text(json.dumps(former | attributes))


def write_precomputed(
    path: Path, array: np.ndarray | None = None, encoding: str = "raw", **scale: Any
) -> Path:
    array = phantom() if array is None else array
    channels = array[None] if array.ndim == 3 else array
    wanted = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{path}/"},
        "multiscale_metadata": {
            "type": "image", "data_type": array.dtype.name, "num_channels": len(channels),
        },
        "scale_metadata": {
            "size": [*array.shape[:-4:-1]], "encoding": encoding, "chunk_size": BLOCK,
            "resolution": [500, 250, 1500], "key": "fine", **scale,
        },
    }  # fmt: skip
    opened = tensorstore.open(wanted, create=True).result()
    opened.T[...] = channels
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", "uint64"])
@pytest.mark.parametrize("compression", ["raw", "gzip", "bzip2"])
def test_the_phantom_comes_back_from_n5_unturned(
    tmp_path: Path, dtype: str, compression: str
) -> None:
    path = write_n5(tmp_path / "ein Hirn µ", phantom(dtype), compression)
    volume = open_volume(path, spacing=SPACING)
    assert volume.spacing == SPACING and volume.dtype == dtype
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    box = Box((1, 2, 3), (4, 9, 10))
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.read(box), phantom(dtype)[box.slices])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "uint64"])
@pytest.mark.parametrize("offset", [[0, 0, 0], [10, -7, 4]])
def test_the_phantom_comes_back_from_precomputed_unturned(
    tmp_path: Path, dtype: str, offset: list[int]
) -> None:
    path = write_precomputed(tmp_path / "ä", phantom(dtype), voxel_offset=offset)
    volume = open_volume(path)
    assert volume.spacing == pytest.approx(SPACING) and volume.dtype == dtype
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    box = Box((1, 2, 3), (4, 9, 10))
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.read(box), phantom(dtype)[box.slices])


def test_channels_are_kept(tmp_path: Path) -> None:
    channels = np.stack([phantom(), 7 + phantom()])
    for path in (
        write_n5(tmp_path / "n5", channels),
        write_precomputed(tmp_path / "precomputed", channels),
    ):
        volume = open_volume(path, spacing=SPACING)
        np.testing.assert_array_equal(volume.read(volume.box), channels)


def test_shards_are_read(tmp_path: Path) -> None:
    sharding = {
        "@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 1, "minishard_bits": 1,
        "shard_bits": 1, "hash": "identity", "data_encoding": "gzip",
    }  # fmt: skip
    path = write_precomputed(tmp_path / "a", sharding=sharding)
    np.testing.assert_array_equal(open_volume(path).data[...], phantom())
    found = volume_info(path).storage
    assert (found.compression, found.present) == ("raw, sharded", None)


def test_the_finest_scale_is_taken_wherever_it_stands(tmp_path: Path) -> None:
    write_precomputed(tmp_path / "a", phantom()[:, ::2, ::2], key="coarse", resolution=[900] * 3)
    write_precomputed(tmp_path / "a")
    np.testing.assert_array_equal(open_volume(tmp_path / "a").data[...], phantom())


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"pixelResolution": {"unit": "nm", "dimensions": [500, 250, 1500]}}, SPACING),
        ({"pixelResolution": [0.5, 0.25, 1.5], "units": ["um", "um", "um"]}, SPACING),
        (
            {"pixelResolution": [0.25, 0.125, 1.5], "unit": "um", "downsamplingFactors": [2, 2, 1]},
            SPACING,
        ),
        (
            {"transform": {"axes": [*"zyx"], "scale": [1500, 250, 500], "units": ["nm"] * 3}},
            SPACING,
        ),
        (
            {
                "transform": {
                    "axes": [*"xyz"], "ordering": "F", "scale": [500, 250, 1500],
                    "units": ["nm"] * 3,
                }
            },
            SPACING,
        ),
        ({"resolution": [500, 250, 1500], "unit": "nm", "downsamplingFactors": [9, 9, 9]}, SPACING),
        ({"resolution": [500, 250, 1500]}, "no attribute pixelResolution.*--spacing"),
        ({"pixelResolution": {"unit": "ell", "dimensions": [1, 1, 1]}}, "'ell'"),
        ({"pixelResolution": {"unit": "um", "dimensions": [0, 1, 1]}}, "impossible spacing"),
        ({"transform": {"axes": [*"zyx"], "scale": [1]}}, "gives the transform"),
    ],
)  # fmt: skip
def test_spacing_of_n5(tmp_path: Path, attributes: dict[str, Any], expected: Any) -> None:
    path = write_n5(tmp_path / "a", **attributes)
    if isinstance(expected, str):
        with pytest.raises(VolumeError, match=expected):
            open_volume(path)
    else:
        volume = open_volume(path)
        assert volume.spacing == pytest.approx(expected)
        np.testing.assert_array_equal(volume.data[...], phantom())


def test_an_n5_group_is_opened_at_its_finest_level(tmp_path: Path) -> None:
    describe_group = {"pixelResolution": {"unit": "um", "dimensions": [0.5, 0.25, 1.5]}}
    for channel in range(2):
        write_n5(tmp_path / f"viewer/c{channel}/s0", phantom() + channel)
    describe(tmp_path / "viewer", **describe_group)
    volume = open_volume(tmp_path / "viewer")
    assert volume.spacing == SPACING
    np.testing.assert_array_equal(volume.data[...], [phantom(), phantom() + 1])

    write_n5(tmp_path / "brain.n5/setup0/timepoint0/s0")
    describe(tmp_path / "brain.n5")
    (tmp_path / "brain.xml").write_text(
        "<SpimData><ViewSetup><id>0</id><voxelSize><unit>um</unit><size>0.5 0.25 1.5</size>"
        "</voxelSize></ViewSetup></SpimData>"
    )
    assert open_volume(tmp_path / "brain.n5").spacing == SPACING


def test_a_group_without_a_usual_name_lists_its_datasets(tmp_path: Path) -> None:
    write_n5(tmp_path / "a/odd/one")
    describe(tmp_path / "a")
    with pytest.raises(VolumeError, match=r"no dataset at s0.*such as .*odd/one"):
        open_volume(tmp_path / "a")


@pytest.mark.parametrize("write", [write_n5, write_precomputed])
def test_a_box_touches_only_its_chunks(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "a")
    box = Box((2, 8, 16), (4, 16, 24))
    kept = {path / "2/1/1", path / "fine/16-24_8-16_2-4"}
    for chunk in path.rglob("*"):
        if chunk.is_file() and chunk.name not in ("attributes.json", "info") and chunk not in kept:
            chunk.write_bytes(b"damaged")
    volume = open_volume(path, spacing=SPACING)
    np.testing.assert_array_equal(volume.read(box), phantom()[box.slices])
    with pytest.raises(VolumeError, match="cannot be read") as error:
        volume.read(volume.box)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("write", [write_n5, write_precomputed])
def test_missing_chunks_are_background_but_a_missing_store_is_an_error(
    tmp_path: Path, write: Any
) -> None:
    path = write(tmp_path / "a")
    volume = open_volume(path, spacing=SPACING)
    (path / ("0/0/0" if write is write_n5 else "fine/0-8_0-8_0-2")).unlink()
    assert not volume.read(Box((0, 0, 0), (2, 8, 8))).any()
    shutil.rmtree(path)
    with pytest.raises(VolumeError, match=r"is gone.*connect the disk"):
        volume.read(volume.box)


def test_an_ome_zarr_that_vanishes_is_an_error(tmp_path: Path) -> None:
    volume = write_ome_zarr(tmp_path / "a.ome.zarr", Volume(phantom(), SPACING), chunks=(2, 8, 8))
    shutil.rmtree(tmp_path / "a.ome.zarr")
    with pytest.raises(VolumeError, match=r"is gone.*connect the disk"):
        volume.read(volume.box)


@pytest.mark.parametrize("key", ["../b", "/etc", "a/../../b", ""])
def test_a_precomputed_scale_must_lie_inside(tmp_path: Path, key: str) -> None:
    path = write_precomputed(tmp_path / "a")
    info = json.loads((path / "info").read_text())
    info["scales"][0]["key"] = key
    (path / "info").write_text(json.dumps(info))
    with pytest.raises(VolumeError, match="no folder inside"):
        open_volume(path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_n5(tmp_path / "secret")
    (tmp_path / "a").mkdir()
    describe(tmp_path / "a")
    (tmp_path / "a/s0").symlink_to(tmp_path / "secret")
    with pytest.raises(VolumeError, match="link that leads outside"):
        open_volume(tmp_path / "a", spacing=SPACING)


@pytest.mark.parametrize("text", ["{", "[]", '{"@type": "neuroglancer_multiscale_volume"}'])
def test_a_damaged_info_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = write_precomputed(tmp_path / "a")
    (path / "info").write_text(text)
    with pytest.raises(VolumeError) as error:
        open_volume(path, spacing=SPACING)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_url_fetches_only_the_chunks_of_the_box(tmp_path: Path) -> None:
    write_precomputed(tmp_path / "p")
    write_n5(tmp_path / "n", pixelResolution={"unit": "um", "dimensions": [0.5, 0.25, 1.5]})
    image = Volume(phantom(), SPACING)
    write_ome_zarr(tmp_path / "z4.ome.zarr", image, chunks=(2, 8, 8), version="0.4")
    write_ome_zarr(tmp_path / "z5.ome.zarr", image, chunks=(2, 8, 8), version="0.5")
    box = Box((2, 8, 16), (4, 16, 24))
    chunks = {
        "p": "/p/fine/16-24_8-16_2-4",
        "n": "/n/2/1/1",
        "z4.ome.zarr": "/z4.ome.zarr/0/1/1/2",
        "z5.ome.zarr": "/z5.ome.zarr/0/c/1/1/2",
    }
    with served(tmp_path) as server:
        for name, chunk in chunks.items():
            volume = open_volume(f"{server.url}/{name}")
            assert volume.spacing == pytest.approx(SPACING)
            server.found.clear()
            copy = pickle.loads(pickle.dumps(volume))
            np.testing.assert_array_equal(copy.read(box), phantom()[box.slices])
            data = {f for f in server.found if not f.endswith(("json", "info", ".zarray"))}
            assert data == {chunk}
            np.testing.assert_array_equal(volume.data[...], phantom())


@pytest.mark.parametrize(
    ("prefix", "name"), [("precomputed://", "p"), ("n5://", "n"), ("zarr://", "z/0"), ("", "z/0")]
)
def test_the_format_may_be_named_before_the_address(tmp_path: Path, prefix: str, name: str) -> None:
    write_precomputed(tmp_path / "p")
    write_n5(tmp_path / "n")
    write_ome_zarr(tmp_path / "z", Volume(phantom(), SPACING), chunks=(2, 8, 8))
    with served(tmp_path) as server:
        address = f"{prefix}{server.url}/{name}"
        for given in (address, Path(address), f"{address}/"):
            volume = open_volume(given, spacing=SPACING)
            np.testing.assert_array_equal(volume.data[...], phantom())
    local = open_volume(f"{prefix or 'zarr://'}{tmp_path}/{name}", spacing=SPACING)
    np.testing.assert_array_equal(local.data[...], phantom())
    by_file = open_volume(f"{prefix}file://{tmp_path}/{name}", spacing=SPACING)
    np.testing.assert_array_equal(by_file.data[...], phantom())


def test_a_server_that_stops_is_one_line(tmp_path: Path) -> None:
    write_precomputed(tmp_path / "p")
    with served(tmp_path) as server:
        volume = open_volume(f"{server.url}/p")
    with pytest.raises(VolumeError, match=r"http://.*/p: cannot be read .*the network") as error:
        volume.read(volume.box)
    assert "\n" not in str(error.value)
    with pytest.raises(VolumeError, match=r"http://.*/p: cannot be read"):
        open_volume(f"{server.url}/p")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/image", "no address that can be read; give one of https, http, gs"),
        ("precomputed://ftp://host/image", "no address that can be read"),
        ("gs://B/image", "no valid address"),
    ],
)
def test_other_addresses_are_refused(url: str, message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        open_volume(url)


def test_an_address_with_nothing_there_is_refused(tmp_path: Path) -> None:
    with served(tmp_path) as server, pytest.raises(VolumeError, match="none of info, .zattrs"):
        open_volume(f"{server.url}/nothing")


def test_a_plain_path_never_reaches_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "https:" / "host").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VolumeError, match="holds no TIFF or PNG slices"):
        open_volume(Path("https:/host"))


def test_without_tensorstore_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_n5(tmp_path / "n"), write_precomputed(tmp_path / "p"), "gs://bucket/image"]
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    for path in paths:
        with pytest.raises(VolumeError, match=r'needs .*tensorstore.*"topodelin\[cloud\]"'):
            open_volume(path)


def test_the_shape_is_that_of_the_phantom(tmp_path: Path) -> None:
    assert open_volume(write_precomputed(tmp_path / "a")).shape == SHAPE
