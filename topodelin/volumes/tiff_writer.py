"""Multi-page TIFF that Vaa3D, TeraFly and ImageJ open, written page by page.

One uncompressed page a slice, each one strip. Every page says that it is a page (subfile type 2)
and which of how many (PageNumber), as readers of TeraFly trust the number of pages told there. The
size of the voxels stands where ImageJ looks for it: resolution tags for y and x, `spacing` and
`unit` of the description for z.

References:
    TIFF 6.0 (Adobe, 1992): NewSubfileType (254), PageNumber (297), XResolution (282).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from math import prod
from pathlib import Path

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.volume import Spacing, Volume
from topodelin.volumes.whole_file import whole_file

TYPES = ("uint8", "uint16")
CLASSIC_LIMIT = 2**32 - 1  # bytes that the pointers of a classic TIFF reach
PAGE_OVERHEAD = 512  # bytes, more than the tags of one page take
PAGE = 2  # bit of NewSubfileType
PAGE_NUMBER = 297
BAND_BYTES = 64 << 20  # of slices, read at a time
ALL = slice(None)
MOST_PAGES = 65535  # PageNumber is an unsigned short

Progress = Callable[[int, int], None]


def write_tiff_stack(
    path: str | os.PathLike[str],
    volume: Volume,
    *,
    rgb: bool = False,
    bigtiff: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write a volume as one multi-page TIFF; the file appears whole or not at all.

    Args:
        path: the file to write.
        volume: uint8 or uint16; `(z, y, x)`, or `(c, z, y, x)`, whose channels become those of an
            ImageJ hyperstack. Read in bands of slices of at most 64 MB, where one slice fits.
        rgb: three channels `(3, z, y, x)` are the red, green and blue of colour pages.
        bigtiff: write BigTIFF, without limit of size. Vaa3D is known to fail on some of it.
        progress: called with the number of slices done and their total.

    Raises:
        VolumeError: another type of voxel, other channels than three as colour, or a file beyond
            4 GB or 65535 pages that is not to be BigTIFF.
    """
    where = Path(path)
    channels = volume.data.shape[0] if len(volume.data.shape) == 4 else 1
    check_tiff(where, volume.dtype, volume.data.shape, rgb=rgb, bigtiff=bigtiff)
    slices = volume.shape[0]
    together = 1 if rgb else channels
    pages = _pages(volume, rgb, progress)
    text = imagej_description(slices, together, volume.spacing)
    write_pages(where, pages, slices * together, volume.spacing, text, bigtiff=bigtiff)


def check_tiff(
    path: Path, dtype: np.dtype, shape: tuple[int, ...], *, rgb: bool, bigtiff: bool
) -> None:
    """Refuse what does not become a TIFF that Vaa3D opens."""
    if dtype.name not in TYPES:
        raise VolumeError(
            f"{path}: the TIFF is written as uint8 or uint16, got {dtype}; convert the volume first"
        )
    if rgb and (len(shape) != 4 or shape[0] != 3):
        raise VolumeError(
            f"{path}: `rgb` needs a volume of axes (3, z, y, x), got shape {tuple(shape)}"
        )
    pages = shape[-3] * (1 if rgb or len(shape) == 3 else shape[0])
    size = prod(shape) * dtype.itemsize + pages * PAGE_OVERHEAD
    if bigtiff or (size <= CLASSIC_LIMIT and pages <= MOST_PAGES):
        return
    raise VolumeError(
        f"{path}: {pages} pages and {size:,} bytes are more than a TIFF of Vaa3D can hold (65535 "
        "pages, 4 GB); write v3draw or a TeraFly folder, a smaller box, or BigTIFF for other "
        "programs"
    )


def write_pages(
    path: Path,
    pages: Iterable[np.ndarray],
    count: int,
    spacing: Spacing,
    description: str,
    *,
    bigtiff: bool = False,
) -> None:
    """Write pages of one shape and type, `(y, x)` or `(y, x, 3)`, `count` in number.

    Args:
        description: of the first page, as [`imagej_description`][] makes it.
    """
    import tifffile

    writer = tifffile.TiffWriter
    with whole_file(path) as part, writer(part, bigtiff=bigtiff, byteorder="<") as tif:
        for number, page in enumerate(pages):
            pair = (number % (MOST_PAGES + 1), min(count, MOST_PAGES))
            tif.write(
                page,
                photometric="rgb" if page.ndim == 3 else "minisblack",
                subfiletype=PAGE,
                contiguous=False,
                metadata=None,
                software=False,
                description=description if number == 0 else None,
                resolution=(1 / spacing[2], 1 / spacing[1]),
                resolutionunit="NONE",
                extratags=[(PAGE_NUMBER, "H", 2, pair, True)],
            )


def imagej_description(slices: int, channels: int, spacing: Spacing) -> str:
    """The lines in which ImageJ keeps the axes of a stack and its spacing along z, in µm."""
    lines = ["ImageJ=1.54f", f"images={slices * channels}"]
    if channels > 1:
        lines += [f"channels={channels}"]
    lines += [f"slices={slices}"]
    if channels > 1:
        lines += ["hyperstack=true", "mode=grayscale"]
    return "\n".join([*lines, "unit=um", f"spacing={spacing[0]!r}", "loop=false", ""])


def _pages(volume: Volume, rgb: bool, progress: Progress | None) -> Iterator[np.ndarray]:
    """The pages in the order of ImageJ: slice by slice, of each its channels."""
    depth = volume.shape[0]
    dtype = volume.dtype.newbyteorder("<")
    slice_bytes = prod(volume.data.shape) // depth * dtype.itemsize
    thick = max(1, BAND_BYTES // slice_bytes)
    for first in range(0, depth, thick):
        band = np.asarray(volume.data[(..., slice(first, first + thick), ALL, ALL)], dtype)
        for number in range(band.shape[-3]):
            planes = band[..., number, :, :].reshape(-1, *band.shape[-2:])
            yield from [np.moveaxis(planes, 0, -1).copy()] if rgb else planes
            if progress is not None:
                progress(first + number + 1, depth)
