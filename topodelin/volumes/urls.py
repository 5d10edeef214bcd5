"""Open an image behind a URL that the user has named."""

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.stores import Store, url_store
from topodelin.volumes.volume import Spacing, Volume

KEYS = {
    "precomputed": ("info",),
    "zarr": (".zattrs", "zarr.json", ".zarray", ".zgroup"),
    "n5": ("attributes.json",),
}


def open_url(url: str, spacing: Spacing | None = None) -> Volume:
    """OME-Zarr, N5 or precomputed at `https`, `http`, `gs` (Google), `s3` (Amazon) or `file`.

    `precomputed://`, `n5://` or `zarr://` before the address says which it is; without, its
    metadata tell.
    """
    kind, store = url_store(url)
    kind = kind or url_kind(store)
    if kind == "precomputed":
        from topodelin.volumes.precomputed import open_precomputed

        return open_precomputed(store, spacing)
    if kind == "n5":
        from topodelin.volumes.n5 import open_n5

        return open_n5(store, spacing)
    from topodelin.volumes.zarr_store import open_zarr_store

    return open_zarr_store(store, spacing)


def url_kind(store: Store) -> str:
    """precomputed, zarr or n5, by the metadata that is found."""
    for kind, keys in KEYS.items():
        if any(store.read(key) is not None for key in keys):
            return kind
    every = ", ".join(key for keys in KEYS.values() for key in keys)
    raise VolumeError(
        f"{store.name}: none of {every} is found there; give the folder of an image in OME-Zarr, "
        "N5 or precomputed (download single files such as TIFF first), and check the address"
    )
