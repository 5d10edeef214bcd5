"""Open any supported volume by what is in the file, not by how it is called."""

import os
from collections.abc import Sequence
from pathlib import Path

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.formats import file_kind, folder_kind
from topodelin.volumes.locations import file_and_member, location
from topodelin.volumes.volume import Spacing, Volume, check_spacing


def open_volume(path: str | os.PathLike[str], *, spacing: Sequence[float] | None = None) -> Volume:
    """The image at `path` as a lazily read volume.

    Args:
        path: TIFF (multi-page, BigTIFF, OME-TIFF, ImageJ hyperstack), `.npy`, HDF5
            (`file.h5:/dataset` names one of several), Imaris, v3draw or v3dpbd; a folder of
            OME-Zarr 0.4 or 0.5, N5, neuroglancer precomputed, TeraFly tiles, or 2-D TIFF or PNG
            slices; or a URL of OME-Zarr, N5 or precomputed, such as `https://host/a.ome.zarr` or
            `precomputed://gs://bucket/image`. Only a URL is ever looked up in a network.
        spacing: µm per voxel `(z, y, x)`. Wins over what the file says; needed when it says
            nothing.

    Nothing but headers is read here. The axes of `volume.data` are `(z, y, x)`, or
    `(c, z, y, x)` when there are several channels. The volume can be sent to other processes.

    Raises:
        VolumeError: in one line, the file, what is wrong with it and the remedy.
    """
    where = location(path)
    given = None if spacing is None else check_spacing(spacing)
    if isinstance(where, str):
        from topodelin.volumes.urls import open_url

        return open_url(where, given)
    where, member = file_and_member(where)
    try:
        if where.is_dir():
            return _open_folder(where, given)
        return _open_file(where, given, member)
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

    where = location(path)
    if isinstance(where, str) or not where.is_file() or not is_slice(where):
        return open_volume(path, spacing=spacing)
    return open_files([where], None if spacing is None else check_spacing(spacing))


def _open_folder(path: Path, spacing: Spacing | None) -> Volume:
    match folder_kind(path):
        case "OME-Zarr":
            from topodelin.volumes.ome_zarr import open_ome_zarr

            return open_ome_zarr(path, spacing)
        case "precomputed":
            from topodelin.volumes.precomputed import open_precomputed
            from topodelin.volumes.stores import local_store

            return open_precomputed(local_store(path), spacing)
        case "N5":
            from topodelin.volumes.n5 import open_n5
            from topodelin.volumes.stores import local_store

            return open_n5(local_store(path), spacing)
        case "TeraFly":
            from topodelin.volumes.terafly import open_terafly

            return open_terafly(path, spacing)
        case _:
            from topodelin.volumes.slices import open_slices

            return open_slices(path, spacing)


def _open_file(path: Path, spacing: Spacing | None, member: str | None) -> Volume:
    kind = file_kind(path)
    if kind == "HDF5":
        from topodelin.volumes.hdf5 import open_hdf5

        return open_hdf5(path, spacing, member)
    if member is not None:
        raise VolumeError(f"{path}: is {kind}, not HDF5; leave out :{member}")
    if kind == "TIFF":
        from topodelin.volumes.tiff import open_tiff

        return open_tiff(path, spacing)
    if kind == "npy":
        from topodelin.volumes.npy import open_npy

        return open_npy(path, spacing)
    from topodelin.volumes.vaa3d import open_v3d

    return open_v3d(path, spacing)
