"""OME-Zarr 0.4 (zarr version 2) and 0.5 (zarr version 3), read chunk by chunk.

Metadata is taken as a stranger's: paths stay inside the folder, only codecs that decode plain
bytes are allowed (one of zarr 2 unpickles), chunks have a size that fits in memory.

References:
    OME-NGFF specification 0.4 and 0.5, https://ngff.openmicroscopy.org
"""

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.axes import InOrder
from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.lazy import CheckedArray, check_image
from topodelin.volumes.units import micrometres
from topodelin.volumes.volume import Spacing, Volume, check_spacing
from topodelin.volumes.zarr_chunks import ZarrChunks, is_plain

VERSIONS = ("0.4", "0.5")
AXIS_ORDER = "tczyx"
MAX_CHUNK_BYTES = 1 << 31  # blosc and most readers end there too
SAFE_CODECS = frozenset(
    "blosc zlib gzip zstd lz4 bz2 lzma delta shuffle fixedscaleoffset packbits quantize crc32 "
    "crc32c adler32 fletcher32 bitround bytes transpose sharding_indexed".split()
)


def is_zarr(path: Path) -> bool:
    """Whether the folder is a zarr group or array of version 2 or 3."""
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def open_ome_zarr(path: Path, spacing: Spacing | None = None) -> Volume:
    """The finest level of the first image of an OME-Zarr group, or one of its level arrays.

    Axes `t` and `c` of length 1 are dropped; several channels stay as `(c, z, y, x)`. The
    translation of the image is ignored: voxel `(0, 0, 0)` lies at 0 µm.

    Args:
        spacing: µm per voxel `(z, y, x)`; without it the metadata must tell.
    """
    if is_array(path):
        image, level, folder = first_image(path.parent), path.name, path
        if not any(dataset.get("path") == level for dataset in datasets(image)):
            image, level = {}, ""
    else:
        image = first_image(path)
        if not image:
            raise _no_image(path)
        level = first_level(path, image)
        folder = _inside(path, level)
    array = open_zarr_array(folder)
    if is_plain(array):
        array = ZarrChunks(folder, array)
    axes = axis_names(path, image, len(array.shape))
    lazy = InOrder(array, axes, path)
    check_image(path, lazy.shape, lazy.dtype)
    marker = folder / (".zarray" if (folder / ".zarray").is_file() else "zarr.json")
    edges = spacing or ome_zarr_spacing(path, image, level, axes)
    return Volume(CheckedArray(lazy, path, marker), edges)


def is_array(path: Path) -> bool:
    """Whether the folder is one zarr array."""
    if (path / ".zarray").is_file():
        return True
    return read_json(path / "zarr.json").get("node_type") == "array"


def first_level(source: str | Path, image: dict[str, Any]) -> str:
    """The path of the finest level of an image of a version that is read."""
    if image["version"] not in VERSIONS:
        raise VolumeError(
            f"{source}: is OME-Zarr {image['version']}, versions {' and '.join(VERSIONS)} are "
            "read; convert it, for example with bioformats2raw"
        )
    return str(next(iter(datasets(image)), {}).get("path", ""))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise VolumeError(
            f"{path}: is not valid JSON ({error}); copy the OME-Zarr folder again"
        ) from error
    return value if isinstance(value, dict) else {}


def open_zarr_array(path: Path) -> Any:
    """A zarr array for reading, after its metadata was found harmless."""
    metadata = read_json(path / ".zarray") or read_json(path / "zarr.json")
    if not metadata:
        raise VolumeError(f"{path}: is missing or is no zarr array; copy the OME-Zarr folder again")
    for codec in _codec_names(metadata):
        if codec.removeprefix("numcodecs.") not in SAFE_CODECS:
            raise VolumeError(
                f"{path}: is stored with the codec {codec!r}, which is not read for safety or "
                "lack of support; store it again with blosc, zstd or gzip"
            )
    import zarr
    from zarr.storage import LocalStore

    try:
        array = zarr.open_array(LocalStore(path, read_only=True), mode="r")
        chunk_bytes = prod(array.chunks) * np.dtype(array.dtype).itemsize
    except Exception as error:  # whatever damaged metadata provoke in the parser
        raise VolumeError(
            f"{path}: has damaged metadata ({' '.join(str(error).split())[:200]}); "
            "copy the OME-Zarr folder again"
        ) from error
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise VolumeError(
            f"{path}: has chunks of {chunk_bytes / 2**30:.1f} GiB, at most 2 are read; store it "
            "again with chunks of about 128 x 128 x 128"
        )
    return array


