"""How much memory a run takes, measured on one real cube, and how many workers fit."""

import re
import sys
import time
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from topodelin.delineation.crews.crew import CubeTask, over_cubes
from topodelin.delineation.crews.processes import Processes
from topodelin.delineation.crews.workers import Workers
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.tracing.pipeline import CACHE_BYTES
from topodelin.volumes import Index
from topodelin.volumes.zarr_chunks import KEPT_BYTES

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SAFETY = 1.15  # a measured peak varies by some per cent from cube to cube


@dataclass(frozen=True)
class CubeCost:
    """What one cube takes in a process of its own.

    Args:
        seconds: to read and predict it, once the process is warm.
        peak_bytes: the most memory the process holds, libraries, network and kept chunks included.
    """

    seconds: float
    peak_bytes: int


def measure_cube(task: CubeTask, cube: Index, device: str | None = None) -> CubeCost:
    """Do a cube twice in a fresh process; the second time counts.

    Args:
        task: what is done with it, such as a `CubePredictor`.
        cube: place in the lattice.
        device: where the network is put, if elsewhere than it is.

    Raises:
        Exception: what the task raises.
    """
    devices = () if device is None else (device,)
    with Processes(_Measured(task), 1, devices=devices) as crew:
        ((_, cost),) = over_cubes(crew, [cube])
    return cost


@dataclass(frozen=True, eq=False)
class _Measured:
    task: CubeTask

    def __call__(self, cube: Index) -> CubeCost:
        self.task(cube)
        start = time.perf_counter()
        self.task(cube)
        return CubeCost(time.perf_counter() - start, peak_memory() + KEPT_BYTES)

    def to(self, device: str) -> None:
        if hasattr(self.task, "to"):
            self.task.to(device)


def expected_peak(
    cost: CubeCost, workers: int, held_bytes: int, here_bytes: int, *, elsewhere: bool = False
) -> int:
    """Bytes that a run holds at most, over all its processes on this machine.

    Args:
        cost: of one cube.
        workers: cubes at a time; 1 is predicted in this process, unless `elsewhere`.
        held_bytes: of stored distance maps and results in the coordinator.
        here_bytes: what the coordinator holds already.
        elsewhere: even a single worker is a process of its own.
    """
    if workers == 1 and not elsewhere:
        return int(SAFETY * (max(cost.peak_bytes, here_bytes) + held_bytes))
    return int(SAFETY * (here_bytes + held_bytes + workers * cost.peak_bytes))


def held_bytes(lattice: Lattice) -> int:
    """Bytes of distance maps in the coordinator: those read again for tracing, and one written.

    Workers write their own, so this does not grow with their number.
    """
    return CACHE_BYTES + 4 * prod(lattice.cube) * 4


def fitting_workers(
    cost: CubeCost,
    workers: int,
    held_bytes: int,
    here_bytes: int,
    limit: int,
    *,
    elsewhere: bool = False,
) -> int:
    """The most workers, up to `workers`, whose expected peak stays below `limit` bytes.

    Raises:
        ValueError: not even one fits.
    """
    for count in range(workers, 0, -1):
        if expected_peak(cost, count, held_bytes, here_bytes, elsewhere=elsewhere) <= limit:
            return count
    least = expected_peak(cost, 1, held_bytes, here_bytes, elsewhere=elsewhere)
    raise ValueError(
        f"`memory` must be at least {format_bytes(least)}, which one cube of this network needs, "
        f"got {format_bytes(limit)}; raise --memory or take a network with a smaller cube"
    )


def fitting(
    staff: Workers,
    cost: CubeCost,
    held_bytes: int,
    here_bytes: int,
    limit: int,
    cluster: str | None = None,
) -> Workers:
    """The same workers, but no more than fit into `limit` bytes.

    Raises:
        ValueError: not even one fits, or they are those of a cluster.
    """
    if cluster is not None:
        raise ValueError(
            "`memory` bounds the processes that the run itself starts; bound the workers of a "
            "cluster where they are started, and see with --dry-run what one of them needs"
        )
    asked = staff.count
    count = fitting_workers(
        cost, asked, held_bytes, here_bytes, limit, elsewhere=staff.elsewhere and asked == 1
    )
    return replace(staff, count=count, devices=staff.devices[:count])


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
