"""What a run will take, before it is started: cubes, memory and time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import nn

from topodelin.delineation.crews.cluster import cluster_threads, local_workers
from topodelin.delineation.crews.workers import Workers
from topodelin.delineation.memory import (
    expected_peak,
    fitting,
    format_bytes,
    held_bytes,
    measure_cube,
    peak_memory,
)
from topodelin.delineation.progress import format_seconds
from topodelin.delineation.search_rule import SearchRule
from topodelin.delineation.seeds import as_seeds, coarse_seeds
from topodelin.delineation.task import Bounds, Task, search_rule
from topodelin.models import ModelCard
from topodelin.volumes import Index, IntensityRange, Volume

SAMPLE = 200  # cubes looked at to judge how full the volume is


@dataclass(frozen=True)
class Plan:
    """What is expected of a run; an estimate, made from a sample and one real cube.

    Args:
        total: cubes in the volume.
        starting: cubes that the search would start in; 0 when a scan has yet to find them.
        sampled: cubes looked at for something bright.
        bright: those of them that hold something bright.
        workers: processes that would predict.
        seconds_per_cube: measured on one cube, in one process.
        peak_bytes: memory of all processes on this machine together.
        worker_bytes: what each worker process holds, libraries and network included; 0 where this
            process does all.
        cube, margin: voxels that a worker holds `(z, y, x)`.
    """

    total: int
    starting: int
    sampled: int
    bright: int
    workers: int
    seconds_per_cube: float
    peak_bytes: int
    worker_bytes: int = 0
    cube: Index = (0, 0, 0)
    margin: Index = (0, 0, 0)

    @property
    def expected(self) -> int:
        """Cubes that will be visited if bright is neurite: a guess, often too high."""
        share = self.bright / self.sampled if self.sampled else 1.0
        return min(self.total, max(self.starting, 1, round(share * self.total)))

    @property
    def seconds(self) -> float:
        """For the expected cubes."""
        return self.expected * self.seconds_per_cube / self.workers

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        return asdict(self) | {"expected": self.expected, "seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        share = 100 * self.expected / self.total
        starts = f"{self.starting} of them hold seeds" if self.starting else "a scan finds seeds"
        return (
            f"cubes:  {self.total} in the volume, {starts}\n"
            f"        about {self.expected} to visit ({share:.0f} %), as {self.bright} of "
            f"{self.sampled} looked at hold something bright\n"
            f"memory: {format_bytes(self.peak_bytes)} at most on this machine, "
            f"{self._holders}\n"
            f"time:   {format_seconds(self.seconds)} at {self.seconds_per_cube:.2g} s a cube"
        )

    @property
    def _holders(self) -> str:
        cube, margin = ("x".join(map(str, sizes)) for sizes in (self.cube, self.margin))
        held = f"a cube of {cube} voxels and {margin} around it"
        if not self.worker_bytes:
            return f"with 1 worker and {held}"
        each = f"{format_bytes(self.worker_bytes)} each with {held}"
        return f"with {self.workers} worker{'s' if self.workers > 1 else ''} of {each}"


def plan_delineation(
    volume: Volume,
    model: nn.Module,
    card: ModelCard,
    *,
    seeds: Sequence[Sequence[float]] | np.ndarray | None = None,
    rule: SearchRule | None = None,
    workers: int = 1,
    devices: Sequence[str] = (),
    cluster: str | None = None,
    cube_timeout: float | None = None,
    memory: int | None = None,
    within: Bounds | None = None,
    intensity: IntensityRange | None = None,
    resample: bool = False,
) -> Plan:
    """Work out what `delineate` with the same arguments would take. Nothing is written.

    Up to `SAMPLE` cubes spread evenly over the volume are searched for something bright, and one
    cube is predicted in a process of its own, where its memory and time are measured. The workers
    of a cluster that somebody else started are counted; their memory is not on this machine.

    Raises:
        ValueError: what `delineate` would refuse: seeds outside, too little memory.
        OSError: the cluster does not answer.
    """
    task = Task(volume, model, card, rule or search_rule(card), within, intensity)
    task.resampling(allowed=resample)
    staff = Workers(workers, tuple(devices), timeout=cube_timeout)
    lattice, total = task.lattice, task.lattice.total
    given = None if seeds is None else as_seeds(seeds)
    first = [] if given is None else task.first_cubes(given)
    scaling = task.measure_intensity(given)
    numbers = np.unique(np.linspace(0, total - 1, min(total, SAMPLE)).round().astype(np.int64))
    sample = [
        (int(z), int(y), int(x))
        for z, y, x in zip(*np.unravel_index(numbers, lattice.counts), strict=True)
    ]
    bright = coarse_seeds(task.working, lattice, scaling, cubes=sample)
    device = staff.devices[0] if staff.devices else None
    cost = measure_cube(task.predictor(scaling), first[0] if first else task.middle, device)
    held, here = held_bytes(lattice), peak_memory()
    if memory is not None:
        staff = fitting(staff, cost, held, here, memory, cluster)
    away = cluster is not None and not local_workers(cluster)
    count = staff.count if cluster is None else local_workers(cluster) or cluster_threads(cluster)
    elsewhere = staff.elsewhere or cluster is not None
    return Plan(
        total=total,
        starting=len(first),
        sampled=len(sample),
        bright=len(bright),
        workers=count,
        seconds_per_cube=cost.seconds,
        peak_bytes=expected_peak(cost, 0 if away else count, held, here, elsewhere=elsewhere),
        worker_bytes=cost.peak_bytes if elsewhere else 0,
        cube=lattice.cube,
        margin=card.margin,
    )
