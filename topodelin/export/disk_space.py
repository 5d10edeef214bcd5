"""Whether what is about to be written fits on the disk."""

import shutil
from pathlib import Path

from topodelin.delineation.memory import format_bytes


def check_room(folder: Path, needed: int, remedy: str) -> None:
    """Refuse to begin what would fill the disk.

    Args:
        folder: it exists.
        needed: bytes.
        remedy: what the user can do, for the message.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"{folder}: {format_bytes(needed)} are to be written and {format_bytes(free)} are "
            f"free; {remedy}"
        )
