"""Files that appear whole under their name, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to; the file takes its place at `path` when the block ends well.

    When it ends with an error, what was written is removed and a former file stays as it was.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # else a crash of the machine could leave an empty file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
