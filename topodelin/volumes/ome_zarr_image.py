"""The make-up of an OME-Zarr image that is being written, and its metadata on disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.ome_zarr import first_image, open_zarr_array
from topodelin.volumes.pyramid import level_factors, level_shape
from topodelin.volumes.volume import Index, Spacing, check_spacing


@dataclass(frozen=True)
class Image:
    """What an OME-Zarr image is made of; a run can only go on with an image equal in all."""

    shape: Index
    channels: tuple[int, ...]
    spacing: Spacing
    dtype: np.dtype
    chunks: Index
    fill_value: float
    version: str
    factors: tuple[Index, ...]


def make_image(
    shape: Sequence[int],
    spacing: Sequence[float],
    dtype: Any,
    chunks: Sequence[int],
    fill_value: float,
    version: str,
    levels: int,
) -> Image:
    """The arguments of `create_ome_zarr`, checked."""
    sizes = tuple(int(size) for size in shape)
    if len(sizes) not in (3, 4) or min(sizes) < 1:
        raise ValueError(
            f"`shape` must be (z, y, x) or (c, z, y, x) with voxels along each, got {sizes}"
        )
    voxels = tuple(int(chunk) for chunk in chunks)
    if len(voxels) != 3 or min(voxels) < 1:
        raise ValueError(f"`chunks` must be three positive numbers (z, y, x), got {voxels}")
    if version not in ("0.4", "0.5"):
        raise ValueError(f"`version` must be '0.4' or '0.5', got {version!r}")
    if levels < 1:
        raise ValueError(f"`levels` must be at least 1, got {levels}")
    kind = np.dtype(dtype)
    if kind.kind not in "buif":
        raise ValueError(f"`dtype` must be an integer, float or bool type, got {kind}")
    edges = check_spacing(spacing)
    z, y, x = sizes[-3:]
    factors = tuple(level_factors((z, y, x), edges, levels))
    whole_chunks = cast(Index, voxels)
    return Image((z, y, x), sizes[:-3], edges, kind, whole_chunks, fill_value, version, factors)


def claim_folder(root: Path, image: Image) -> None:
    """Mark the folder as a zarr group of ours to be, unless it holds other things."""
    if root.is_file():
        raise VolumeError(f"{root}: is a file; give the path of a folder to create")
    group, value = _group(image, {})
    if (root / group).is_file():
        for leftover in root.rglob("*.partial"):
            leftover.unlink()
        return
    if root.is_dir() and any(child.name != f"{group}.partial" for child in root.iterdir()):
        raise VolumeError(
            f"{root}: is a folder with other files or another version of OME-Zarr; give a path "
            "that does not exist yet"
        )
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / group, value)


def create_level(root: Path, image: Image, level: int) -> None:
    """Create the empty array of a level."""
    import numcodecs
    import zarr
    from zarr.codecs import BloscCodec
    from zarr.storage import LocalStore

    old = image.version == "0.4"
    zarr.create_array(
        LocalStore(root / str(level)),
        shape=(*image.channels, *level_shape(image.shape, image.factors[level])),
        chunks=(*(1 for _ in image.channels), *image.chunks),
        dtype=image.dtype,
        fill_value=image.fill_value,
        compressors=numcodecs.Blosc("zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)
        if old
        else BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        chunk_key_encoding={"name": "v2" if old else "default", "separator": "/"},
        dimension_names=None if old else [axis["name"] for axis in _axes(image)],
        zarr_format=2 if old else 3,
    )


def check_level(root: Path, image: Image, level: int) -> None:
    """Refuse to go on with a level array that differs from the one asked for."""
    array = open_zarr_array(root / str(level))
    wanted = {
        "version": image.version,
        "shape": (*image.channels, *level_shape(image.shape, image.factors[level])),
        "chunks": (*(1 for _ in image.channels), *image.chunks),
        "dtype": image.dtype,
        "fill_value": float(image.fill_value),
    }
    found = {
        "version": "0.4" if array.metadata.zarr_format == 2 else "0.5",
        "shape": array.shape,
        "chunks": array.chunks,
        "dtype": np.dtype(array.dtype),
        "fill_value": float(array.fill_value),
    }
    for name, value in wanted.items():
        if found[name] != value:
            raise _mismatch(root, name, found[name], value)


def _mismatch(root: Path, name: str, found: Any, wanted: Any) -> VolumeError:
    return VolumeError(
        f"{root}: exists with `{name}` {found}, asked for {wanted}; give another path, or remove "
        "it to start anew"
    )


def check_description(root: Path, image: Image) -> None:
    """Refuse to go on with an image whose metadata say otherwise; none yet is fine."""
    stored = first_image(root).get("datasets")
    wanted = _datasets(image)
    if stored is None or stored == wanted:
        return
    if not isinstance(stored, list) or len(stored) != len(wanted):
        raise _mismatch(root, "levels", len(stored), len(wanted))
    raise _mismatch(root, "spacing", stored[0], image.spacing)


def describe(root: Path, image: Image, name: str, reduce: str | None = None) -> None:
    """Write the metadata of the group, with the way its levels were made if they are."""
    described: dict[str, Any] = {"name": name, "axes": _axes(image), "datasets": _datasets(image)}
    if reduce is not None:
        described["type"] = reduce
        described["metadata"] = {
            "method": "topodelin.volumes.pyramid.reduce_voxels",
            "description": f"{reduce} of the voxels merged, level by level",
        }
    if image.version == "0.4":
        write_json(root / ".zattrs", {"multiscales": [{"version": "0.4", **described}]})
    else:
        ome = {"version": "0.5", "multiscales": [described]}
        write_json(root / "zarr.json", _group(image, {"ome": ome})[1])


def _group(image: Image, attributes: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and content of the file that makes a folder a zarr group."""
    if image.version == "0.4":
        return ".zgroup", {"zarr_format": 2}
    return "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _axes(image: Image) -> list[dict[str, str]]:
    channel = [{"name": "c", "type": "channel"}] if image.channels else []
    return channel + [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]


def _datasets(image: Image) -> list[dict[str, Any]]:
    """Each level's scale, and the centre of its first voxel, which spans several full ones."""
    ones, zeros = [1.0 for _ in image.channels], [0.0 for _ in image.channels]
    levels = []
    for level, factors in enumerate(image.factors):
        pairs = list(zip(factors, image.spacing, strict=True))
        scale = ones + [factor * edge for factor, edge in pairs]
        shift = zeros + [0.5 * (factor - 1) * edge for factor, edge in pairs]
        transforms = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": shift},
        ]
        levels.append({"path": str(level), "coordinateTransformations": transforms})
    return levels


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Under its final name at once or not at all."""
    draft = path.with_name(path.name + ".partial")
    draft.write_text(json.dumps(value, indent=2))
    draft.replace(path)
