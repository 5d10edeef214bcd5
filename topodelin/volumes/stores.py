"""Folders of chunks on this computer or behind a URL, read through tensorstore.

Nothing is fetched unless the user named a URL. A store that does not answer is asked again a few
times and then reported.

References:
    Google, TensorStore key-value store layer, https://google.github.io/tensorstore
"""

import functools
import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.volumes.errors import VolumeError, extra_needed
from topodelin.volumes.lazy import LazyArray, Slices
from topodelin.volumes.locations import FORMATS, SCHEMES
from topodelin.volumes.ome_zarr import MAX_CHUNK_BYTES

RETRIES = {"max_retries": 5, "initial_delay": "500ms", "max_delay": "8s"}
REFUSED = ("PERMISSION_DENIED", "UNAUTHENTICATED")  # also what buckets say of a missing key


@dataclass(frozen=True)
class Store:
    """A folder of keys.

    Args:
        name: what errors call it: the path or the URL as the user gave it.
        kvstore: the same for tensorstore, its `path` ending in a slash.
    """

    name: str
    kvstore: dict[str, Any]

    def child(self, path: str) -> "Store":
        """The folder below; `path` must not lead out."""
        parts = path.split("/")
        if not path or path.startswith("/") or {"", ".", ".."} & set(parts) or "\\" in path:
            raise VolumeError(
                f"{self.name}: names the part {path!r}, which is no folder inside; copy it again"
            )
        inside = {**self.kvstore, "path": f"{self.kvstore['path']}{path}/"}
        if self.kvstore["driver"] == "file":
            root = Path(self.kvstore["path"]).resolve()
            if not Path(inside["path"]).resolve().is_relative_to(root):
                raise VolumeError(f"{self.name}: its part {path!r} is a link that leads outside")
        return Store(f"{self.name.rstrip('/')}/{path}", inside)

    def parent(self) -> "Store | None":
        """The folder above; None at the top."""
        above, _, last = self.kvstore["path"].rstrip("/").rpartition("/")
        if not last or (not above and self.kvstore["driver"] != "file"):
            return None
        return Store(
            self.name.rstrip("/").rpartition("/")[0], {**self.kvstore, "path": above + "/"}
        )

    def read(self, key: str) -> bytes | None:
        """The bytes of a key; None where there is none."""
        ts = _tensorstore(self.name)
        try:
            found = ts.KvStore.open(self.kvstore, context=_context()).result().read(key).result()
        except Exception as error:
            if any(word in str(error) for word in REFUSED):
                return None
            raise unreachable(self.name, error) from error
        return found.value if found.state == "value" else None

    def json(self, key: str) -> dict[str, Any]:
        """The JSON object of a key; empty where there is none."""
        text = self.read(key)
        try:
            value = {} if text is None else json.loads(text)
        except ValueError as error:
            raise VolumeError(
                f"{self.name}/{key}: is not valid JSON ({error}); copy it again"
            ) from error
        return value if isinstance(value, dict) else {}


def local_store(path: Path) -> Store:
    """A folder of this computer."""
    return Store(str(path), {"driver": "file", "path": f"{path.absolute().as_posix()}/"})


def url_store(url: str) -> tuple[str | None, Store]:
    """The format that the URL names, if it does, and the store."""
    head, _, rest = url.partition("://")
    kind = head if head in FORMATS else None
    inner = rest if kind else url
    if kind and "://" not in inner:
        return kind, Store(url, local_store(Path(inner)).kvstore)
    if inner.partition("://")[0] not in SCHEMES:
        raise VolumeError(
            f"{url}: is no address that can be read; give one of {', '.join(SCHEMES)}, if need be "
            f"after {', '.join(f'{name}://' for name in FORMATS)}"
        )
    try:
        kvstore = _tensorstore(url).KvStore.Spec(inner).to_json()
    except ValueError as error:
        raise VolumeError(f"{url}: is no valid address ({' '.join(str(error).split())})") from error
    return kind, Store(url, {**kvstore, "path": kvstore.get("path", "").rstrip("/") + "/"})


def unreachable(name: str, error: BaseException) -> VolumeError:
    """The error for a store that does not answer, or answers nonsense."""
    return VolumeError(
        f"{name}: cannot be read ({' '.join(str(error).split())[:300]}); check that it still "
        "exists, the network and your rights, and that it is not damaged"
    )


class StoreArray(LazyArray):
    """An array in a store, its axes in C order and counted from 0.

    Args:
        store: the folder with the array.
        driver: of tensorstore: "n5", "neuroglancer_precomputed", "zarr" or "zarr3".
        marker: key of its metadata. It must still be there after each read, because a chunk
            that is missing reads as background.
        options: more members of the specification of tensorstore.

    tensorstore gives the arrays of N5 and precomputed with x first; they are turned around. A
    precomputed image may begin at any voxel: that voxel becomes 0.
    """

    def __init__(
        self, store: Store, driver: str, marker: str, options: dict[str, Any] | None = None
    ) -> None:
        self.store, self.marker = store, marker
        self.driver, self.options = driver, options or {}
        self._array: Any = None
        opened = self._opened()
        self.shape = tuple(int(size) for size in opened.shape)
        self.dtype = np.dtype(opened.dtype.numpy_dtype)
        self.chunks = tuple(int(size) for size in opened.chunk_layout.read_chunk.shape)
        if prod(self.chunks) * self.dtype.itemsize > MAX_CHUNK_BYTES:
            raise VolumeError(
                f"{store.name}: has chunks of {self.chunks} voxels, more than 2 GiB; store it "
                "again with chunks of about 128 x 128 x 128"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}

    def read_slices(self, slices: Slices) -> np.ndarray:
        try:
            array = self._opened()[slices].read().result()
        except (VolumeError, MemoryError):
            raise
        except Exception as error:
            raise unreachable(self.store.name, error) from error
        if self.store.read(self.marker) is None:
            raise VolumeError(
                f"{self.store.name}: is gone, {self.marker} was there when it was opened; connect "
                "the disk or the server again"
            )
        return array

    def _opened(self) -> Any:
        if self._array is None:
            ts = _tensorstore(self.store.name)
            wanted = {"driver": self.driver, "kvstore": self.store.kvstore, **self.options}
            try:
                opened = ts.open(wanted, read=True, open=True, context=_context()).result()
            except Exception as error:
                raise unreachable(self.store.name, error) from error
            opened = opened[ts.d[:].translate_to[0]]
            self._array = opened if self.driver in ("zarr", "zarr3") else opened.T
        return self._array


@functools.cache
def _context() -> Any:
    """The one context of this process, with its connections."""
    import tensorstore

    names = ("http_request_retries", "gcs_request_retries", "s3_request_retries")
    return tensorstore.Context(dict.fromkeys(names, RETRIES))


def _tensorstore(name: str) -> Any:
    try:
        import tensorstore
    except ImportError:
        raise extra_needed(name, "tensorstore", "cloud") from None
    return tensorstore
