"""What a process has started, and what it holds, as Linux tells."""

import os
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Python processes below a process, nearest first, helpers of `multiprocessing` left out."""
    found = []
    waiting = [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop(0)}/task")
        for children in folder.glob("*/children"):
            try:
                below = [int(child) for child in children.read_text().split()]
                found += [c for c in below if not is_helper(c)]
            except OSError:
                continue  # it has just ended
            waiting += below
    return found


def is_helper(pid: int) -> bool:
    """Whether a process is the resource tracker or fork server of `multiprocessing`."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"resource_tracker" in command or b"forkserver" in command


def physical_memory(pid: int) -> int:
    """Bytes that a process holds now; 0 if it has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
