"""How much memory a run takes, measured on one real cube, and how many workers fit."""

import re
import sys
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

from topodelin.delineation.lattice import Lattice
from topodelin.delineation.prediction import CubePredictor
from topodelin.delineation.tracing import CACHE_BYTES
from topodelin.delineation.workers import adopted_predictor, start_pool
from topodelin.volumes import Index

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SAFETY = 1.15  # a measured peak varies by some per cent from cube to cube


@dataclass(frozen=True)
class CubeCost:
    """What one cube takes in a process of its own.

    Args:
        seconds: to read and predict it, once the process is warm.
        peak_bytes: the most memory the process held, libraries and network included.
    """

    seconds: float
    peak_bytes: int


def measure_cube(predictor: CubePredictor, cube: Index) -> CubeCost:
    """Predict a cube twice in a fresh process; the second time counts."""
    with start_pool(predictor, 1) as pool:
        return pool.submit(_measured, cube).result()


def _measured(cube: Index) -> CubeCost:
    predictor = adopted_predictor()
    predictor(cube)
    start = time.perf_counter()
    predictor(cube)
    return CubeCost(time.perf_counter() - start, peak_memory())


def expected_peak(cost: CubeCost, workers: int, held_bytes: int, here_bytes: int) -> int:
    """Bytes that a run holds at most, over all its processes.

    Args:
        cost: of one cube.
        workers: cubes at a time; 1 is predicted in this process.
        held_bytes: of stored distance maps and results in the coordinator.
        here_bytes: what the coordinator holds already.
    """
    if workers == 1:
        return int(SAFETY * (max(cost.peak_bytes, here_bytes) + held_bytes))
    return int(SAFETY * (here_bytes + held_bytes + workers * cost.peak_bytes))


def held_bytes(lattice: Lattice, workers: int) -> int:
    """Bytes of distance maps in the coordinator: those read again for tracing, those in hand."""
    return CACHE_BYTES + 4 * prod(lattice.cube) * (2 * workers + 2)


def fitting_workers(
    cost: CubeCost, workers: int, held_bytes: int, here_bytes: int, limit: int
) -> int:
    """The most workers, up to `workers`, whose expected peak stays below `limit` bytes.

    Raises:
        ValueError: not even one fits.
    """
    for count in range(workers, 0, -1):
        if expected_peak(cost, count, held_bytes, here_bytes) <= limit:
            return count
    least = expected_peak(cost, 1, held_bytes, here_bytes)
    raise ValueError(
        f"`memory` must be at least {format_bytes(least)}, which one cube of this network needs, "
        f"got {format_bytes(limit)}; raise --memory or take a network with a smaller cube"
    )


def peak_memory() -> int:
    """The most bytes of physical memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` would count what the parent held at the fork
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    if sys.platform == "win32":
        raise OSError("memory cannot be measured on Windows; run without --memory and --dry-run")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def parse_bytes(text: str) -> int:
    """`"2G"`, `"1500M"` or `"2.5 GB"` as bytes (1 K = 1024)."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)i?B?\s*", text, re.IGNORECASE)
    try:
        value = float(found[1]) * UNITS[found[2].upper()] if found else 0.0
    except ValueError:
        value = 0.0
    if value < 1:
        raise ValueError(f"`memory` must be a size like 2G or 1500M, got {text!r}")
    return int(value)


def format_bytes(size: float) -> str:
    """`"1.5 GB"`, `"640 MB"`: one decimal from a gigabyte on."""
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"
