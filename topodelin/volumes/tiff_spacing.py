"""The size of a voxel, where TIFF writers hide it.

OME-TIFF: `PhysicalSizeX/Y/Z` with `PhysicalSizeX/Y/ZUnit` (µm when absent) of the first `Pixels`.
ImageJ: `spacing` and `unit` of the description for z; the resolution tags, in pixels per unit,
for y and x. Plain TIFF has no place for z, so it needs the argument.
"""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from topodelin.volumes.errors import VolumeError, spacing_needed
from topodelin.volumes.units import micrometres
from topodelin.volumes.volume import Spacing, check_spacing


def tiff_spacing(path: Path) -> Spacing:
    """µm per voxel `(z, y, x)` as the file tells it.

    Raises:
        VolumeError: the file does not tell, or in a unit that is no length.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            if tif.is_ome and tif.ome_metadata:
                return ome_spacing(path, tif.ome_metadata)
            if tif.is_imagej and tif.imagej_metadata:
                return imagej_spacing(path, tif.imagej_metadata, tif.pages.first.tags)
    except VolumeError:
        raise
    except Exception as error:  # whatever damaged metadata provoke in the parsers
        raise spacing_needed(path, f"has damaged metadata ({type(error).__name__})") from error
    raise spacing_needed(path, "does not tell the size of its voxels")


def ome_spacing(path: Path, xml: str) -> Spacing:
    """The spacing in an OME-XML text."""
    pixels = next(
        (e for e in ElementTree.fromstring(xml).iter() if e.tag.rpartition("}")[2] == "Pixels"),
        None,
    )
    values = []
    for axis in "ZYX":
        text = None if pixels is None else pixels.get(f"PhysicalSize{axis}")
        if pixels is None or text is None:
            raise spacing_needed(path, f"gives no PhysicalSize{axis} in its OME metadata")
        values.append(_length(path, text, pixels.get(f"PhysicalSize{axis}Unit", "µm")))
    return _positive(path, values)


def imagej_spacing(path: Path, description: dict[str, Any], tags: Any) -> Spacing:
    """The spacing in ImageJ's description and the resolution tags of the first page."""
    unit = str(description.get("unit", "")).strip()
    if unit in ("", "pixel", "pixels", "voxel"):
        raise spacing_needed(path, "gives no unit of length in its ImageJ metadata")
    if "spacing" not in description:
        raise spacing_needed(path, "gives no slice spacing in its ImageJ metadata")
    values = [_length(path, description["spacing"], unit)]
    for name in ("YResolution", "XResolution"):
        count, units = tags[name].value if name in tags else (0, 1)
        if not count:
            raise spacing_needed(path, f"gives no {name}")
        values.append(_length(path, units / count, unit))
    return _positive(path, values)


def _length(path: Path, value: Any, unit: str) -> float:
    factor = micrometres(unit)
    if factor is None:
        raise spacing_needed(path, f"gives its spacing in {unit!r}, which is none of nm, µm, mm")
    try:
        return float(value) * factor
    except (TypeError, ValueError):
        raise spacing_needed(path, f"gives {value!r} as a spacing") from None


def _positive(path: Path, values: list[float]) -> Spacing:
    try:
        return check_spacing(values)
    except ValueError:
        raise spacing_needed(path, f"gives the impossible spacing {tuple(values)}") from None
