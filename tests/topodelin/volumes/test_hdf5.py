import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from topodelin.volumes import Box, VolumeError, open_volume

CHUNKS = (2, 8, 8)


def write(path: Path, array: np.ndarray | None = None, name: str = "raw", **options: Any) -> Path:
    """One dataset, appended to the file, with its spacing."""
    array = phantom() if array is None else array
    chunks = (*(1 for _ in array.shape[:-3]), *CHUNKS)
    with h5py.File(path, "a") as file:
        made = file.create_dataset(name, data=array, **{"chunks": chunks, **options})
        made.attrs["element_size_um"] = SPACING
    return path


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int16", ">u2", "float16", "float64"])
@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_the_phantom_comes_back_unturned(
    tmp_path: Path, dtype: str, compression: str | None
) -> None:
    path = write(tmp_path / "ein Gehirn µ.h5", phantom(dtype), compression=compression)
    volume = open_volume(path)
    assert volume.spacing == SPACING and volume.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    box = Box((1, 2, 3), (4, 9, 10))
    np.testing.assert_array_equal(volume.read(box), phantom(dtype)[box.slices])


def test_channels_are_kept_and_a_single_one_is_dropped(tmp_path: Path) -> None:
    channels = np.stack([phantom(), 7 + phantom()])
    volume = open_volume(write(tmp_path / "a.h5", channels))
    np.testing.assert_array_equal(volume.read(volume.box), channels)
    volume = open_volume(write(tmp_path / "b.h5", phantom()[None]))
    np.testing.assert_array_equal(volume.read(volume.box), phantom())


def test_axes_are_taken_from_the_names_in_the_file(tmp_path: Path) -> None:
    channels = np.stack([phantom(), 7 + phantom()])
    tags = json.dumps({"axes": [{"key": axis} for axis in "xyzc"]})
    with h5py.File(write(tmp_path / "a.h5", channels.T, chunks=(8, 8, 2, 1)), "a") as file:
        file["raw"].attrs["axistags"] = tags
        file["raw"].attrs["element_size_um"] = [*SPACING[::-1], 0.0]
    volume = open_volume(tmp_path / "a.h5")
    np.testing.assert_array_equal(volume.read(volume.box), channels)
    assert volume.spacing == SPACING
    with h5py.File(
        write(tmp_path / "b.h5", phantom().transpose(1, 2, 0), chunks=None), "a"
    ) as file:
        made: Any = file["raw"]
        for dim, label in zip(made.dims, "yxz", strict=True):
            dim.label = label
    volume = open_volume(tmp_path / "b.h5", spacing=SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom())


def test_a_short_last_axis_is_channels(tmp_path: Path) -> None:
    colours = np.stack([phantom(), 7 + phantom(), 9 + phantom()], axis=-1)
    volume = open_volume(write(tmp_path / "a.h5", colours, chunks=(2, 8, 8, 3)))
    np.testing.assert_array_equal(volume.read(volume.box), np.moveaxis(colours, -1, 0))


