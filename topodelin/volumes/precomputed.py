"""Neuroglancer precomputed images, in a folder or behind a URL.

References:
    Google, Neuroglancer precomputed volume format,
    https://github.com/google/neuroglancer/tree/master/src/datasource/precomputed
"""

from math import prod
from pathlib import Path
from typing import Any

from topodelin.volumes.axes import InOrder
from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.lazy import CheckedArray, check_image
from topodelin.volumes.ome_zarr import read_json
from topodelin.volumes.stores import Store, StoreArray
from topodelin.volumes.volume import Spacing, Volume, check_spacing

TYPE = "neuroglancer_multiscale_volume"
INFO = "info"
NANOMETRE = 1e-3  # in µm


def is_precomputed(path: Path) -> bool:
    """Whether the folder is a precomputed image."""
    return (path / INFO).is_file() and read_json(path / INFO).get("@type") == TYPE


def open_precomputed(store: Store, spacing: Spacing | None = None) -> Volume:
    """The finest scale as a volume, `(z, y, x)`, or `(c, z, y, x)` with several channels.

    Its first voxel lies at 0 µm, whatever its `voxel_offset`. Missing chunks read as 0.

    Args:
        spacing: µm per voxel `(z, y, x)`; without it the resolution of the scale counts.
    """
    info = store.json(INFO)
    scale = finest_scale(store, info)
    array = InOrder(scale_array(store, info, scale), "czyx", store.name)
    check_image(store.name, array.shape, array.dtype)
    return Volume(CheckedArray(array, store.name), spacing or precomputed_spacing(store, scale))


def scale_array(store: Store, info: dict[str, Any], scale: dict[str, Any]) -> StoreArray:
    """The array `(c, z, y, x)` of one scale."""
    store.child(str(scale["key"]))  # refuses a key that leads out
    options = {"scale_index": info["scales"].index(scale)}
    return StoreArray(store, "neuroglancer_precomputed", INFO, options)


def finest_scale(store: Store, info: dict[str, Any]) -> dict[str, Any]:
    """The scale of the smallest voxels."""
    try:
        scales: list[dict[str, Any]] = info["scales"]
        return min(scales, key=lambda scale: prod(float(edge) for edge in scale["resolution"]))
    except (TypeError, KeyError, ValueError):
        raise VolumeError(
            f"{store.name}: its file `info` names no scale with a resolution; copy it again"
        ) from None


def precomputed_spacing(store: Store, scale: dict[str, Any]) -> Spacing:
    """µm per voxel `(z, y, x)` from the resolution `(x, y, z)` in nm."""
    try:
        return check_spacing([NANOMETRE * float(edge) for edge in reversed(scale["resolution"])])
    except ValueError:
        raise spacing_needed(
            store.name, f"gives the impossible resolution {scale['resolution']} nm"
        ) from None
