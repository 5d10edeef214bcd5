"""The XML file that BigDataViewer keeps beside its HDF5 and N5 data, for the size of a voxel.

References:
    Pietzsch et al., BigDataViewer: visualization and processing for large image data sets,
    Nature Methods 12, 2015.
"""

from pathlib import Path
from xml.etree import ElementTree

from topodelin.volumes.errors import spacing_needed
from topodelin.volumes.units import micrometres
from topodelin.volumes.volume import Spacing, check_spacing


def bdv_spacing(
    xml: Path, setup: int, factors: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> Spacing | None:
    """µm per voxel `(z, y, x)` of a view setup; None when the file does not exist or tell.

    Args:
        factors: voxels of the finest level that one voxel spans along `(z, y, x)`.
    """
    try:
        setups = ElementTree.parse(xml).getroot().iter("ViewSetup")
    except FileNotFoundError:
        return None
    except ElementTree.ParseError as error:
        raise spacing_needed(xml, f"is damaged ({error})") from None
    for view in setups:
        size, unit = view.findtext("voxelSize/size"), view.findtext("voxelSize/unit")
        if (view.findtext("id") or "").strip() != str(setup) or size is None or unit is None:
            continue
        factor = micrometres(unit)
        if factor is None:
            raise spacing_needed(xml, f"gives its voxelSize in {unit!r}, none of nm, µm, mm")
        try:
            edges = [factor * float(text) for text in reversed(size.split())]
            return check_spacing([e * f for e, f in zip(edges, factors, strict=True)])
        except ValueError:
            raise spacing_needed(xml, f"gives the impossible voxelSize {size}") from None
    return None
