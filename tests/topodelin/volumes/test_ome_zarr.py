import json
import pickle
import re
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from topodelin.volumes import Box, VolumeError, open_volume

AXES = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]


def image(
    path: Path,
    array: np.ndarray,
    *,
    version: str = "0.4",
    axes: list[dict[str, str]] | None = None,
    scale: list[float] | None = None,
    **changes: Any,
) -> Path:
    """An OME-Zarr image written by zarr alone, as another program would."""
    old = version == "0.4"
    zarr.create_array(
        LocalStore(path / "full"),
        data=array,
        chunks=(*(1,) * (array.ndim - 3), 2, 8, 16),
        zarr_format=2 if old else 3,
    )
    transforms = [{"type": "scale", "scale": scale or [*(1,) * (array.ndim - 3), *SPACING]}]
    multiscales = {
        "axes": AXES if axes is None else axes,
        "datasets": [{"path": "full", "coordinateTransformations": transforms}],
        **({"version": "0.4"} if old else {}),
        **changes,
    }
    if old:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps({"multiscales": [multiscales]}))
    else:
        ome = {"version": version, "multiscales": [multiscales]}
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
        (path / "zarr.json").write_text(json.dumps(group))
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
def test_the_phantom_comes_back_unturned(tmp_path: Path, version: str, dtype: str) -> None:
    volume = open_volume(image(tmp_path / "a", phantom(dtype), version=version))
    assert (volume.shape, volume.dtype, volume.spacing) == (SHAPE, np.dtype(dtype), SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    box = Box((1, 2, 3), (4, 9, 20))
    np.testing.assert_array_equal(volume.read(box), phantom(dtype)[box.slices])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_volume_can_be_sent_to_another_process(tmp_path: Path, version: str) -> None:
    volume = open_volume(image(tmp_path / "a", phantom(), version=version))
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.data[...], phantom())


@pytest.mark.parametrize(
    ("names", "shape"), [("tczyx", (1, 1)), ("tczyx", (1, 3)), ("czyx", (3,)), ("tzyx", (1,))]
)
def test_single_times_and_channels_vanish_and_more_channels_stay(
    tmp_path: Path, names: str, shape: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape)).reshape(*shape, 1, 1, 1) + phantom("uint16")
    axes = [{"name": n, "type": "t", "unit": "micrometer"} for n in names]
    volume = open_volume(image(tmp_path / "a", array.astype("uint16"), axes=axes))
    assert volume.shape == SHAPE and volume.spacing == SPACING
    expected = array[0] if names[0] == "t" else array
    np.testing.assert_array_equal(volume.data[...].squeeze(), expected.squeeze())
    assert volume.data.shape == ((3, *SHAPE) if 3 in shape else SHAPE)


def test_one_level_can_be_opened_by_its_own_folder(tmp_path: Path) -> None:
    volume = open_volume(image(tmp_path / "a", phantom()) / "full")
    assert volume.spacing == SPACING
    np.testing.assert_array_equal(volume.data[...], phantom())


def test_a_bare_array_needs_a_spacing(tmp_path: Path) -> None:
    path = image(tmp_path / "a", phantom()) / "full"
    (tmp_path / "a" / ".zattrs").unlink()
    with pytest.raises(VolumeError, match="--spacing"):
        open_volume(path)
    assert open_volume(path, spacing=(3, 2, 1)).spacing == (3, 2, 1)


@pytest.mark.parametrize(("unit", "factor"), [("nanometer", 1e-3), ("millimeter", 1e3)])
def test_units_are_converted_and_scales_multiply(tmp_path: Path, unit: str, factor: float) -> None:
    axes = [{**axis, "unit": unit} for axis in AXES]
    outer = [{"type": "scale", "scale": [2.0, 1.0, 3.0]}]
    path = image(tmp_path / "a", phantom(), axes=axes, coordinateTransformations=outer)
    z, y, x = SPACING
    assert open_volume(path).spacing == pytest.approx((2 * factor * z, factor * y, 3 * factor * x))


