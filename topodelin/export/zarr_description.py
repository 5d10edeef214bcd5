"""OME-Zarr metadata for arrays that are there, so that a viewer puts them where the tracing lies.

Images come with a spacing of their own, of another unit, none at all, or with a translation. The
tracing has one frame: the centre of voxel (0, 0, 0) lies at 0 µm. So a viewer is given a group
description of ours, and behind it the arrays as they are.

References:
    OME-NGFF specification 0.4 and 0.5, https://ngff.openmicroscopy.org
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topodelin.volumes import Spacing
from topodelin.volumes.ome_zarr import first_image, is_array, read_json
from topodelin.volumes.ome_zarr_image import write_json

TYPES = frozenset("uint8 int8 uint16 int16 uint32 int32 uint64 float32".split())
CODECS = frozenset("blosc gzip zlib zstd bytes transpose crc32c sharding_indexed".split())


@dataclass(frozen=True)
class Level:
    """One array of a pyramid.

    Args:
        path: below the root.
        scale: µm per voxel `(z, y, x)`.
        shift: centre of its first voxel, µm `(z, y, x)`.
    """

    path: str
    scale: Spacing
    shift: Spacing


@dataclass(frozen=True)
class ZarrImage:
    """Arrays below a root, and how to describe them.

    Args:
        root: folder above the arrays.
        version: "0.4" (zarr 2) or "0.5" (zarr 3).
        axes: of the arrays, letters of `tczyx`.
        levels: finest first.
    """

    root: Path
    version: str
    axes: str
    levels: tuple[Level, ...]

    def describe(self, folder: Path) -> None:
        """Write the group metadata into a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        image = {
            "name": folder.name,
            "axes": [_axis(letter) for letter in self.axes],
            "datasets": [self._dataset(level) for level in self.levels],
        }
        if self.version == "0.4":
            write_json(folder / ".zgroup", {"zarr_format": 2})
            write_json(folder / ".zattrs", {"multiscales": [{"version": "0.4", **image}]})
        else:
            ome = {"ome": {"version": "0.5", "multiscales": [image]}}
            group = {"zarr_format": 3, "node_type": "group", "attributes": ome}
            write_json(folder / "zarr.json", group)

    def _dataset(self, level: Level) -> dict[str, Any]:
        extra = len(self.axes) - 3
        transforms = [
            {"type": "scale", "scale": [1.0] * extra + list(level.scale)},
            {"type": "translation", "translation": [0.0] * extra + list(level.shift)},
        ]
        return {"path": level.path, "coordinateTransformations": transforms}


def zarr_image(path: Path, spacing: Spacing) -> ZarrImage | None:
    """The arrays of an OME-Zarr group, or of one array; None where neuroglancer cannot read them.

    Args:
        path: was opened as a volume before, so its metadata are sound.
        spacing: µm per voxel of the finest level, whatever the metadata say.
    """
    if is_array(path):
        levels: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = [(path.name, (), ())]
        root, image = path.parent, {}
    else:
        root, image = path, first_image(path)
        levels = [_transform(dataset) for dataset in image.get("datasets", [])]
    metadata = [_array_metadata(root / name) for name, _, _ in levels]
    if not levels or not all(_readable(array) for array in metadata):
        return None
    ranks = {len(array["shape"]) for array in metadata}
    if len(ranks) > 1:
        return None
    described = image.get("axes")
    names = [str(a["name"] if isinstance(a, dict) else a).lower() for a in described or []]
    axes = "".join(names) or "tczyx"[-ranks.pop() :]
    old = "zarr_format" in metadata[0] and metadata[0]["zarr_format"] == 2
    placed = _placed(levels, spacing)
    return ZarrImage(root, "0.4" if old else "0.5", axes, placed) if placed else None


def _placed(
    levels: Sequence[tuple[str, tuple[float, ...], tuple[float, ...]]], spacing: Spacing
) -> tuple[Level, ...]:
    """Levels relative to the finest one, which gets the spacing and starts at 0."""
    _, base, start = levels[0]
    placed = []
    for name, scale, shift in levels:
        if len(levels) > 1 and not (len(scale) == len(base) >= 3 and min(scale[-3:]) > 0):
            return (Level(levels[0][0], spacing, (0.0, 0.0, 0.0)),)  # the finest alone is certain
        ratios = [s / b for s, b in zip(scale[-3:], base[-3:], strict=True)] or [1.0] * 3
        moved = [
            (a - b) * um / edge
            for a, b, um, edge in zip(
                _padded(shift), _padded(start), spacing, _padded(base, 1.0), strict=True
            )
        ]
        z, y, x = (ratio * um for ratio, um in zip(ratios, spacing, strict=True))
        placed.append(Level(name, (z, y, x), (moved[0], moved[1], moved[2])))
    return tuple(placed)


def _padded(values: tuple[float, ...], fill: float = 0.0) -> tuple[float, ...]:
    return values[-3:] if len(values) >= 3 else (fill,) * 3


def _transform(dataset: dict[str, Any]) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()
    for step in dataset.get("coordinateTransformations", []):
        if step.get("type") == "scale":
            scale = tuple(float(value) for value in step["scale"])
        elif step.get("type") == "translation":
            shift = tuple(float(value) for value in step["translation"])
    return str(dataset["path"]), scale, shift


def _array_metadata(path: Path) -> dict[str, Any]:
    return read_json(path / ".zarray") or read_json(path / "zarr.json")


def _readable(array: dict[str, Any]) -> bool:
    """Whether neuroglancer knows the type and the codecs of an array."""
    if array.get("zarr_format") == 2:
        kind = str(array.get("dtype", ""))
        names = {"u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16"}
        names |= {"u4": "uint32", "i4": "int32", "u8": "uint64", "f4": "float32"}
        compressor = array.get("compressor")
        codec = compressor.get("id") if isinstance(compressor, dict) else "bytes"
        return kind[1:] in names and codec in CODECS and not array.get("filters")
    waiting, found = list(array.get("codecs", [])), set()
    while waiting:
        codec = waiting.pop()
        found.add(codec.get("name"))
        inner = codec.get("configuration") or {}
        waiting += [*inner.get("codecs", []), *inner.get("index_codecs", [])]
    return array.get("data_type") in TYPES and found <= CODECS


def _axis(letter: str) -> dict[str, str]:
    if letter in "zyx":
        return {"name": letter, "type": "space", "unit": "micrometer"}
    return {"name": letter, "type": "channel" if letter == "c" else "time"}
