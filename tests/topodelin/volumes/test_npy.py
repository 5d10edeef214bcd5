import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import Box, VolumeError, open_volume


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int16", ">u2", "float16", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_phantom_comes_back_unturned(tmp_path: Path, dtype: str, order: str) -> None:
    np.save(tmp_path / "a.npy", np.asarray(phantom(dtype), order="F" if order == "F" else "C"))
    volume = open_volume(tmp_path / "a.npy", spacing=SPACING)
    assert volume.spacing == SPACING
    assert volume.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    box = Box((1, 2, 3), (4, 9, 10))
    np.testing.assert_array_equal(volume.read(box), phantom(dtype)[box.slices])


def test_channels_are_kept(tmp_path: Path) -> None:
    channels = np.stack([phantom(), 7 - phantom()])
    np.save(tmp_path / "a.npy", channels)
    volume = open_volume(tmp_path / "a.npy", spacing=SPACING)
    assert volume.data.shape == channels.shape and volume.shape == channels.shape[1:]
    np.testing.assert_array_equal(volume.read(volume.box), channels)


def test_what_was_read_stays_when_the_file_changes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", phantom())
    volume = open_volume(tmp_path / "a.npy", spacing=SPACING)
    read = volume.read(volume.box)
    np.save(tmp_path / "a.npy", 0 * phantom())
    np.testing.assert_array_equal(read, phantom())


def test_a_hundred_gigabytes_open_at_once(tmp_path: Path) -> None:
    path = tmp_path / "brain.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(
            file, {"shape": (2048, 7000, 7000), "fortran_order": False, "descr": "|u1"}
        )
        file.truncate(file.tell() + 2048 * 7000 * 7000)
    volume = open_volume(path, spacing=(1, 1, 1))
    assert len(pickle.dumps(volume)) < 1000
    assert not volume.read(Box((2040, 6990, 6990), (2048, 7000, 7000))).any()


def test_without_spacing_the_flag_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", phantom())
    with pytest.raises(VolumeError, match=r"a\.npy: .*--spacing z,y,x"):
        open_volume(tmp_path / "a.npy")


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, float("nan")), (1, -1, 1)])
def test_an_impossible_spacing_is_refused(tmp_path: Path, spacing: tuple[float, ...]) -> None:
    np.save(tmp_path / "a.npy", phantom())
    with pytest.raises(ValueError, match="`spacing` must be three positive numbers"):
        open_volume(tmp_path / "a.npy", spacing=spacing)


class Malice:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    malice = np.array([[[Malice(tmp_path / "pwned")]]], dtype=object)
    np.save(tmp_path / "a.npy", malice, allow_pickle=True)
    with pytest.raises(VolumeError, match=r"a\.npy: holds values of type object"):
        open_volume(tmp_path / "a.npy", spacing=SPACING)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (phantom().astype(complex), "complex128"),
        (phantom().astype(str), "convert it"),
        (np.zeros((4, 4), np.uint8), "2-D image"),
        (np.zeros((2, 2, 2, 2, 2), np.uint8), "one time point"),
        (np.zeros((0, 4, 4), np.uint8), "is empty"),
        (np.zeros((2, 4, 4), "datetime64[s]"), "convert it"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(VolumeError, match=r"a\.npy: .*" + re.escape(message)):
        open_volume(tmp_path / "a.npy", spacing=SPACING)


def test_nan_is_found_in_the_box_that_holds_it_and_only_there(tmp_path: Path) -> None:
    array = phantom("float32")
    array[3, 4, 5] = np.nan
    np.save(tmp_path / "a.npy", array)
    volume = open_volume(tmp_path / "a.npy", spacing=SPACING)
    volume.read(Box((0, 0, 0), (3, 17, 29)))
    with pytest.raises(VolumeError, match=r"a\.npy: 1 voxels .* \(3, 4, 5\).*nan_to_num"):
        volume.read(Box((2, 2, 2), (5, 17, 29)))


@pytest.mark.parametrize("length", [0, 3, 8, 30, 100, 127, 128, 129, 500])
def test_a_cut_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.npy"
    np.save(path, phantom())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(VolumeError, match=r"a\.npy: "):
        open_volume(path, spacing=SPACING)


def test_a_file_cut_after_it_was_opened_is_an_error_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, phantom())
    volume = open_volume(path, spacing=SPACING)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(VolumeError, match="truncated"):
        volume.read(volume.box)
