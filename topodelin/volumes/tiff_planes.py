"""Planes of a TIFF that are compressed, tiled or scattered over the file."""

from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.planes import PlaneArray

MAX_RATIO = 50_000  # no codec of TIFF shrinks real pages further; beyond it the tags lie


class CodedPlanes(PlaneArray):
    """Compressed, tiled or scattered pages; of each, only the touched segments are decoded.

    A segment is a strip or a tile of a page; one without bytes holds zeros.

    Args:
        keyframe: number in the file of the page whose tags hold for all of them.
        offsets, counts: first byte and length of each segment, shape `(plane, segment)`.
        segment_shape: rows and columns of a full segment.
    """

    def __init__(
        self,
        path: Path,
        keyframe: int,
        offsets: np.ndarray,
        counts: np.ndarray,
        segment_shape: tuple[int, int],
        order: np.ndarray,
        plane_shape: tuple[int, int],
        dtype: np.dtype,
    ) -> None:
        super().__init__(order, plane_shape, dtype)
        self.path, self.keyframe = path, keyframe
        self.offsets, self.counts = offsets, counts
        self.segment_shape = segment_shape
        self._decode: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decode": None}  # the decoder is a closure of tifffile

    def _decoder(self) -> Any:
        if self._decode is None:
            import tifffile

            with tifffile.TiffFile(self.path) as tif:
                self._decode = tif.pages[self.keyframe].decode
        return self._decode

    def read_plane(self, number: int, rows: slice, columns: slice) -> np.ndarray:
        height, width = self.segment_shape
        per_row = -(-self.shape[-1] // width)
        result = np.zeros((rows.stop - rows.start, columns.stop - columns.start), self.dtype)
        with self.path.open("rb") as file:
            for down in range(rows.start // height, -(-rows.stop // height)):
                for right in range(columns.start // width, -(-columns.stop // width)):
                    segment = self._segment(file, number, down * per_row + right)
                    if segment is not None:
                        _paste(result, segment, rows, columns, down * height, right * width)
        return result

    def _segment(self, file: Any, number: int, index: int) -> np.ndarray | None:
        count = int(self.counts[number, index])
        if count == 0:
            return None
        file.seek(int(self.offsets[number, index]))
        data = file.read(count)
        if len(data) < count:
            raise damaged(self.path, f"page {number + 1} ends early")
        try:
            segment, *_ = self._decoder()(data, index)
        except (ValueError, NotImplementedError) as error:
            if "imagecodecs" in str(error):
                codec = str(error).split(">")[0].lstrip("<").split(":")[0]
                raise VolumeError(
                    f"{self.path}: is compressed with {codec}, which needs one more package; "
                    'run: pip install "topodelin[io]"'
                ) from error
            raise
        return segment.reshape(segment.shape[-3:-1])


def _paste(
    result: np.ndarray, segment: np.ndarray, rows: slice, columns: slice, top: int, left: int
) -> None:
    """Copy the part of a segment with corner `(top, left)` that lies in `rows` and `columns`."""
    y0, y1 = max(rows.start, top), min(rows.stop, top + segment.shape[0])
    x0, x1 = max(columns.start, left), min(columns.stop, left + segment.shape[1])
    result[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = segment[
        y0 - top : y1 - top, x0 - left : x1 - left
    ]


def segment_table(path: Path, pages: list[Any], plane_bytes: int) -> tuple[Any, Any]:
    """Offsets and byte counts of all segments, each checked to lie inside the file."""
    lengths = {(len(page.dataoffsets), len(page.databytecounts)) for page in pages}
    if len(lengths) > 1 or len(set(*lengths)) > 1:
        raise damaged(path, "its pages are cut into different numbers of segments")
    try:
        offsets = np.array([page.dataoffsets for page in pages], np.int64)
        counts = np.array([page.databytecounts for page in pages], np.int64)
    except OverflowError:
        raise damaged(path, "a page lies outside the file") from None
    size = path.stat().st_size
    if offsets.min() < 0 or counts.min() < 0 or (offsets + counts).max() > size:
        worst = int(np.argmax((offsets + counts).max(axis=1)))
        raise damaged(path, f"page {worst + 1} of {len(pages)} reaches beyond its end")
    if plane_bytes > MAX_RATIO * max(1, int(counts.sum(axis=1).max())):
        raise damaged(path, f"its pages claim {plane_bytes:,} bytes, more than they can hold")
    return offsets, counts


def damaged(path: Path, what: str) -> VolumeError:
    """The error for a file whose structure does not hold together."""
    return VolumeError(
        f"{path}: is truncated or damaged, {what}; copy it again from its origin or save it again"
    )
