"""N5, in a folder or behind a URL: plain datasets, n5-viewer, COSEM, Paintera, BigDataViewer.

Attributes list x first, except those of COSEM, which name their axes.

References:
    Saalfeld et al., N5 specification, https://github.com/saalfeldlab/n5
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from topodelin.volumes.axes import ChannelStack, InOrder
from topodelin.volumes.bdv import bdv_spacing
from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.lazy import CheckedArray, LazyArray, check_image
from topodelin.volumes.ome_zarr import AXIS_ORDER
from topodelin.volumes.stores import Store, StoreArray
from topodelin.volumes.units import micrometres
from topodelin.volumes.volume import Spacing, Volume, check_spacing

ATTRIBUTES = "attributes.json"
USUAL = ("s0", "setup0/timepoint0/s0", "data/s0", "c0/s0", "data", "raw", "volumes/raw")
MAX_CHANNELS = 64
LEVELS_UP = 3  # folders above a dataset that may tell its spacing


def is_n5(path: Path) -> bool:
    """Whether the folder is an N5 group or dataset."""
    return (path / ATTRIBUTES).is_file()


def open_n5(store: Store, spacing: Spacing | None = None) -> Volume:
    """A dataset, or the finest level of a group, as a volume `(z, y, x)` or `(c, z, y, x)`.

    In a group the dataset is looked for where viewers put it (`s0`, `setup0/timepoint0/s0`,
    `c0/s0` with one dataset for each channel, ...). Missing blocks read as 0.

    Args:
        spacing: µm per voxel `(z, y, x)`; without it the attributes must tell.
    """
    datasets = image_datasets(store)
    first, attributes = datasets[0]
    axes = _axis_names(first, attributes)
    arrays = [InOrder(StoreArray(d, "n5", ATTRIBUTES), axes, d.name) for d, _ in datasets]
    array: LazyArray = arrays[0] if len(arrays) == 1 else ChannelStack(arrays, store.name)
    check_image(store.name, array.shape, array.dtype)
    return Volume(CheckedArray(array, store.name), spacing or n5_spacing(first, attributes)[0])


def image_datasets(store: Store) -> list[tuple[Store, dict[str, Any]]]:
    """The dataset to open with its attributes, or one for each channel."""
    own = store.json(ATTRIBUTES)
    if "dimensions" in own:
        return [(store, own)]
    for path in USUAL:
        found = store.child(path).json(ATTRIBUTES)
        if "dimensions" not in found:
            continue
        if path != "c0/s0":
            return [(store.child(path), found)]
        return list(_channels(store))
    raise VolumeError(
        f"{store.name}: is an N5 group with no dataset at {', '.join(USUAL)}; give the folder of "
        f"one dataset{_examples(store)}"
    )


def _channels(store: Store) -> Iterator[tuple[Store, dict[str, Any]]]:
    for number in range(MAX_CHANNELS):
        dataset = store.child(f"c{number}/s0")
        attributes = dataset.json(ATTRIBUTES)
        if "dimensions" not in attributes:
            return
        yield dataset, attributes


def _examples(store: Store) -> str:
    """Datasets below a folder of this computer; a server cannot be asked for a list."""
    if store.kvstore["driver"] != "file":
        return ""
    root = Path(store.kvstore["path"])
    below = [f for depth in ("*", "*/*", "*/*/*") for f in root.glob(f"{depth}/{ATTRIBUTES}")]
    names = [f.parent for f in below if b'"dimensions"' in f.read_bytes()][:3]
    return ", such as " + ", ".join(str(name) for name in names) if names else ""


def n5_spacing(dataset: Store, attributes: dict[str, Any]) -> tuple[Spacing, str]:
    """µm per voxel `(z, y, x)`, and where that stands.

    `transform` of COSEM; `pixelResolution` or `resolution` of the dataset or of a group above,
    with their unit, times the `downsamplingFactors` of the level; the XML of BigDataViewer.
    """
    transform = attributes.get("transform")
    if isinstance(transform, dict) and "scale" in transform:
        return _transform_spacing(dataset, transform), "attribute transform"
    factors = _numbers(attributes.get("downsamplingFactors"), 3) or [1.0, 1.0, 1.0]
    place: Store | None = dataset
    level = attributes
    for up in range(LEVELS_UP + 1):
        for name in ("pixelResolution", "resolution"):
            found = _resolution(level, name)
            if found is not None:
                edges, unit = found
                own = up == 0 and name == "resolution"  # of the level itself
                factor = _micrometres(dataset, name, unit)
                values = [
                    factor * e * (1 if own else f) for e, f in zip(edges, factors, strict=True)
                ]
                return _checked(dataset, values[::-1]), f"attribute {name}"
        place = place.parent() if place is not None else None
        if place is None or up == LEVELS_UP:
            break
        level = place.json(ATTRIBUTES)
    found_beside = _bdv(dataset, factors)
    if found_beside is not None:
        return found_beside, "voxelSize in the XML file beside"
    raise spacing_needed(dataset.name, "has no attribute pixelResolution or transform with a unit")


def _resolution(attributes: dict[str, Any], name: str) -> tuple[list[float], str] | None:
    """Three numbers (x, y, z) and their unit; None where either is missing."""
    value = attributes.get(name)
    unit: Any = attributes.get("units", attributes.get("unit"))
    if isinstance(value, dict):
        unit, value = value.get("unit", unit), value.get("dimensions")
    if isinstance(unit, list):
        unit = unit[0] if unit else None
    numbers = _numbers(value, 3)
    return None if numbers is None or not isinstance(unit, str) else (numbers, unit)


def _transform_spacing(dataset: Store, transform: dict[str, Any]) -> Spacing:
    axes, scale = transform.get("axes"), transform.get("scale")
    units = transform.get("units")
    try:
        by_name = {
            str(axis): _micrometres(dataset, "transform", str(unit)) * float(edge)
            for axis, unit, edge in zip(axes, units, scale, strict=True)  # type: ignore[arg-type]
            if axis in ("z", "y", "x")
        }
        values = [by_name[axis] for axis in "zyx"]
    except (TypeError, KeyError):
        raise spacing_needed(dataset.name, f"gives the transform {transform}") from None
    return _checked(dataset, values)


def _bdv(dataset: Store, factors: list[float]) -> Spacing | None:
    """The spacing in `brain.xml` beside the folder `brain.n5`."""
    path = dataset.kvstore["path"].rstrip("/")
    inside = re.fullmatch(r"(.+)/setup(\d+)/timepoint\d+/s\d+", path)
    if inside is None or dataset.kvstore["driver"] != "file":
        return None
    x, y, z = factors
    return bdv_spacing(Path(inside[1]).with_suffix(".xml"), int(inside[2]), (z, y, x))


def _axis_names(dataset: Store, attributes: dict[str, Any]) -> str:
    """The axes in C order, last in the file first."""
    dims = len(attributes["dimensions"])
    transform = attributes.get("transform")
    names = AXIS_ORDER[-dims:]
    if isinstance(transform, dict) and isinstance(transform.get("axes"), list):
        names = "".join(map(str, transform["axes"]))
        names = names[::-1] if transform.get("ordering") == "F" else names
    if len(names) != dims or not set("zyx") <= set(names) <= set(AXIS_ORDER):
        raise VolumeError(
            f"{dataset.name}: has {dims} axes named {names!r}; a volume has z, y and x, maybe t "
            "and c"
        )
    return names


def _micrometres(dataset: Store, name: str, unit: str) -> float:
    factor = micrometres(unit)
    if factor is None:
        raise spacing_needed(dataset.name, f"gives {name} in {unit!r}, which is none of nm, µm, mm")
    return factor


def _checked(dataset: Store, values: list[float]) -> Spacing:
    try:
        return check_spacing(values)
    except ValueError:
        raise spacing_needed(dataset.name, f"gives the impossible spacing {values}") from None


def _numbers(value: Any, count: int) -> list[float] | None:
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        return None
    return numbers[:count] if len(numbers) >= count else None
