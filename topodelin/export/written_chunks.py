"""Which parts of a stored distance map were ever written."""

from itertools import product
from pathlib import Path
from typing import Any

from topodelin.volumes import Box
from topodelin.volumes.ome_zarr import open_zarr_array


class WrittenChunks:
    """Looks for the chunk files of the full image of a local OME-Zarr.

    Args:
        image: its folder; where there is none, every place counts as written.
    """

    def __init__(self, image: Path) -> None:
        self.folder = image / "0"
        self._array: Any = open_zarr_array(self.folder) if self.folder.is_dir() else None

    def any(self, box: Box) -> bool:
        """Whether a chunk that the box touches was written."""
        if self._array is None:
            return True
        chunks = getattr(self._array, "shards", None) or self._array.chunks
        encode = self._array.metadata.encode_chunk_key
        spans = [
            range(begin // chunk, -(-end // chunk))
            for begin, end, chunk in zip(box.begin, box.end, chunks[-3:], strict=True)
        ]
        leading = (0,) * (len(chunks) - 3)
        return any(
            (self.folder / encode((*leading, *place))).is_file() for place in product(*spans)
        )