def test_one_of_several_datasets_is_named_after_a_colon(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", phantom(), name="images/raw")
    write(path, 7 + phantom(), name="images/labels")
    with pytest.raises(VolumeError, match=r"holds 2 datasets.*/images/labels.*a\.h5:/images/"):
        open_volume(path)
    volume = open_volume(f"{path}:/images/labels")
    np.testing.assert_array_equal(volume.read(volume.box), 7 + phantom())
    with pytest.raises(VolumeError, match=r"has no dataset /images/row; name one of /images"):
        open_volume(f"{path}:/images/row")
    with pytest.raises(VolumeError, match=r"is a group"):
        open_volume(f"{path}:/images")


def test_what_is_no_volume_does_not_count(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["table"] = np.zeros((3, 4))
        file["text"] = "no image"
        file["again"] = file["raw"]  # a second name of the same dataset
    np.testing.assert_array_equal(open_volume(path).data[...], phantom())


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"resolution": (1500, 250, 500), "units": "nm"}, SPACING),
        ({"voxel_size": SPACING, "unit": np.array([b"um"])}, SPACING),
        ({"resolution": (40, 4, 4)}, "resolution .40.0, 4.0, 4.0. without a unit.*--spacing"),
        ({"resolution": (40, 4, 4), "unit": "inch"}, "'inch'"),
        ({"element_size_um": (0, 1, 1)}, "impossible element_size_um"),
        ({"element_size_um": (1, 1)}, "impossible element_size_um"),
        ({}, "element_size_um; give the spacing.*--spacing"),
    ],
)
@pytest.mark.parametrize("place", ["images/raw", "images", "/"])
def test_spacing_by_attributes(
    tmp_path: Path, attributes: dict[str, Any], expected: Any, place: str
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images/raw"] = phantom()
        file[place].attrs.update(attributes)
    if isinstance(expected, str):
        with pytest.raises(VolumeError, match=expected):
            open_volume(tmp_path / "a.h5")
    else:
        assert open_volume(tmp_path / "a.h5").spacing == pytest.approx(expected)


def test_bigdataviewer_takes_the_finest_level_and_the_xml_beside(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "brain.h5", "w") as file:
        file["s00/resolutions"] = [[1, 1, 1], [2, 2, 1]]
        file["t00000/s00/0/cells"] = phantom("int16")
        file["t00000/s00/1/cells"] = phantom("int16")[:, ::2, ::2]
    with pytest.raises(VolumeError, match="--spacing"):
        open_volume(tmp_path / "brain.h5")
    (tmp_path / "brain.xml").write_text(
        "<SpimData><ViewSetup><id>0</id><voxelSize><unit>nm</unit><size>500 250 1500</size>"
        "</voxelSize></ViewSetup></SpimData>"
    )
    volume = open_volume(tmp_path / "brain.h5")
    np.testing.assert_array_equal(volume.data[...], phantom())
    assert volume.spacing == SPACING
    coarse = open_volume(f"{tmp_path / 'brain.h5'}:/t00000/s00/1/cells")
    assert coarse.spacing == (1.5, 0.5, 1.0)


def test_a_box_touches_only_its_chunks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", compression="gzip")
    with h5py.File(path) as file:
        stored = [file["raw"].id.get_chunk_info(i) for i in range(file["raw"].id.get_num_chunks())]
    with path.open("r+b") as raw:
        for chunk in stored:
            if chunk.chunk_offset != (2, 8, 16):
                raw.seek(chunk.byte_offset)
                raw.write(b"\xff" * chunk.size)
    volume = open_volume(path)
    box = Box((2, 8, 16), (4, 16, 24))
    np.testing.assert_array_equal(volume.read(box), phantom()[box.slices])
    with pytest.raises(VolumeError, match=r"a\.h5: .*damaged"):
        volume.read(box.grow(1).clip(SHAPE))


def test_a_volume_holds_nothing_open(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    volume = open_volume(path)
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.data[...], phantom())
    with h5py.File(path, "r+"):  # HDF5 refuses a second opening for writing
        pass
    path.unlink()
    with pytest.raises(VolumeError, match=r"a\.h5: cannot be read"):
        copy.read(copy.box)


def test_threads_may_read_at_once(tmp_path: Path) -> None:
    volume = open_volume(write(tmp_path / "a.h5", compression="gzip"))
    with ThreadPoolExecutor(4) as threads:
        for array in threads.map(volume.read, [volume.box] * 40):
            np.testing.assert_array_equal(array, phantom())


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["outside"] = h5py.ExternalLink("secret.h5", "/raw")
        file["soft"] = h5py.SoftLink("/outside")
    with pytest.raises(VolumeError, match="holds no dataset"):
        open_volume(tmp_path / "a.h5", spacing=SPACING)
    for name in ("outside", "soft"):
        with pytest.raises(VolumeError, match="link to elsewhere, which is not followed"):
            open_volume(f"{tmp_path / 'a.h5'}:/{name}", spacing=SPACING)


def test_numbers_that_lie_in_other_files_are_not_read(tmp_path: Path) -> None:
    phantom().tofile(tmp_path / "secret.raw")
    write(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "external.h5", "w") as file:
        outside = [(str(tmp_path / "secret.raw"), 0, phantom().size)]
        file.create_dataset("raw", SHAPE, "u1", external=outside)
    layout = h5py.VirtualLayout(SHAPE, "u1")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "raw", SHAPE)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("raw", layout)
    for name in ("external.h5", "virtual.h5"):
        with pytest.raises(VolumeError, match="lie in other files"):
            open_volume(tmp_path / name, spacing=SPACING)


def test_objects_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", (2, 2, 2), h5py.special_dtype(vlen=str))
    with pytest.raises(VolumeError, match="holds values of type object"):
        open_volume(tmp_path / "a.h5", spacing=SPACING)


def test_time_points_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", np.zeros((2, 1, 3, 9, 9), np.uint8))
    with pytest.raises(VolumeError, match="series of 2 time points"):
        open_volume(path, spacing=SPACING)


@pytest.mark.parametrize("keep", [9, 40, 100, 500, 0.5, 0.9])
def test_a_cut_file_is_refused_in_one_line(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "a.h5")
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(VolumeError, match=r"a\.h5: ") as error:
        volume = open_volume(path)
        volume.read(volume.box)
    assert "\n" not in str(error.value)


def test_a_name_in_a_file_that_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", phantom())
    with pytest.raises(VolumeError, match=r"is npy, not HDF5; leave out :/raw"):
        open_volume(f"{tmp_path / 'a.npy'}:/raw", spacing=SPACING)


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(VolumeError, match=r'a\.h5: needs .* h5py; .*pip install "topodelin\[io\]"'):
        open_volume(path)
