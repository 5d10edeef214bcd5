"""Imaris `.ims`: an HDF5 tree of levels, time points and channels, padded to whole chunks.

References:
    Bitplane, Imaris 5.5 File Format Description.
"""

from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.axes import ChannelStack
from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.hdf5 import Hdf5Array, dataset_at, member
from topodelin.volumes.lazy import CheckedArray, LazyArray, check_image
from topodelin.volumes.units import micrometres
from topodelin.volumes.volume import Index, Spacing, Volume, check_spacing

FINEST = "DataSet/ResolutionLevel 0"
INFO = "DataSetInfo/Image"


def is_imaris(path: Path, file: Any) -> bool:
    """Whether an open HDF5 file has the groups of Imaris."""
    return all(member(path, file, name) is not None for name in (INFO, FINEST))


def open_imaris(path: Path, file: Any, spacing: Spacing | None = None) -> Volume:
    """The finest level as a volume, `(z, y, x)`, or `(c, z, y, x)` with several channels.

    The size is that of the image, not of the padded data. One time point only.
    """
    times = _numbered(file[FINEST], "TimePoint")
    if len(times) > 1:
        raise VolumeError(
            f"{path}: is a series of {len(times)} time points; save one of them as its own file"
        )
    names = channel_names(path, file)
    shape = image_shape(path, file)
    channels = [_channel(path, file, name, shape) for name in names]
    array: LazyArray = channels[0] if len(channels) == 1 else ChannelStack(channels, path)
    check_image(path, array.shape, array.dtype)
    return Volume(CheckedArray(array, path), spacing or imaris_spacing(path, file))


def channel_names(path: Path, file: Any) -> list[str]:
    """The names of the datasets of the finest level, one for each channel."""
    first = member(path, file, f"{FINEST}/TimePoint 0")
    channels = [] if first is None else _numbered(first, "Channel")
    if not channels:
        raise VolumeError(f"{path}: has no channel; copy it again from its origin")
    return [f"{FINEST}/TimePoint 0/{name}/Data" for name in channels]


def image_shape(path: Path, file: Any) -> Index:
    """Voxels along `(z, y, x)`, without the padding."""
    try:
        z, y, x = (int(attribute_text(file, axis)) for axis in "ZYX")
    except (KeyError, ValueError):
        raise VolumeError(
            f"{path}: does not tell its size ({INFO} X, Y, Z); save it again in Imaris"
        ) from None
    return z, y, x


def imaris_spacing(path: Path, file: Any) -> Spacing:
    """µm per voxel `(z, y, x)`: the extent of the image divided by its size."""
    try:
        low, high = (
            [float(attribute_text(file, f"Ext{end}{axis}")) for axis in (2, 1, 0)]
            for end in ("Min", "Max")
        )
    except (KeyError, ValueError):
        raise spacing_needed(path, f"gives no extent in {INFO}") from None
    unit = attribute_text(file, "Unit") if "Unit" in file[INFO].attrs else "um"
    factor = micrometres(unit)
    if factor is None:
        raise spacing_needed(path, f"gives its extent in {unit!r}, which is none of nm, µm, mm")
    shape = image_shape(path, file)
    edges = [factor * (b - a) / n for a, b, n in zip(low, high, shape, strict=True)]
    try:
        return check_spacing(edges)
    except ValueError:
        raise spacing_needed(path, f"gives the impossible spacing {edges}") from None


def attribute_text(file: Any, name: str) -> str:
    """An attribute of the image; Imaris stores text as an array of single characters."""
    value = np.asarray(file[INFO].attrs[name])
    if value.dtype.kind == "S":
        letters = b"".join(value.ravel().tolist())
        try:
            return letters.decode().strip("\0 ")
        except UnicodeDecodeError:
            return letters.decode("latin-1").strip("\0 ")
    return "".join(str(part) for part in value.ravel().tolist()).strip()


def _channel(path: Path, file: Any, name: str, shape: Index) -> Hdf5Array:
    dataset = dataset_at(path, file, name)
    stored = tuple(dataset.shape)
    if len(stored) != 3 or any(n > s for n, s in zip(shape, stored, strict=True)):
        raise VolumeError(
            f"{path}: says it has {shape} voxels, but {name} holds {stored}; copy it again from "
            "its origin"
        )
    return Hdf5Array(path, name, dataset, shape)


def _numbered(group: Any, word: str) -> list[str]:
    """The members `word 0`, `word 1`, ... in the order of their numbers."""
    names = [name for name in group if name.startswith(f"{word} ")]
    return sorted(names, key=lambda name: int(name.split()[-1]))
