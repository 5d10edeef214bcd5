"""A folder of 2-D TIFF or PNG slices, in natural numeric order."""

import re
import struct
from pathlib import Path

import numpy as np

from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.lazy import CheckedArray, LazyArray, check_image
from topodelin.volumes.planes import PlaneArray
from topodelin.volumes.tiff import MAGIC as TIFF_MAGIC
from topodelin.volumes.tiff import tiff_array
from topodelin.volumes.volume import Spacing, Volume

SUFFIXES = frozenset((".tif", ".tiff", ".png"))
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
DEFLATE_RATIO = 1032  # what deflate, the codec of PNG, can shrink at most
PNG_COLOURS = {2: "RGB colour", 3: "palette colour", 4: "grey with transparency", 6: "RGBA colour"}


def open_slices(path: Path, spacing: Spacing | None = None) -> Volume:
    """The slices in a folder as a volume; `spacing` must be given.

    Slices are the files ending in .tif, .tiff or .png. Their names must be alike but for one
    number, which rises by the same step from each to the next: `s_9.tif` comes before
    `s_10.tif`, and without it the folder is refused.
    """
    files = [f for f in path.iterdir() if f.suffix.lower() in SUFFIXES and f.name[0] != "."]
    if not files:
        raise VolumeError(
            f"{path}: holds no TIFF or PNG slices and is no OME-Zarr image; check the path"
        )
    return open_files(in_order(path, files), spacing, folder=path)


def open_files(
    files: list[Path], spacing: Spacing | None = None, *, folder: Path | None = None
) -> Volume:
    """2-D images as the slices of a volume, in that order; `folder` is what errors name."""
    path = folder or files[0]
    array = SliceFolder(path, files)
    check_image(path, array.shape, array.dtype)
    if spacing is None:
        raise spacing_needed(path, "2-D images do not tell the size of a voxel")
    return Volume(CheckedArray(array, path), spacing)


def is_slice(file: Path) -> bool:
    """Whether a file is one 2-D image: any PNG, and a TIFF that can be read as one."""
    with file.open("rb") as opened:
        start = opened.read(8)
    if start.startswith(PNG_MAGIC):
        return True
    if not start.startswith(TIFF_MAGIC):
        return False
    try:
        open_slice(file)
    except VolumeError:
        return False
    return True


def in_order(folder: Path, files: list[Path]) -> list[Path]:
    """The slices by their number, without gap or doubt."""
    parts = {file: re.split(r"(\d+)", file.stem) for file in files}
    patterns = {(tuple(words[::2]), file.suffix) for file, words in parts.items()}
    if len(patterns) > 1:
        odd = sorted(files)[0].name, sorted(files)[-1].name
        raise VolumeError(
            f"{folder}: holds images named in different ways, such as {odd[0]} and {odd[1]}; keep "
            "only the slices of one stack in the folder"
        )
    numbers = np.array([[int(word) for word in words[1::2]] for words in parts.values()], object)
    varying = [
        column for column in range(numbers.shape[1]) if len(set(numbers[:, column])) > 1
    ] or [numbers.shape[1] - 1]
    if len(varying) > 1:
        raise VolumeError(
            f"{folder}: more than one number varies in the names of the slices, as in "
            f"{sorted(files)[0].name}; keep one channel and one time point in the folder"
        )
    if len(files) == 1:
        return files
    order = sorted(range(len(files)), key=lambda i: numbers[i, varying[0]])
    at = [numbers[i, varying[0]] for i in order]
    ordered = [files[i] for i in order]
    step = min(b - a for a, b in zip(at[:-1], at[1:], strict=True))
    for before, after, a, b in zip(ordered[:-1], ordered[1:], at[:-1], at[1:], strict=True):
        if a == b:
            raise VolumeError(f"{folder}: {before.name} and {after.name} are both slice {a}")
        if b - a != step:
            raise VolumeError(
                f"{folder}: slices are missing between {before.name} and {after.name}; add them, "
                "or number the slices without gaps"
            )
    return ordered


class SliceFolder(PlaneArray):
    """One plane per file. The headers of all are checked at once, pixels are read later."""

    def __init__(self, folder: Path, files: list[Path]) -> None:
        self.files = files
        first = open_slice(files[0])
        super().__init__(np.arange(len(files)), _plane(first), first.dtype)
        for file in files[1:]:
            other = open_slice(file)
            if (_plane(other), other.dtype) != (_plane(first), first.dtype):
                raise VolumeError(
                    f"{file}: is {_plane(other)} of {other.dtype}, but {files[0].name} is "
                    f"{_plane(first)} of {first.dtype}; slices of {folder} must be alike"
                )

    def read_plane(self, number: int, rows: slice, columns: slice) -> np.ndarray:
        plane = open_slice(self.files[number])
        return plane.read_slices((*(slice(0, 1),) * (plane.ndim - 2), rows, columns)).reshape(
            rows.stop - rows.start, columns.stop - columns.start
        )


def open_slice(file: Path) -> LazyArray:
    """One 2-D slice, TIFF or PNG by its content."""
    with file.open("rb") as opened:
        start = opened.read(33)
    if not start:
        raise VolumeError(f"{file}: is empty (zero bytes); copy it again from its origin")
    if start[:4] in TIFF_MAGIC:
        array = tiff_array(file)
    elif start.startswith(PNG_MAGIC):
        array = PngSlice(file, start)
    else:
        raise VolumeError(
            f"{file}: is neither TIFF nor PNG, it begins with {start[:8]!r} whatever its name "
            "says; remove it from the folder or copy it again"
        )
    if len(array.shape) > 2 and any(size != 1 for size in array.shape[:-2]):
        raise VolumeError(
            f"{file}: has shape {array.shape}, a slice is one 2-D image; give the file itself "
            "instead of its folder"
        )
    check_image(file, (1, *array.shape[-2:]), array.dtype)
    return array


class PngSlice(LazyArray):
    """A grey PNG image of 8 or 16 bits, decoded whole on each read.

    References:
        W3C, Portable Network Graphics, second edition, 2003, for the header.
    """

    def __init__(self, path: Path, start: bytes) -> None:
        if len(start) < 33:
            raise VolumeError(f"{path}: is truncated; copy it again from its origin")
        width, height, bits, colour = struct.unpack(">IIBB", start[16:26])
        if colour in PNG_COLOURS:
            raise VolumeError(
                f"{path}: is {PNG_COLOURS[colour]}, a slice has one intensity per pixel; in Fiji "
                "choose Image > Color > Split Channels and save one channel"
            )
        if colour != 0 or bits not in (8, 16):
            raise VolumeError(f"{path}: has {bits} bits per pixel; save it with 8 or 16")
        self.path, self.shape = path, (height, width)
        self.dtype = np.dtype(f"uint{bits}")
        if height * width * self.dtype.itemsize > DEFLATE_RATIO * path.stat().st_size:
            raise VolumeError(
                f"{path}: is truncated, {height} x {width} pixels do not fit into its bytes; copy "
                "it again from its origin"
            )

    def read_slices(self, slices: tuple[slice, ...]) -> np.ndarray:
        from PIL.PngImagePlugin import PngImageFile

        with self.path.open("rb") as file, PngImageFile(file) as image:
            return np.array(image, self.dtype)[slices]


def _plane(array: LazyArray) -> tuple[int, int]:
    return array.shape[-2], array.shape[-1]
