"""What an image is, how large, how it is stored, what it lacks and what to do with it next."""

import shlex
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.formats import file_kind, folder_kind
from topodelin.volumes.intensity import sample_boxes
from topodelin.volumes.locations import file_and_member, location
from topodelin.volumes.opening import open_volume
from topodelin.volumes.storage import Storage, storage
from topodelin.volumes.volume import Volume

SAMPLE_VOXELS = 2_000_000
LARGE = 4e9  # bytes from which slices and compressed files are better converted
SEQUENTIAL = ("TIFF", "slices", "Vaa3D")  # formats where a box touches whole planes or the file
SPACING_FROM = {
    "TIFF": "its OME or ImageJ metadata",
    "HDF5": "its attributes",
    "Imaris": "its extent",
    "OME-Zarr": "the scale in its metadata",
    "N5": "its attributes",
    "precomputed": "the resolution in its file info",
    "TeraFly": "its index or the places of its tiles",
    "URL": "its metadata",
}


@dataclass(frozen=True)
class VolumeInfo:
    """Facts about an image, as [`volume_info`][] finds them.

    Args:
        format: TIFF, npy, HDF5, Imaris, Vaa3D, OME-Zarr, N5, precomputed, TeraFly, slices or URL.
        shape: voxels `(z, y, x)`.
        spacing: µm per voxel `(z, y, x)`; None when the image does not tell it.
        extent: µm along `(z, y, x)`.
        size: bytes of all voxels.
        values: least, median and largest value of a sample; None when it could not be read.
        missing: what has to be given or installed.
        problems: what is wrong with the image.
        next: commands to go on with.
    """

    path: str
    format: str
    shape: tuple[int, int, int]
    channels: int
    dtype: str
    spacing: tuple[float, float, float] | None
    spacing_from: str | None
    extent: tuple[float, ...] | None
    size: int
    storage: Storage
    values: tuple[float, float, float] | None
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    next: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [(name, text) for name, text in self._lines() if text]
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name.ljust(width)}  {text}" for name, text in lines)

    def _lines(self) -> list[tuple[str, str]]:
        stored = self.storage
        channels = f", {self.channels} channels" if self.channels > 1 else ""
        spacing = "not told by the image"
        if self.spacing is not None:
            spacing = f"{_list(self.spacing)} µm (z, y, x), from {self.spacing_from}"
        on_disk = "" if stored.size is None else f", {_bytes(stored.size)} on disk"
        there = ""
        if stored.present is not None:
            there = f", {100 * stored.present:.3g} % of its chunks are there"
        values = ""
        if self.values is not None:
            least, median, most = self.values
            values = f"{least:g} to {most:g}, median {median:g} (of a sample)"
        return [
            ("image", self.path),
            ("format", self.format),
            ("shape", f"{' x '.join(map(str, self.shape))} voxels (z, y, x){channels}"),
            ("type", self.dtype),
            ("spacing", spacing),
            ("extent", "" if self.extent is None else f"{_list(self.extent)} µm"),
            ("chunks", "" if stored.chunks is None else " x ".join(map(str, stored.chunks))),
            ("compression", stored.compression or ""),
            ("levels", str(stored.levels)),
            ("size", f"{_bytes(self.size)}{on_disk}{there}"),
            ("values", values),
            *(("missing", text) for text in self.missing),
            *(("problem", text) for text in self.problems),
            *(("next", text) for text in self.next),
        ]


def volume_info(path: str | Path) -> VolumeInfo:
    """Look at an image: its headers, a sample of 2 million voxels, and which chunks are there.

    Raises:
        VolumeError: it cannot be opened at all.
    """
    kind, where, member = _kind(path)
    volume, told = _opened(path)
    shape = volume.shape
    extent = tuple(n * s for n, s in zip(shape, volume.spacing, strict=True)) if told else None
    problems: list[str] = []
    values = stored = None
    try:
        values = _values(volume)
        stored = Storage() if where is None else storage(kind, where, volume, member)
    except VolumeError as error:
        problems.append(str(error))
    missing = () if told else ("its spacing; add --spacing z,y,x in µm per voxel to each command",)
    return VolumeInfo(
        path=str(path),
        format=kind,
        shape=shape,
        channels=prod(volume.data.shape[:-3]),
        dtype=str(volume.dtype),
        spacing=volume.spacing if told else None,
        spacing_from=SPACING_FROM.get(kind) if told else None,
        extent=extent,
        size=prod(volume.data.shape) * volume.dtype.itemsize,
        storage=stored or Storage(),
        values=values,
        missing=missing,
        problems=tuple(problems),
        next=() if problems else _next(str(path), kind, volume, told),
    )


def other_than_an_image(path: Path) -> str | None:
    """A line about a tracing or a run of ours, which are no images; None for anything else."""
    name = shlex.quote(str(path))
    if (path / "run.json").is_file():
        return (
            f"{path}: is a run of topodelin; `topodelin export napari {name}` shows it, and its "
            f"distance map is {path / 'distance_map.ome.zarr'}"
        )
    if path.suffix.lower() in (".swc", ".eswc") and path.is_file():
        return f"{path}: is a tracing; `topodelin swc check {name}` looks at it"
    if path.is_dir() and any(path.glob("*.swc")) and not any(path.glob("*.tif*")):
        return f"{path}: is a folder of tracings; `topodelin swc check` looks at each of them"
    return None


def _kind(path: str | Path) -> tuple[str, Path | None, str | None]:
    where = location(path)
    if isinstance(where, str):
        return "URL", None, None
    where, member = file_and_member(where)
    if where.is_dir():
        return folder_kind(where), where, None
    if not where.exists():
        raise VolumeError(f"{where}: does not exist; check the path")
    kind = file_kind(where)
    if kind == "HDF5" and member is None:
        from topodelin.volumes.hdf5 import hdf5_file
        from topodelin.volumes.imaris import is_imaris

        with hdf5_file(where) as file:
            kind = "Imaris" if is_imaris(where, file) else kind
    return kind, where, member


def _opened(path: str | Path) -> tuple[Volume, bool]:
    """The volume, and whether its spacing is its own."""
    try:
        return open_volume(path), True
    except VolumeError as error:
        if "--spacing" not in str(error):
            raise
        return open_volume(path, spacing=(1.0, 1.0, 1.0)), False


def _values(volume: Volume) -> tuple[float, float, float]:
    sample = [volume.read(box).ravel() for box in sample_boxes(volume, SAMPLE_VOXELS)]
    joined = np.concatenate(sample)
    return float(joined.min()), float(np.median(joined)), float(joined.max())


def _next(path: str, kind: str, volume: Volume, told: bool) -> tuple[str, ...]:
    spacing = "" if told else " --spacing Z,Y,X"
    stem = Path(path.rstrip("/").rpartition("/")[2]).name.split(".")[0] or "image"
    commands = [f"topodelin delineate {shlex.quote(path)} -o {shlex.quote(stem + '_run')}{spacing}"]
    if kind in SEQUENTIAL and prod(volume.data.shape) * volume.dtype.itemsize > LARGE:
        target = shlex.quote(stem + ".ome.zarr")
        commands.insert(0, f"topodelin convert {shlex.quote(path)} {target}{spacing}")
    return tuple(commands)


def _bytes(count: int) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count / 1e3:.3g} kB"


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