@pytest.mark.parametrize(
    "changes",
    [
        {"axes": [{"name": n, "type": "space"} for n in "zyx"]},
        {"axes": [{"name": n, "type": "space", "unit": "parsec"} for n in "zyx"]},
        {"scale": [1, 0, 1]},
        {"scale": [1, 1]},
        {"scale": ["a", "b", "c"]},
        {"datasets": [{"path": "full"}]},
    ],
)
def test_without_a_scale_in_lengths_the_flag_is_named(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = image(tmp_path / "a", phantom(), **changes)
    with pytest.raises(VolumeError, match=re.escape(str(path)) + ".*--spacing z,y,x"):
        open_volume(path)
    assert open_volume(path, spacing=SPACING).spacing == SPACING


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "0.3"}, "is OME-Zarr 0.3.*convert"),
        ({"datasets": [{"path": "gone"}]}, "gone: is missing"),
        ({"datasets": [{"path": "../elsewhere"}]}, "no folder inside"),
        ({"datasets": [{"path": "/etc"}]}, "no folder inside"),
        ({"datasets": []}, "no folder inside"),
        ({"axes": [{"name": n} for n in "xyz"]}, "axes named"),
        ({"axes": [{"name": n} for n in "cyx"]}, "no stack"),
        ({"axes": [{"name": n} for n in "czyx"]}, "has 3 axes"),
    ],
)
def test_what_is_no_image_of_ours_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(VolumeError, match=message):
        if changes.get("version"):
            path = image(tmp_path / "a", phantom())
            attributes = json.loads((path / ".zattrs").read_text())
            attributes["multiscales"][0]["version"] = changes["version"]
            (path / ".zattrs").write_text(json.dumps(attributes))
        else:
            path = image(tmp_path / "a", phantom(), **changes)
        open_volume(path, spacing=SPACING)


def test_a_time_series_is_refused(tmp_path: Path) -> None:
    axes = [{"name": "t", "type": "time"}, *AXES]
    path = image(tmp_path / "a", np.stack([phantom(), phantom()]), axes=axes)
    with pytest.raises(VolumeError, match="2 time points"):
        open_volume(path)


def test_a_group_of_images_names_its_members(tmp_path: Path) -> None:
    image(tmp_path / "both" / "0", phantom())
    (tmp_path / "both" / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(VolumeError, match="for example .*both/0"):
        open_volume(tmp_path / "both")


def test_a_chunk_that_unpickles_is_refused(tmp_path: Path) -> None:
    path = image(tmp_path / "a", phantom())
    metadata = json.loads((path / "full" / ".zarray").read_text())
    metadata["compressor"] = numcodecs.Pickle().get_config()
    (path / "full" / ".zarray").write_text(json.dumps(metadata))
    with pytest.raises(VolumeError, match="'pickle'.*safety"):
        open_volume(path)


def test_a_codec_hidden_in_a_shard_is_refused(tmp_path: Path) -> None:
    path = image(tmp_path / "a", phantom(), version="0.5")
    metadata = json.loads((path / "full" / "zarr.json").read_text())
    inner = {"codecs": [{"name": "numcodecs.pickle"}], "chunk_shape": [2, 8, 16]}
    metadata["codecs"] = [{"name": "sharding_indexed", "configuration": inner}]
    (path / "full" / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(VolumeError, match=r"'numcodecs\.pickle'"):
        open_volume(path)


def test_sharded_images_are_read(tmp_path: Path) -> None:
    path = image(tmp_path / "a", phantom(), version="0.5")
    zarr.create_array(
        LocalStore(path / "full"),
        data=phantom(),
        chunks=(2, 8, 8),
        shards=(4, 16, 32),
        overwrite=True,
    )
    np.testing.assert_array_equal(open_volume(path).data[...], phantom())


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_monstrous_chunks_are_refused_before_they_are_allocated(
    tmp_path: Path, version: str
) -> None:
    path = image(tmp_path / "a", phantom(), version=version)
    file = path / "full" / (".zarray" if version == "0.4" else "zarr.json")
    metadata = json.loads(file.read_text())
    if version == "0.4":
        metadata["chunks"] = [10**6] * 3
    else:
        metadata["chunk_grid"]["configuration"]["chunk_shape"] = [10**6] * 3
    file.write_text(json.dumps(metadata))
    with pytest.raises(VolumeError, match="chunks of .* GiB"):
        open_volume(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@given(data=st.data())
def test_a_cut_chunk_or_damaged_metadata_is_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, version: str, data: st.DataObject
) -> None:
    path = image(tmp_path_factory.mktemp("rot") / "a", phantom(), version=version)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    cut = data.draw(st.booleans())
    if cut:
        content = content[:place]
    else:
        content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        volume = open_volume(path, spacing=SPACING)
        read = volume.read(volume.box & Box((0, 0, 0), (64, 64, 64)))
    except VolumeError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        assert not (cut and file.name.isdigit()) or np.array_equal(read, phantom())


def test_a_petabyte_opens_at_once(tmp_path: Path) -> None:
    zarr.create_array(
        LocalStore(tmp_path / "a"),
        shape=(10**5,) * 3,
        chunks=(64,) * 3,
        dtype="uint8",
        fill_value=3,
    )
    volume = open_volume(tmp_path / "a", spacing=(1, 1, 1))
    n = 10**4
    assert (volume.read(Box((n, n, n), (n + 9, n + 9, n + 9))) == 3).all()
