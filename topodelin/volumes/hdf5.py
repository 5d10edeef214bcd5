"""Plain HDF5: the one 3-D or 4-D dataset of a file, or the one that is named, read chunk by chunk.

A file is opened anew for each read (0.3 ms), so that nothing open is shared between threads or
sent to another process. What a file says about other files is not believed: only hard links are
followed, and datasets whose numbers lie in other files are refused.

References:
    The HDF Group, HDF5 File Format Specification 3.0; ilastik, `element_size_um` and `axistags`.
"""

import contextlib
import importlib
import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.axes import InOrder
from topodelin.volumes.bdv import bdv_spacing
from topodelin.volumes.errors import VolumeError, extra_needed, spacing_needed
from topodelin.volumes.lazy import CheckedArray, LazyArray, Slices, check_image
from topodelin.volumes.ome_zarr import AXIS_ORDER, MAX_CHUNK_BYTES
from topodelin.volumes.units import micrometres
from topodelin.volumes.volume import Spacing, Volume, check_spacing

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_LISTED = 8
MAX_COLOURS = 4  # a last axis that short is channels


def open_hdf5(path: Path, spacing: Spacing | None = None, name: str | None = None) -> Volume:
    """A dataset of an HDF5 file, or all channels of an Imaris file, as a volume.

    Args:
        spacing: µm per voxel `(z, y, x)`; without it attributes of the file must tell.
        name: of the dataset, such as `/images/raw`; not needed where the file has only one of
            three or four axes.

    Axes are named by `axistags` or dimension labels. Without them they are `(z, y, x)` or
    `(c, z, y, x)`, or `(z, y, x, c)` where only the last axis has 4 voxels or fewer.

    Raises:
        VolumeError: damaged, several datasets and no name, no spacing, a type that is no number,
            or without the package h5py.
    """
    from topodelin.volumes.imaris import is_imaris, open_imaris

    with hdf5_file(path) as file:
        if name is None and is_imaris(path, file):
            return open_imaris(path, file, spacing)
        name = name or only_dataset(path, file)
        dataset = dataset_at(path, file, name)
        axes = axis_names(path, dataset)
        array = InOrder(Hdf5Array(path, name, dataset), axes, path)
        check_image(path, array.shape, array.dtype)
        edges = spacing or hdf5_spacing(path, file, name, axes)[0]
    return Volume(CheckedArray(array, path), edges)


@contextlib.contextmanager
def hdf5_file(path: Path) -> Iterator[Any]:
    """The file opened for reading, closed at the end."""
    try:
        import h5py
    except ImportError:
        raise extra_needed(path, "h5py", "io") from None
    try:
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(path, error) from error
    with file:
        try:
            yield file
        except (VolumeError, MemoryError):
            raise
        except Exception as error:  # whatever damaged structures provoke in the library
            raise damaged(path, error) from error


def damaged(path: Path, error: BaseException) -> VolumeError:
    """The error for a file that the library cannot make sense of."""
    return VolumeError(
        f"{path}: is damaged or incomplete ({' '.join(str(error).split())[:200]}); copy it again "
        "from its origin"
    )


class Hdf5Array(LazyArray):
    """One dataset of an HDF5 file.

    Args:
        dataset: as opened now, for its shape and type; it is not kept.
        shape: of the part that counts, where the dataset is padded.
    """

    def __init__(
        self, path: Path, name: str, dataset: Any, shape: tuple[int, ...] | None = None
    ) -> None:
        self.path, self.name = path.absolute(), name
        self.shape = tuple(int(size) for size in shape or dataset.shape)
        self.dtype = np.dtype(dataset.dtype)

    def read_slices(self, slices: Slices) -> np.ndarray:
        with hdf5_file(self.path) as file:
            return dataset_at(self.path, file, self.name)[slices]


def dataset_at(path: Path, file: Any, name: str) -> Any:
    """The dataset of that name, reached by hard links, its numbers in this file."""
    import h5py

    node = member(path, file, name)
    if node is None:
        raise VolumeError(f"{path}: has no dataset {name}; {_choices(path, file)}")
    if not isinstance(node, h5py.Dataset):
        raise VolumeError(f"{path}: {name} is a group, not a dataset; {_choices(path, file)}")
    if node.external or node.is_virtual:
        raise VolumeError(
            f"{path}: the numbers of {name} lie in other files, which are not opened; copy it "
            "into one file, for example with h5repack"
        )
    _check_storage(path, node)
    return node


def member(path: Path, file: Any, name: str) -> Any:
    """The group or dataset of that name, reached by hard links; None where there is none."""
    import h5py

    node: Any = file
    for part in name.strip("/").split("/"):
        if not part or not isinstance(node, h5py.Group):
            return None
        link = node.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise VolumeError(
                f"{path}: {part} in {name} is a link to elsewhere, which is not followed; open "
                "the file that holds the numbers"
            )
        node = node[part]
    return node


def _check_storage(path: Path, dataset: Any) -> None:
    """Refuse chunks that do not fit in memory and filters that are not installed."""
    if dataset.chunks and prod(dataset.chunks) * dataset.dtype.itemsize > MAX_CHUNK_BYTES:
        raise VolumeError(
            f"{path}: has chunks of {dataset.chunks} voxels, more than 2 GiB; store it again with "
            "chunks of about 128 x 128 x 128"
        )
    import h5py

    made = dataset.id.get_create_plist()
    for place in range(made.get_nfilters()):
        code, _, _, label = made.get_filter(place)
        if not h5py.h5z.filter_avail(code):
            with contextlib.suppress(ImportError):
                importlib.import_module("hdf5plugin")  # adds its filters when imported
        if not h5py.h5z.filter_avail(code):
            raise VolumeError(
                f"{path}: is compressed with the filter {label.decode('ascii', 'replace')!r} "
                f"({code}), which is not installed; `pip install hdf5plugin`, or store it with gzip"
            )


