import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from topodelin.volumes import Box, VolumeError, open_volume

PADDED = (8, 24, 32)


def write_imaris(
    path: Path, channels: int = 1, times: int = 1, unit: str | None = "um", edge: float = 1.0
) -> Path:
    """As Imaris stores it: padded, attributes as arrays of characters, two levels."""
    extent = edge * np.array(SHAPE) * SPACING
    with h5py.File(path, "w") as file:
        image = file.create_group("DataSetInfo/Image")
        for axis, name in enumerate("ZYX"):
            image.attrs[name] = characters(SHAPE[axis])
            image.attrs[f"ExtMin{2 - axis}"] = characters(-3.5)
            image.attrs[f"ExtMax{2 - axis}"] = characters(extent[axis] - 3.5)
        if unit is not None:
            image.attrs["Unit"] = characters(unit)
        for time in range(times):
            for channel in range(channels):
                place = f"TimePoint {time}/Channel {channel}/Data"
                data = np.full(PADDED, 99, np.uint16)
                data[tuple(map(slice, SHAPE))] = phantom("uint16") + channel
                finest = f"DataSet/ResolutionLevel 0/{place}"
                file.create_dataset(finest, data=data, chunks=(2, 8, 8), compression="gzip")
                file[f"DataSet/ResolutionLevel 1/{place}"] = data[::2, ::2, ::2]
    return path


def characters(value: object) -> np.ndarray:
    return np.array([letter.encode("latin-1") for letter in str(value)], "S1")


def test_the_phantom_comes_back_without_its_padding(tmp_path: Path) -> None:
    volume = open_volume(write_imaris(tmp_path / "Hirn ä.ims"))
    assert volume.shape == SHAPE and volume.spacing == pytest.approx(SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom())
    box = Box((1, 2, 3), (4, 9, 10))
    copy = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(copy.read(box), phantom()[box.slices])


def test_channels_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    volume = open_volume(write_imaris(tmp_path / "a.ims", channels=11))
    assert volume.data.shape == (11, *SHAPE)
    for channel in (0, 2, 10):
        np.testing.assert_array_equal(volume.data[channel], phantom() + channel)
    assert volume.data[1:3, 0, 0, 0].tolist() == [101, 102]


@pytest.mark.parametrize(("unit", "edge"), [("nm", 1000.0), ("mm", 1e-3), (None, 1.0), ("µm", 1.0)])
def test_the_extent_is_in_its_unit(tmp_path: Path, unit: str | None, edge: float) -> None:
    volume = open_volume(write_imaris(tmp_path / "a.ims", unit=unit, edge=edge))
    # a µ in latin-1 is no valid UTF-8
    assert volume.spacing == pytest.approx(SPACING, rel=1e-3)


def test_an_odd_unit_or_extent_asks_for_the_spacing(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"'pc'.*--spacing"):
        open_volume(write_imaris(tmp_path / "a.ims", unit="pc"))
    with pytest.raises(VolumeError, match=r"impossible spacing.*--spacing"):
        open_volume(write_imaris(tmp_path / "a.ims", edge=0))
    assert open_volume(tmp_path / "a.ims", spacing=SPACING).spacing == SPACING


def test_several_time_points_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="series of 2 time points"):
        open_volume(write_imaris(tmp_path / "a.ims", times=2))


def test_an_image_larger_than_its_data_is_refused(tmp_path: Path) -> None:
    path = write_imaris(tmp_path / "a.ims")
    with h5py.File(path, "a") as file:
        file["DataSetInfo/Image"].attrs["X"] = characters(33)
    with pytest.raises(VolumeError, match=r"says it has \(5, 17, 33\) voxels"):
        open_volume(path)
    with h5py.File(path, "a") as file:
        del file["DataSetInfo/Image"].attrs["X"]
    with pytest.raises(VolumeError, match="does not tell its size"):
        open_volume(path)


def test_a_file_without_channels_is_refused(tmp_path: Path) -> None:
    path = write_imaris(tmp_path / "a.ims")
    with h5py.File(path, "a") as file:
        del file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"]
    with pytest.raises(VolumeError, match="has no channel"):
        open_volume(path)
