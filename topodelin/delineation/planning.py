"""What a run will take, before it is started: cubes, memory and time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import nn

from topodelin.delineation.memory import (
    expected_peak,
    fitting_workers,
    format_bytes,
    held_bytes,
    measure_cube,
    peak_memory,
)
from topodelin.delineation.progress import format_seconds
from topodelin.delineation.search_rule import SearchRule
from topodelin.delineation.seeds import as_seeds, coarse_seeds, cubes_at
from topodelin.delineation.task import Task, search_rule
from topodelin.models import ModelCard
from topodelin.volumes import Volume

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
        peak_bytes: memory of all processes together.
    """

    total: int
    starting: int
    sampled: int
    bright: int
    workers: int
    seconds_per_cube: float
    peak_bytes: int

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
            f"memory: {format_bytes(self.peak_bytes)} at most, with {self.workers} "
            f"worker{'s' if self.workers > 1 else ''}\n"
            f"time:   {format_seconds(self.seconds)} at {self.seconds_per_cube:.2g} s a cube"
        )


def plan_delineation(
    volume: Volume,
    model: nn.Module,
    card: ModelCard,
    *,
    seeds: Sequence[Sequence[float]] | np.ndarray | None = None,
    rule: SearchRule | None = None,
    workers: int = 1,
    memory: int | None = None,
) -> Plan:
    """Work out what `delineate` with the same arguments would take. Nothing is written.

    Up to `SAMPLE` cubes spread evenly over the volume are searched for something bright, and one
    cube is predicted in a process of its own, where its memory and time are measured.

    Raises:
        ValueError: what `delineate` would refuse: seeds outside, too little memory.
    """
    task = Task(volume, model, card, rule or search_rule(card))
    lattice, total = task.lattice, task.lattice.total
    first = []
    if seeds is not None:
        given = as_seeds(seeds)
        first = cubes_at(given, volume, lattice, task.working.spacing, task.rule.reach_um)
    intensity = task.measure_intensity()
    numbers = np.unique(np.linspace(0, total - 1, min(total, SAMPLE)).round().astype(np.int64))
    sample = [
        (int(z), int(y), int(x))
        for z, y, x in zip(*np.unravel_index(numbers, lattice.counts), strict=True)
    ]
    bright = coarse_seeds(task.working, lattice, intensity, cubes=sample)
    middle = sample[len(sample) // 2]
    cost = measure_cube(task.predictor(intensity), first[0] if first else middle)
    held, here = held_bytes(lattice, workers), peak_memory()
    if memory is not None:
        workers = fitting_workers(cost, workers, held, here, memory)
    return Plan(
        total=total,
        starting=len(first),
        sampled=len(sample),
        bright=len(bright),
        workers=workers,
        seconds_per_cube=cost.seconds,
        peak_bytes=expected_peak(cost, workers, held, here),
    )
