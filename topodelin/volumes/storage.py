"""How a volume lies on disk: chunks, compression, levels, bytes, and how many chunks there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.ome_zarr import datasets, first_image, is_array, open_zarr_array
from topodelin.volumes.volume import Volume

PROBES = 20_000  # chunk files looked for; of more chunks, a random sample


@dataclass(frozen=True)
class Storage:
    """What is known of the way a volume is stored; None where it is not.

    Args:
        chunks: voxels `(z, y, x)` that are read at once.
        levels: of the pyramid, the full image included.
        present: share of the chunks that are there; the others read as background.
        size: bytes on disk of the full image; of a file, the whole file.
    """

    chunks: tuple[int, ...] | None = None
    compression: str | None = None
    levels: int = 1
    present: float | None = None
    size: int | None = None


def storage(kind: str, path: Path, volume: Volume, member: str | None = None) -> Storage:
    """How the volume of a kind (see `formats`) at a path of this computer is stored."""
    match kind:
        case "TIFF":
            return _tiff(path)
        case "HDF5" | "Imaris":
            return _hdf5(path, member, kind)
        case "OME-Zarr":
            return _ome_zarr(path)
        case "N5":
            return _n5(path)
        case "precomputed":
            return _precomputed(path)
        case "TeraFly":
            return _terafly(path, volume)
        case "slices":
            return _slices(path)
    packed = "run lengths (decoded whole)" if path.suffix.lower() == ".v3dpbd" else "none"
    return Storage(None, packed, size=path.stat().st_size)


def _tiff(path: Path) -> Storage:
    import tifffile

    with tifffile.TiffFile(path) as tif:
        page: Any = tif.pages.first
        rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
        columns = page.tilewidth if page.is_tiled else page.imagewidth
        codec = page.compression.name.lower().replace("adobe_", "")
        return Storage((1, int(rows), int(columns)), codec, size=path.stat().st_size)


def _hdf5(path: Path, member: str | None, kind: str) -> Storage:
    from topodelin.volumes.hdf5 import dataset_at, hdf5_file, only_dataset
    from topodelin.volumes.imaris import FINEST, channel_names

    with hdf5_file(path) as file:
        name = member
        if name is None:
            names = channel_names(path, file) if kind == "Imaris" else [only_dataset(path, file)]
            name = names[0]
        dataset = dataset_at(path, file, name)
        levels = len(file[FINEST.partition("/")[0]]) if kind == "Imaris" else 1
        present = None
        if dataset.chunks:
            total = prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
            present = dataset.id.get_num_chunks() / total
        made = dataset.id.get_create_plist()
        filters = [
            made.get_filter(i)[3].decode("ascii", "replace") for i in range(made.get_nfilters())
        ]
        codec = ", ".join(filters) or "none"
        chunks = tuple(dataset.chunks[-3:]) if dataset.chunks else None
    return Storage(chunks, codec, levels, present, path.stat().st_size)


def _ome_zarr(path: Path) -> Storage:
    levels, folder = 1, path
    if not is_array(path):
        described = datasets(first_image(path))
        levels, folder = len(described), path / str(described[0]["path"])
    array = open_zarr_array(folder)
    files = tuple(array.shards or array.chunks)
    counts = [-(-n // c) for n, c in zip(array.shape, files, strict=True)]
    encode = array.metadata.encode_chunk_key
    present, size = probe(counts, lambda place: folder / encode(place))
    codecs = [type(c).__name__.removesuffix("Codec").lower() for c in array.compressors]
    return Storage(tuple(array.chunks[-3:]), ", ".join(codecs) or "none", levels, present, size)


def _n5(path: Path) -> Storage:
    from topodelin.volumes.n5 import image_datasets
    from topodelin.volumes.stores import local_store

    dataset, attributes = image_datasets(local_store(path))[0]
    folder = Path(dataset.kvstore["path"])
    blocks = [int(size) for size in attributes["blockSize"]]
    counts = [-(-int(n) // b) for n, b in zip(attributes["dimensions"], blocks, strict=True)]
    present, size = probe(counts, lambda place: folder.joinpath(*map(str, place)))
    levels = sum((folder.parent / f"s{n}" / "attributes.json").is_file() for n in range(32))
    codec = str(dict(attributes.get("compression") or {}).get("type", "raw"))
    return Storage(tuple(blocks[2::-1]), codec, max(1, levels), present, size)


def _precomputed(path: Path) -> Storage:
    from topodelin.volumes.precomputed import INFO, finest_scale
    from topodelin.volumes.stores import local_store

    store = local_store(path)
    info = store.json(INFO)
    scale = finest_scale(store, info)
    size = [int(n) for n in scale["size"]]
    chunk = [int(n) for n in scale["chunk_sizes"][0]]
    begin = [int(n) for n in scale.get("voxel_offset", (0, 0, 0))]
    codec, levels = str(scale.get("encoding", "raw")), len(info["scales"])
    chunks = tuple(chunk[::-1])
    if scale.get("sharding"):
        return Storage(chunks, f"{codec}, sharded", levels)

    def file(place: Sequence[int]) -> Path:
        spans = [
            f"{b + p * c}-{b + min((p + 1) * c, n)}"
            for p, c, n, b in zip(place, chunk, size, begin, strict=True)
        ]
        return path / str(scale["key"]) / "_".join(spans)

    counts = [-(-n // c) for n, c in zip(size, chunk, strict=True)]
    return Storage(chunks, codec, levels, *probe(counts, file))


def _terafly(path: Path, volume: Volume) -> Storage:
    from topodelin.volumes.terafly import TiledArray, terafly_levels

    tiled: Any = getattr(volume.data, "data", None)
    levels = max(1, len(terafly_levels(path)))
    if not isinstance(tiled, TiledArray):
        return Storage(levels=levels)
    places = prod(len(axis.places) for axis in tiled.axes)
    size = sum(file.stat().st_size for file in tiled.files.values())
    tile = tuple(axis.lengths[0] for axis in tiled.axes)
    return Storage(tile, None, levels, len(tiled.files) / places, size)


def _slices(path: Path) -> Storage:
    from topodelin.volumes.slices import SUFFIXES

    files = [f for f in path.iterdir() if f.suffix.lower() in SUFFIXES and f.name[0] != "."]
    return Storage(None, None, size=sum(file.stat().st_size for file in files))


def probe(counts: Sequence[int], file: Callable[[tuple[int, ...]], Path]) -> tuple[float, int]:
    """The share of the chunk files that are there, and the bytes of all of them.

    Exact up to 20,000 chunks; of more, estimated from as many drawn at random.

    Args:
        counts: chunks along each axis.
        file: where the chunk at a place lies.
    """
    total = prod(counts)
    if total <= PROBES:
        numbers = np.arange(total)
    else:
        numbers = np.random.default_rng(0).integers(0, total, PROBES)
    found = size = 0
    for place in zip(*np.unravel_index(numbers, tuple(counts)), strict=True):
        try:
            size += file(tuple(int(n) for n in place)).stat().st_size
        except OSError:
            continue
        found += 1
    return found / len(numbers), round(size * total / len(numbers))
