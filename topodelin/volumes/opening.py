"""Open any supported volume by what is in the file, not by how it is called."""

import os
from collections.abc import Sequence
from pathlib import Path

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.volume import Spacing, Volume, check_spacing

SUPPORTED = "TIFF, .npy, an OME-Zarr folder, or a folder of TIFF or PNG slices"

FOREIGN = (
    (b"\x89PNG", "is a single PNG image, which is 2-D", "give the folder that holds all slices"),
    (b"\xff\xd8\xff", "is a JPEG image, which is 2-D and lossy", "save the stack as TIFF"),
    (b"\x89HDF", "is an HDF5 file", "export the image as TIFF or OME-Zarr, for example from Fiji"),
    (b"PK\x03\x04", "is a zip archive", "unpack it first and give what was inside"),
    (b"\x1f\x8b", "is compressed with gzip", "unpack it first with gunzip"),
    (b"raw_image_stack_by_hpeng", "is a Vaa3D raw stack", "save it as TIFF in Vaa3D"),
    (b"GIF8", "is a GIF image", "save the stack as TIFF"),
    (b"BM", "is a bitmap image, which is 2-D", "save the stack as TIFF"),
)


def open_volume(path: str | os.PathLike[str], *, spacing: Sequence[float] | None = None) -> Volume:
    """The image at `path` as a lazily read volume.

    Args:
        path: TIFF (multi-page, BigTIFF, OME-TIFF, ImageJ hyperstack), `.npy`, an OME-Zarr 0.4 or
            0.5 folder, or a folder of 2-D TIFF or PNG slices.
        spacing: µm per voxel `(z, y, x)`. Wins over what the file says; needed when it says
            nothing.

    Nothing but headers is read here. The axes of `volume.data` are `(z, y, x)`, or
    `(c, z, y, x)` when there are several channels.

    Raises:
        VolumeError: in one line, the file, what is wrong with it and the remedy.
    """
    where = Path(path)
    given = None if spacing is None else check_spacing(spacing)
    try:
        if where.is_dir():
            return _open_folder(where, given)
        return _open_file(where, given)
    except FileNotFoundError:
        raise VolumeError(f"{where}: does not exist; check the path") from None
    except OSError as error:
        raise VolumeError(
            f"{where}: cannot be read ({error.strerror or error}); check its permissions"
        ) from error


def open_images(path: str | os.PathLike[str], *, spacing: Sequence[float] | None = None) -> Volume:
    """As [`open_volume`][], but a single 2-D TIFF or PNG image is a volume of one slice.

    For networks of images. Its spacing along z, which it cannot know, is only there for form.
    """
    from topodelin.volumes.slices import is_slice, open_files

    where = Path(path)
    if not where.is_file() or not is_slice(where):
        return open_volume(path, spacing=spacing)
    return open_files([where], None if spacing is None else check_spacing(spacing))


def _open_folder(path: Path, spacing: Spacing | None) -> Volume:
    from topodelin.volumes.ome_zarr import is_zarr, open_ome_zarr
    from topodelin.volumes.slices import open_slices

    return open_ome_zarr(path, spacing) if is_zarr(path) else open_slices(path, spacing)


def _open_file(path: Path, spacing: Spacing | None) -> Volume:
    with path.open("rb") as file:
        start = file.read(32)
    if not start:
        raise VolumeError(f"{path}: is empty (zero bytes); copy it again from its origin")
    from topodelin.volumes import npy, tiff

    if start[:4] in tiff.MAGIC:
        return tiff.open_tiff(path, spacing)
    if start.startswith(npy.MAGIC):
        return npy.open_npy(path, spacing)
    for magic, what, remedy in FOREIGN:
        if start.startswith(magic):
            raise VolumeError(f"{path}: {what}; {remedy}")
    raise VolumeError(
        f"{path}: is not an image that can be read, it begins with {start[:8]!r} whatever its "
        f"name says; give {SUPPORTED}"
    )
