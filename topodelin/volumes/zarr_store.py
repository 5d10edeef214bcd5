"""OME-Zarr behind a URL, read through tensorstore; in a folder zarr itself reads it."""

from typing import Any

from topodelin.volumes.axes import InOrder
from topodelin.volumes.errors import VolumeError
from topodelin.volumes.lazy import CheckedArray, check_image
from topodelin.volumes.ome_zarr import axis_names, datasets, first_level, image_of, ome_zarr_spacing
from topodelin.volumes.stores import Store, StoreArray
from topodelin.volumes.volume import Spacing, Volume


def open_zarr_store(store: Store, spacing: Spacing | None = None) -> Volume:
    """The finest level of an OME-Zarr image, or one of its level arrays, as a volume."""
    above = store.parent()
    if _marker(store) is not None:
        name = store.kvstore["path"].rstrip("/").rpartition("/")[2]
        image, level, folder = _image(above) if above is not None else {}, name, store
        if not any(dataset.get("path") == level for dataset in datasets(image)):
            image, level = {}, ""
    else:
        image = _image(store)
        if not image:
            raise VolumeError(
                f"{store.name}: is a zarr group without OME-Zarr image metadata (`multiscales`); "
                "give the address of one image or array in it"
            )
        level = first_level(store.name, image)
        folder = store.child(level)
    array = level_array(folder)
    axes = axis_names(store.name, image, len(array.shape))
    lazy = InOrder(array, axes, store.name)
    check_image(store.name, lazy.shape, lazy.dtype)
    edges = spacing or ome_zarr_spacing(store.name, image, level, axes)
    return Volume(CheckedArray(lazy, store.name), edges)


def level_array(folder: Store) -> StoreArray:
    """One zarr array of version 2 or 3."""
    marker = _marker(folder)
    if marker is None:
        raise VolumeError(f"{folder.name}: is missing or is no zarr array; check the address")
    return StoreArray(folder, "zarr" if marker == ".zarray" else "zarr3", marker)


def _marker(folder: Store) -> str | None:
    """The key of the metadata of an array; None for a group."""
    if folder.read(".zarray") is not None:
        return ".zarray"
    return "zarr.json" if folder.json("zarr.json").get("node_type") == "array" else None


def _image(group: Store) -> dict[str, Any]:
    return image_of(group.json(".zattrs"), group.json("zarr.json"))
