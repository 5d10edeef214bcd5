from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import Box, VolumeError, open_volume


def save(folder: Path, array: np.ndarray, name: str = "s_{}.tif", first: int = 8) -> Path:
    """One file for each slice, numbered from 8 so that 10 sorts before 8 by letters."""
    folder.mkdir(exist_ok=True)
    for number, plane in enumerate(array, start=first):
        path = folder / name.format(number)
        if path.suffix == ".png":
            Image.fromarray(plane).save(path)
        else:
            tifffile.imwrite(path, plane, compression="deflate")
    return folder


@pytest.mark.parametrize("name", ["s_{}.tif", "{:04d}.TIFF", "brain2_z{}_488nm.png"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_phantom_comes_back_unturned(tmp_path: Path, name: str, dtype: str) -> None:
    folder = save(tmp_path / "slices", phantom(dtype), name)
    (folder / "notes.txt").write_text("not an image")
    volume = open_volume(folder, spacing=SPACING)
    assert (volume.dtype, volume.spacing) == (np.dtype(dtype), SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom(dtype))
    box = Box((1, 2, 3), (4, 9, 10))
    np.testing.assert_array_equal(volume.read(box), phantom(dtype)[box.slices])


def test_slices_may_be_numbered_in_steps(tmp_path: Path) -> None:
    save(tmp_path / "a", phantom())
    for file in sorted((tmp_path / "a").iterdir()):
        number = int(file.stem[2:])
        file.rename(file.with_name(f"z{number * 10:06d}.tif"))
    volume = open_volume(tmp_path / "a", spacing=SPACING)
    np.testing.assert_array_equal(volume.data[...], phantom())


def test_without_spacing_the_flag_is_named(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"slices: .*--spacing z,y,x"):
        open_volume(save(tmp_path / "slices", phantom()))


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "slices", phantom())
    (folder / "s_10.tif").unlink()
    with pytest.raises(VolumeError, match=r"missing between s_9\.tif and s_11\.tif"):
        open_volume(folder, spacing=SPACING)


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(VolumeError, match="holds no TIFF or PNG slices"):
        open_volume(tmp_path, spacing=SPACING)


def test_two_stacks_in_one_folder_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", phantom(), "red_{}.tif")
    save(tmp_path / "a", phantom(), "green_{}.tif")
    with pytest.raises(VolumeError, match="named in different ways, such as green_10.tif and red"):
        open_volume(tmp_path / "a", spacing=SPACING)


def test_two_channels_in_one_folder_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", phantom(), "c1_z{}.tif")
    save(tmp_path / "a", phantom(), "c2_z{}.tif")
    with pytest.raises(VolumeError, match="more than one number varies"):
        open_volume(tmp_path / "a", spacing=SPACING)


def test_the_same_slice_twice_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "a", phantom())
    save(folder, phantom()[:1], "s_0{}.tif")
    with pytest.raises(VolumeError, match="are both slice 8"):
        open_volume(folder, spacing=SPACING)


FAULTS = {
    "smaller": (lambda p: tifffile.imwrite(p, phantom()[0, :5]), r"\(5, 29\) of uint8, but"),
    "deeper": (lambda p: tifffile.imwrite(p, phantom("uint16")[0]), "of uint16, but"),
    "a stack": (lambda p: tifffile.imwrite(p, phantom()), "a slice is one 2-D image"),
    "colour": (
        lambda p: tifffile.imwrite(p, np.zeros((17, 29, 3), np.uint8), photometric="rgb"),
        "colour",
    ),
    "colour PNG": (
        lambda p: Image.fromarray(np.zeros((17, 29, 3), np.uint8)).save(p, "png"),
        "RGB colour.*Split Channels",
    ),
    "palette PNG": (
        lambda p: Image.fromarray(phantom()[0]).convert("P").save(p, "png"),
        "palette colour",
    ),
    "one bit PNG": (
        lambda p: Image.fromarray(phantom("bool")[0]).save(p, "png"),
        "save it with 8 or 16",
    ),
    "zero bytes": (lambda p: p.write_bytes(b""), "zero bytes"),
    "text": (lambda p: p.write_text("hello"), "neither TIFF nor PNG"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:150]), "truncated or damaged"),
    "cut PNG": (lambda p: p.write_bytes(png_bytes()[:20]), "truncated"),
}


def png_bytes() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (17, 29), np.uint8)).save(
        buffer, "png"
    )
    return buffer.getvalue()


@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_slice_is_named_when_the_folder_is_opened(tmp_path: Path, fault: str) -> None:
    folder = save(tmp_path / "slices", phantom())
    spoil, message = FAULTS[fault]
    spoil(folder / "s_10.tif")
    with pytest.raises(VolumeError, match=r"s_10\.tif: .*" + message) as error:
        open_volume(folder, spacing=SPACING)
    assert "\n" not in str(error.value)


def test_a_png_cut_in_its_pixels_is_named_when_it_is_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 17, 29), np.uint8)
    folder = save(tmp_path / "slices", noise, "s_{}.png")
    (folder / "s_9.png").write_bytes((folder / "s_9.png").read_bytes()[:200])
    volume = open_volume(folder, spacing=SPACING)
    volume.read(Box((0, 0, 0), (1, 17, 29)))
    with pytest.raises(VolumeError, match=r"slices.*damaged"):
        volume.read(volume.box)


def test_a_png_that_claims_more_than_its_bytes_hold_is_refused(tmp_path: Path) -> None:
    content = bytearray(png_bytes())
    content[16:24] = (1 << 30).to_bytes(4, "big") * 2
    (tmp_path / "s_1.png").write_bytes(content)
    with pytest.raises(VolumeError, match="do not fit into its bytes"):
        open_volume(tmp_path, spacing=SPACING)