def only_dataset(path: Path, file: Any) -> str:
    """The name of the one dataset that can be a volume."""
    found = dict(volume_datasets(file))
    first_setups = [name for name in found if name.startswith("/t00000/") and "/0/" in name]
    if first_setups and not any(name.startswith("/t00001/") for name in found):
        found = {name: found[name] for name in first_setups}  # BigDataViewer's, finest level
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise VolumeError(
            f"{path}: holds no dataset of three or four axes; check that it is the image"
        )
    raise VolumeError(f"{path}: holds {len(found)} datasets; {_choices(path, file)}")


def volume_datasets(file: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every dataset with 3 to 5 axes, each object once."""
    import h5py

    waiting, seen = [("", file)], set()
    while waiting:
        prefix, group = waiting.pop(0)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            child = group.get(name)
            if child in seen:
                continue
            seen.add(child)  # equal to the same object under another name
            if isinstance(child, h5py.Group):
                waiting.append((f"{prefix}/{name}", child))
            elif isinstance(child, h5py.Dataset) and 3 <= len(child.shape or ()) <= 5:
                yield f"{prefix}/{name}", child.shape


def _choices(path: Path, file: Any) -> str:
    found = dict(volume_datasets(file))
    listed = ", ".join(f"{n} {s}" for n, s in list(found.items())[:MAX_LISTED]) or "none"
    more = ", ..." if len(found) > MAX_LISTED else ""
    example = next(iter(found), "/path/to/dataset")
    return f"name one of {listed}{more} after a colon, for example {path.name}:{example}"


def axis_names(path: Path, dataset: Any) -> str:
    """One letter for each axis of the dataset."""
    dims = len(dataset.shape or ())
    names = _tagged(dataset) or "".join(str(dim.label).lower()[:1] for dim in dataset.dims)
    if len(names) == dims:
        if len(set(names)) < dims or not set("zyx") <= set(names) <= set(AXIS_ORDER):
            raise VolumeError(
                f"{path}: {dataset.name} has axes named {','.join(names)}; a volume has z, y and "
                "x, maybe t and c"
            )
        return names
    if not 3 <= dims <= 5:
        raise VolumeError(f"{path}: {dataset.name} has shape {dataset.shape}, a volume is 3-D")
    colours_last = dims == 4 and dataset.shape[3] <= MAX_COLOURS < dataset.shape[0]
    return "zyxc" if colours_last else AXIS_ORDER[-dims:]


def _tagged(dataset: Any) -> str:
    """The axes that vigra and ilastik write as JSON."""
    try:
        tags = json.loads(dataset.attrs["axistags"])["axes"]
        return "".join(str(tag["key"]) for tag in tags)
    except (KeyError, TypeError, ValueError):
        return ""


def hdf5_spacing(path: Path, file: Any, name: str, axes: str) -> tuple[Spacing, str]:
    """µm per voxel `(z, y, x)`, and where that stands.

    Looked for at the dataset, at its groups and at the root: `element_size_um`, then
    `resolution`, `voxel_size` or `spacing` with a `unit` or `units` beside it, in the order of
    the axes; for BigDataViewer the XML file beside.
    """
    place = name.rstrip("/")
    while True:
        attributes = file[place or "/"].attrs
        for attribute in ("element_size_um", "resolution", "voxel_size", "spacing"):
            if attribute in attributes:
                unit = "um" if attribute == "element_size_um" else _unit(attributes)
                values = _along_zyx(attributes[attribute], axes)
                found = _in_micrometres(path, attribute, values, unit)
                return found, f"attribute {attribute} of {place or '/'}"
        if not place:
            break
        place = place.rpartition("/")[0]
    parts = name.strip("/").split("/")
    if parts[0] == "t00000" and len(parts) == 4 and parts[2].isdigit():
        factors = _bdv_factors(path, file, parts[1], int(parts[2]))
        found = bdv_spacing(path.with_suffix(".xml"), int(parts[1].lstrip("s")), factors)
        if found is not None:
            return found, f"voxelSize in {path.with_suffix('.xml').name}"
    raise spacing_needed(path, "has no attribute element_size_um")


def _bdv_factors(path: Path, file: Any, setup: str, level: int) -> tuple[float, float, float]:
    x, y, z = (float(factor) for factor in dataset_at(path, file, f"{setup}/resolutions")[level])
    return z, y, x


def _unit(attributes: Any) -> str:
    for name in ("unit", "units"):
        if name in attributes:
            value = np.asarray(attributes[name]).ravel()[:1]
            return value[0].decode() if isinstance(value[0], bytes) else str(value[0])
    return ""


def _along_zyx(value: Any, axes: str) -> list[Any]:
    """The numbers of z, y and x, from one for each of them or one for each axis."""
    numbers = list(np.asarray(value).ravel())
    order = axes if len(numbers) == len(axes) else "".join(a for a in axes if a in "zyx")
    return [numbers[order.index(a)] for a in "zyx"] if len(numbers) == len(order) else numbers


def _in_micrometres(path: Path, name: str, values: list[Any], unit: str) -> Spacing:
    if not unit:
        raise spacing_needed(path, f"gives {name} {[*map(float, values)]} without a unit")
    factor = micrometres(unit)
    if factor is None:
        raise spacing_needed(path, f"gives {name} in {unit!r}, which is none of nm, µm, mm")
    try:
        return check_spacing([factor * float(value) for value in values])
    except ValueError:
        raise spacing_needed(path, f"gives the impossible {name} {values}") from None
