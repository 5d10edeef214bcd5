"""A folder that an export fills: it appears whole or not at all, and replaces only its own kind."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from topodelin import __version__

MARK = "export.json"


@contextmanager
def fresh_folder(folder: Path, kind: str) -> Iterator[Path]:
    """A draft folder to write into; under its own name only when the block ends without an error.

    The draft gets a file `export.json` that names the kind and all entries. An earlier export of
    the same kind is replaced; whatever else is found is left as it is.

    Args:
        folder: where the files are to be.
        kind: such as "napari".

    Raises:
        ValueError: the folder holds something that is not of an earlier export of that kind.
    """
    refuse_foreign(folder, kind)
    draft = folder.with_name(folder.name + ".part")
    refuse_foreign(draft, kind)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / MARK).write_text(json.dumps({"kind": kind, "entries": None}), encoding="utf-8")
    yield draft
    entries = sorted(path.name for path in draft.iterdir())
    mark = {"kind": kind, "topodelin": __version__, "entries": entries}
    (draft / MARK).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(draft, folder)


def refuse_foreign(folder: Path, kind: str) -> None:
    """Refuse a folder that holds more than an earlier export of that kind, finished or not."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder with -o")
    present = {path.name for path in folder.iterdir()}
    mark = read_mark(folder)
    ours = mark.get("kind") == kind
    entries = mark.get("entries")
    known = present if ours and entries is None else set(entries or ()) if ours else set()
    foreign = sorted(present - known)
    if foreign:
        raise ValueError(
            f"{folder} holds {foreign[0]!r}, which is not of an export for {kind}; move it, or "
            "give another folder with -o"
        )


def read_mark(folder: Path) -> dict[str, Any]:
    """`export.json` of a folder; empty when it is missing or damaged."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}
