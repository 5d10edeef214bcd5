"""NumPy `.npy` files, mapped. Never unpickled."""

from pathlib import Path

import numpy as np

from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.lazy import CheckedArray, MappedArray, check_image
from topodelin.volumes.volume import Spacing, Volume

MAGIC = b"\x93NUMPY"


def open_npy(path: Path, spacing: Spacing | None = None) -> Volume:
    """An array of axes `(z, y, x)` or `(c, z, y, x)` as a volume; `spacing` must be given."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(file)
            offset = file.tell()
    except (ValueError, KeyError, SyntaxError) as error:
        raise VolumeError(
            f"{path}: its .npy header is damaged ({' '.join(str(error).split())[:100]}); "
            "save it again with numpy.save"
        ) from error
    shape = tuple(int(size) for size in shape)
    check_image(path, shape, dtype)
    if min(shape) < 0:
        raise VolumeError(f"{path}: has the impossible shape {shape}; save it again")
    array = MappedArray(path, shape, dtype, offset, "F" if fortran else "C")
    if spacing is None:
        raise spacing_needed(path, "a .npy file does not tell the size of its voxels")
    return Volume(CheckedArray(array, path), spacing)
