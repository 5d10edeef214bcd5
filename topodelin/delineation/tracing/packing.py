"""Arrays of known types as bytes for a database, and back; nothing is ever unpickled."""

import zlib
from collections.abc import Sequence

import numpy as np


def pack(arrays: Sequence[np.ndarray]) -> bytes:
    """The arrays end to end, their sizes first, compressed."""
    sizes = np.array([array.size for array in arrays], dtype="<i8")
    parts = [np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in arrays]
    return zlib.compress(b"".join([sizes.tobytes(), *parts]), level=1)


def unpack(data: bytes, dtypes: Sequence[str]) -> list[np.ndarray]:
    """The flat arrays that `pack` was given, which had these types.

    Raises:
        ValueError: the bytes are not what `pack` made of arrays of these types.
    """
    try:
        raw = zlib.decompress(data)
    except zlib.error as error:
        raise ValueError(f"packed arrays are damaged ({error})") from None
    at = 8 * len(dtypes)
    sizes = np.frombuffer(raw, "<i8", count=len(dtypes)) if len(raw) >= at else [-1]
    expected = at + sum(
        int(n) * np.dtype(kind).itemsize for n, kind in zip(sizes, dtypes, strict=False)
    )
    if min(sizes, default=0) < 0 or expected != len(raw):
        raise ValueError("packed arrays are damaged (their sizes do not add up)")
    arrays = []
    for size, kind in zip(sizes, dtypes, strict=True):
        dtype = np.dtype(kind).newbyteorder("<")
        arrays.append(np.frombuffer(raw, dtype, count=int(size), offset=at).astype(kind))
        at += int(size) * dtype.itemsize
    return arrays
