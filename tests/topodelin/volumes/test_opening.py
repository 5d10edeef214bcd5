import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import VolumeError, open_images, open_volume
from topodelin.volumes.terafly_writer import write_terafly
from topodelin.volumes.vaa3d import write_v3draw


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "really_tiff.npy", phantom(), photometric="minisblack")
    volume = open_volume(tmp_path / "really_tiff.npy", spacing=SPACING)
    np.testing.assert_array_equal(volume.data[...], phantom())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty .zero bytes.; copy it again"),
        (b"1 0 0.5 0.5 0.5 1 -1\n", "is not an image that can be read.*give TIFF"),
        (b"II", "is not an image"),
        (b"II*\0", "is truncated or damaged"),
        (b"II*\0\x08\0\0\0", "is truncated or damaged"),
        (b"MM\0+\0\x08\0\0", "is truncated or damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "a single PNG image.*folder"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "JPEG.*TIFF"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "is damaged or incomplete"),
        (b"PK\x03\x04" + bytes(40), "zip archive; unpack"),
        (b"\x1f\x8b\x08" + bytes(40), "gunzip"),
        (b"raw_image_stack_by_hpengL" + bytes(40), "0 bytes per voxel"),
        (b"v3d_volume_pkbitdf_encodL" + bytes(40), "0 bytes per voxel"),
        (b"\x93NUMPY\x09\x00" + bytes(40), "header is damaged"),
    ],
)
@pytest.mark.parametrize("name", ["image.tif", "image.npy"])
def test_what_is_no_volume_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VolumeError, match=message) as error:
        open_volume(path, spacing=SPACING)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"gone\.tif: does not exist"):
        open_volume(tmp_path / "gone.tif")


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.tif").write_bytes(b"II*\0")
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(VolumeError, match=r"a\.tif: cannot be read .Permission denied."):
        open_volume(tmp_path / "a.tif")


def test_importing_the_room_loads_no_format_library() -> None:
    code = (
        "import sys; blocked = ['zarr', 'tifffile', 'torch', 'PIL', 'h5py', 'tensorstore'];"
        "sys.modules.update(dict.fromkeys(blocked)); import topodelin.volumes"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_single_image_is_a_volume_of_one_slice(tmp_path: Path, name: str) -> None:
    Image.fromarray(phantom()[0]).save(tmp_path / name)
    volume = open_images(tmp_path / name, spacing=SPACING)
    assert volume.shape == (1, *phantom().shape[1:]) and volume.spacing == SPACING
    np.testing.assert_array_equal(volume.data[0], phantom()[0])
    with pytest.raises(VolumeError, match=r"2-D images do not tell .*--spacing"):
        open_images(tmp_path / name)
    with pytest.raises(VolumeError, match="2-D"):
        open_volume(tmp_path / name, spacing=SPACING)


def test_images_that_are_stacks_stay_stacks(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", phantom(), photometric="minisblack")
    np.save(tmp_path / "a.npy", phantom())
    for name in ("a.tif", "a.npy"):
        volume = open_images(tmp_path / name, spacing=SPACING)
        np.testing.assert_array_equal(volume.data[...], phantom())


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_an_image_in_colour_is_refused_for_its_colour(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.stack([phantom()[0]] * 3, axis=-1)).save(tmp_path / name)
    with pytest.raises(VolumeError, match=r"a\.\w+: is .*colour.*Split Channels"):
        open_images(tmp_path / name, spacing=SPACING)


def test_a_cut_image_is_refused_as_cut(tmp_path: Path) -> None:
    Image.fromarray(phantom()[0]).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:30])
    with pytest.raises(VolumeError, match=r"a\.png: is truncated"):
        open_images(tmp_path / "a.png", spacing=SPACING)


def test_the_readers_of_vaa3d_and_terafly_are_found(tmp_path: Path) -> None:
    image = open_volume(_npy(tmp_path), spacing=SPACING)
    write_v3draw(tmp_path / "ä.v3draw", image)
    write_terafly(tmp_path / "tiles", image)
    for name in ("ä.v3draw", "tiles"):
        volume = open_volume(tmp_path / name, spacing=SPACING)
        np.testing.assert_array_equal(volume.data[...], phantom())


def _npy(folder: Path) -> Path:
    np.save(folder / "a.npy", phantom())
    return folder / "a.npy"