def ome_zarr_spacing(path: str | Path, image: dict[str, Any], level: str, axes: str) -> Spacing:
    """µm per voxel `(z, y, x)` of one level: its scale, times that of the image, in its unit."""
    transforms = [_list(image.get("coordinateTransformations"))]
    for dataset in datasets(image):
        if dataset.get("path") == level:
            transforms.append(_list(dataset.get("coordinateTransformations")))
    scales = [
        t["scale"] for group in transforms for t in group
        if isinstance(t, dict) and isinstance(t.get("scale"), list)
    ]  # fmt: skip
    if not scales or len(transforms) < 2:
        raise spacing_needed(path, "gives no scale in its metadata")
    values = []
    for axis in "zyx":
        at = axes.index(axis)
        described = _list(image.get("axes"))
        unit = _dict(described[at]).get("unit") if described else None
        if not isinstance(unit, str):
            raise spacing_needed(path, f"gives no unit for its axis {axis}")
        factor = micrometres(unit)
        if factor is None:
            raise spacing_needed(path, f"gives its spacing in {unit!r}, not in nm, µm or mm")
        try:
            values.append(factor * prod(float(scale[at]) for scale in scales))
        except (TypeError, ValueError, IndexError):
            raise spacing_needed(path, f"gives the scale {scales} for axes {axes}") from None
    try:
        return check_spacing(values)
    except ValueError:
        raise spacing_needed(path, f"gives the impossible spacing {tuple(values)}") from None


def first_image(path: Path) -> dict[str, Any]:
    """The description of the first image of a group, its version filled in; empty without one."""
    return image_of(read_json(path / ".zattrs"), read_json(path / "zarr.json"))


def image_of(attributes: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    """As [`first_image`][], from the attributes of zarr 2 and the group of zarr 3."""
    version = None
    if not attributes:
        attributes = _dict(group.get("attributes"))
        attributes = _dict(attributes.get("ome")) or attributes
        version = attributes.get("version")
    images = _list(attributes.get("multiscales"))
    if not (images and isinstance(images[0], dict)):
        return {}
    return {**images[0], "version": str(version or images[0].get("version", "of no version"))}


def datasets(image: dict[str, Any]) -> list[dict[str, Any]]:
    """The levels of an image, as its metadata describe them."""
    return [dataset for dataset in _list(image.get("datasets")) if isinstance(dataset, dict)]


def _no_image(path: Path) -> VolumeError:
    inside = sorted(child.name for child in path.iterdir() if child.is_dir() and is_zarr(child))
    if inside:
        names = ", ".join(inside[:5])
        return VolumeError(
            f"{path}: is a zarr group without image metadata; open one of its members instead, "
            f"{names}, for example {path / inside[0]}"
        )
    return VolumeError(
        f"{path}: is a zarr group without OME-Zarr image metadata (`multiscales`) and without "
        "arrays; give the folder of one image"
    )


def _inside(root: Path, name: str) -> Path:
    """The folder of a level, which must not lead out of the image."""
    path = root / name
    if not name or not path.resolve().is_relative_to(root.resolve()):
        raise VolumeError(
            f"{root}: names the level {name!r}, which is no folder inside; copy it again"
        )
    return path


def axis_names(path: str | Path, image: dict[str, Any], dims: int) -> str:
    """The axes as letters, `zyx` for an array that says nothing."""
    described = image.get("axes")
    if not isinstance(described, list):
        names = [*AXIS_ORDER[-dims:]] if dims in (3, 4) else []
    else:
        names = [str(a.get("name") if isinstance(a, dict) else a).lower() for a in described]
    in_order = [axis for axis in AXIS_ORDER if axis in names] == names
    if not in_order or len(names) != dims:
        raise VolumeError(
            f"{path}: has {dims} axes named {names}, a volume has z, y, x in that order, maybe "
            "after t and c; save it with these axes"
        )
    if "z" not in names or "y" not in names or "x" not in names:
        raise VolumeError(f"{path}: has axes {names} and is no stack; a volume has z, y and x")
    return "".join(names)


def _codec_names(metadata: dict[str, Any]) -> list[str]:
    """Every codec of an array, of zarr version 2 or 3, also inside shards."""
    found: list[Any] = [metadata.get("compressor"), *_list(metadata.get("filters"))]
    waiting = _list(metadata.get("codecs"))
    while waiting:
        codec = waiting.pop()
        found.append(codec)
        inner = _dict(_dict(codec).get("configuration"))
        waiting += _list(inner.get("codecs")) + _list(inner.get("index_codecs"))
    names = [c.get("id") or c.get("name") if isinstance(c, dict) else c for c in found if c]
    return [str(name) for name in names]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
