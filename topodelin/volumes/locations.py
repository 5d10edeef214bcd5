"""Where an image lies: a path of this computer, or a URL that the user has named."""

import os
import re
from pathlib import Path

FORMATS = ("precomputed", "n5", "zarr")
SCHEMES = ("https", "http", "gs", "s3", "file")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SQUEEZED = re.compile(rf"(?:(?:{'|'.join(FORMATS)}):/)?(?:{'|'.join(SCHEMES)}):/[^/]")
_SLASHES = re.compile(rf"\b({'|'.join((*FORMATS, *SCHEMES))}):/+")


def is_url(path: object) -> bool:
    """Whether the location is a URL, such as `precomputed://gs://bucket/image`."""
    return isinstance(path, str) and _URL.match(path) is not None


def location(path: str | os.PathLike[str]) -> Path | str:
    """A URL as text, anything else as a path.

    `Path("https://host/image")` has lost a slash, which it gets back, unless a file has that name.
    """
    text = os.fspath(path)
    if is_url(text):
        return text
    if _SQUEEZED.match(text) and not Path(text).exists():
        return _SLASHES.sub(r"\1://", text).replace("file://", "file:///")
    return Path(text)


def file_and_member(path: Path) -> tuple[Path, str | None]:
    """`brain.h5:/images/raw` as the file and the name of the array in it; None without a name."""
    text = str(path)
    at = text.find(":/")
    while at > 0 and not path.exists():
        if Path(text[:at]).is_file():
            return Path(text[:at]), text[at + 1 :]
        at = text.find(":/", at + 1)
    return path, None
