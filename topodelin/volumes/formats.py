"""What kind of image a file, folder or URL is, by what is in it and not by how it is called."""

from pathlib import Path

from topodelin.volumes.errors import VolumeError

SUPPORTED = (
    "TIFF, .npy, HDF5, Imaris, v3draw, v3dpbd, or a folder of OME-Zarr, N5, precomputed, TeraFly "
    "or of TIFF or PNG slices"
)

MAGICS = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\x93NUMPY", "npy"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"raw_image_stack_by_hpeng", "Vaa3D"),
    (b"v3d_volume_pkbitdf_encod", "Vaa3D"),
)
FOREIGN = (
    (b"\x89PNG", "is a single PNG image, which is 2-D", "give the folder that holds all slices"),
    (b"\xff\xd8\xff", "is a JPEG image, which is 2-D and lossy", "save the stack as TIFF"),
    (b"PK\x03\x04", "is a zip archive", "unpack it first and give what was inside"),
    (b"\x1f\x8b", "is compressed with gzip", "unpack it first with gunzip"),
    (b"GIF8", "is a GIF image", "save the stack as TIFF"),
    (b"BM", "is a bitmap image, which is 2-D", "save the stack as TIFF"),
)


def file_kind(path: Path) -> str:
    """TIFF, npy, HDF5 (Imaris too) or Vaa3D, by the first bytes.

    Raises:
        VolumeError: it is none of them.
    """
    with path.open("rb") as file:
        start = file.read(32)
    if not start:
        raise VolumeError(f"{path}: is empty (zero bytes); copy it again from its origin")
    for magic, kind in MAGICS:
        if start.startswith(magic):
            return kind
    for magic, what, remedy in FOREIGN:
        if start.startswith(magic):
            raise VolumeError(f"{path}: {what}; {remedy}")
    raise VolumeError(
        f"{path}: is not an image that can be read, it begins with {start[:8]!r} whatever its "
        f"name says; give {SUPPORTED}"
    )


def folder_kind(path: Path) -> str:
    """OME-Zarr, N5, precomputed or TeraFly, or slices where it is none of these."""
    from topodelin.volumes.n5 import is_n5
    from topodelin.volumes.ome_zarr import is_zarr
    from topodelin.volumes.precomputed import is_precomputed
    from topodelin.volumes.terafly import is_terafly

    if is_zarr(path):
        return "OME-Zarr"
    if is_precomputed(path):
        return "precomputed"
    if is_n5(path):
        return "N5"
    return "TeraFly" if is_terafly(path) else "slices"
