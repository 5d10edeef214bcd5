"""Small text files: read with an answer for what is no text, written whole or not at all."""

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

COMPRESSED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


class TextFileError(ValueError):
    """A file that is no text; the message names it and the line."""


def read_text(path: str | PathLike[str], kind: str = "SWC") -> str:
    """The text of a file, with `\\n` at the ends of its lines.

    Args:
        path: UTF-8, with a byte order mark or without; what is not UTF-8 is replaced, as comments
            may be in any encoding.
        kind: of the file, for the messages.

    Raises:
        TextFileError: it is empty, compressed, UTF-16 or binary, or a folder.
        OSError: it cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        raise TextFileError(f"{path}: is a folder; give the {kind} files in it one by one")
    data = path.read_bytes()
    if not data:
        raise TextFileError(f"{path}, line 1: the file is empty (0 bytes); write or copy it again")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise TextFileError(f"{path}, line 1: the text is UTF-16; save it as UTF-8 or ASCII")
    packed = next((name for start, name in COMPRESSED.items() if data.startswith(start)), None)
    if packed:
        raise TextFileError(f"{path}, line 1: the file is compressed ({packed}); unpack it first")
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise TextFileError(
            f"{path}, line {line}: byte {zero} is 0, so this is a binary or damaged file, not "
            f"the text of an {kind} file; choose another file or restore it from a copy"
        )
    text = data.decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_lines(path: str | PathLike[str], lines: Iterable[str]) -> None:
    """Write a text file that appears whole or not at all."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    os.replace(unfinished, path)
