"""What the search itself costs on a million cubes: time, database, memory, time to go on.

    python benchmarks/scale_simulation.py [--toy] [--cubes 1000000] [--work-ms 1] [--workers 2]
        [--priority distance] [--seed 0] [-o FILE]

Neurons grow through a lattice of cubes; every cube that one passes is visited, and each leads to
one more in which nothing is found. The frontier, its database and the crew are the real ones. What
is made up is the work on a cube: no image is read, no network runs and no chunk is written; a
worker sleeps for `--work-ms` instead. `--work-ms 0` is done in one process, `--workers 0`.

Lines of JSON at 1, 3, 10, 30 ... thousand cubes and at the end:

    overhead_ms    for each cube since the last line: wall time less the time that workers slept
    cpu_ms         for each cube since the last line: processor time of the coordinator
    database_mb    of the state on disk, its journal included
    memory_mb      that the coordinator holds
    waiting        cubes found and not yet visited

and a last one of the whole, with what it takes to go on after a kill at that point:

    open_s         to open the database as a kill would have left it
    list_s         to list all cubes that are done
    chunk_us       to look for the chunk of one cube on disk, which is done for every cube
    none_lost      whether every cube that a neurite passes was visited, and is listed
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from follow_light import D_MAX
from process_tree import physical_memory
from provenance import provenance
from records import keep

from topodelin.annotation.growth import Habit, Nodes, grow_tree
from topodelin.delineation.crews.crew import Crew, InProcess
from topodelin.delineation.crews.processes import Processes
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.lattice import DIRECTIONS, Lattice
from topodelin.delineation.priorities import ranking
from topodelin.delineation.search import Budget, search
from topodelin.delineation.visit import Visit
from topodelin.volumes import Index, create_ome_zarr

COUNTS = (500, 1000, 1000)  # cubes of the lattice along z, y, x
STEP = 0.5  # cubes
MARKS = [k * 10**n for n in range(3, 9) for k in (1, 3)]
CHUNKS_LOOKED_FOR = 1000


@dataclass(frozen=True, eq=False)
class FakeVisit:
    """Says at once, or after a sleep, where the neurites of a lattice lead from a cube.

    Args:
        counts: cubes of the lattice.
        through: ascending numbers (in raster order) of the cubes that a neurite passes.
        seconds: of sleep.
    """

    counts: Index
    through: np.ndarray
    seconds: float = 0.0

    def __call__(self, cube: Index) -> Visit:
        if self.seconds:
            time.sleep(self.seconds)
        here = int(np.ravel_multi_index(cube, self.counts))
        around = np.add(cube, DIRECTIONS)
        inside = ((around >= 0) & (around < self.counts)).all(axis=1)
        numbers = np.asarray(np.ravel_multi_index(tuple(around[inside].T), self.counts))
        known = self._passed(numbers)
        if not self._passed(np.array([here]))[0]:
            return Visit(cube, 0, {})
        empty = np.flatnonzero(~known)
        known[empty[here % len(empty)] if len(empty) else 0] = True
        ways = np.array(DIRECTIONS)[inside][known].tolist()
        return Visit(cube, 500, {(z, y, x): 1.0 for z, y, x in ways})

    def _passed(self, numbers: np.ndarray) -> np.ndarray:
        place = np.searchsorted(self.through, numbers).clip(0, len(self.through) - 1)
        return self.through[place] == numbers


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Run, print and return the lines."""
    parser = argparse.ArgumentParser(description="The search itself on a million cubes.")
    parser.add_argument("--toy", action="store_true", help="1500 cubes in this process")
    parser.add_argument("--cubes", type=int, default=1_000_000)
    parser.add_argument("--work-ms", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2, help="0: this process, no sleep")
    parser.add_argument("--priority", default="distance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="where to keep the record")
    options = parser.parse_args(arguments)
    if options.toy:
        options.cubes, options.workers = 1500, 0
    work = options.work_ms / 1000 if options.workers else 0.0
    visit, somata = grown(options.seed, options.cubes, work)
    with tempfile.TemporaryDirectory() as name:
        crew: Crew = Processes(visit, options.workers) if options.workers else InProcess(visit)
        about = {"workers": options.workers, "work_ms": 1000 * work, "seed": options.seed}
        lines = []
        for line in simulated(Path(name), visit, somata, crew, options.priority):
            lines.append(line | about | provenance())
            print(json.dumps(lines[-1]), flush=True)
    return keep(lines, options.output)


def grown(seed: int, cubes: int, seconds: float) -> tuple[FakeVisit, np.ndarray]:
    """Neurons through about half as many cubes as will be visited, and their somata in cubes."""
    rng = np.random.default_rng(seed)
    extent = np.array(COUNTS, dtype=float)
    habit = Habit(
        radius=1.0,
        thinnest=1.0,
        branch_every=max(cubes / 1000, 20.0),
        bend=np.sqrt(STEP / 200.0),
        wiggle=0.2,
        depth_share=0.8,
        leave=-1.0,
        step=STEP,
    )
    through, somata = np.zeros(0, np.int64), []
    while len(through) < 0.52 * cubes:
        soma, nodes = rng.uniform(0.25 * extent, 0.75 * extent), Nodes()
        if grow_tree(rng, nodes, extent, habit, soma, rng.normal(size=3), cubes / 20):
            places = np.floor(np.concatenate(nodes.positions)).astype(np.int64)
            numbers = np.ravel_multi_index(tuple(places.T), COUNTS)
            through = np.union1d(through, numbers)
            somata.append(soma)
    return FakeVisit(COUNTS, through, seconds), np.array(somata)


def simulated(
    folder: Path, visit: FakeVisit, somata: np.ndarray, crew: Crew, priority: str
) -> Iterator[dict[str, Any]]:
    """Search the lattice; a line at every mark and one at the end."""
    z, y, x = (64 * count for count in COUNTS)
    lattice = Lattice((z, y, x), (64, 64, 64))
    path = folder / "state.sqlite"
    with Frontier(path) as frontier, crew:
        frontier.order(ranking(priority, somata * 64, lattice, (1.0, 1.0, 1.0)))
        frontier.add([(int(z), int(y), int(x)) for z, y, x in somata])
        search(frontier, crew, lattice, budget=Budget(cubes=1))  # workers are started now
        begin = last = Reading.now(1)
        for mark in [*(mark for mark in MARKS if mark < len(visit.through)), None]:
            search(frontier, crew, lattice, budget=Budget(cubes=mark))
            now, counts = Reading.now(frontier.counts.done), frontier.counts
            yield now.since(last, visit, crew.count) | held(path) | {"waiting": counts.waiting}
            last = now
        for part in folder.glob("state.sqlite*"):  # as a kill at this moment would leave them
            shutil.copy(part, folder / part.name.replace("state", "killed"))
    start = time.perf_counter()
    with Frontier(folder / "killed.sqlite") as frontier:
        opened = time.perf_counter()
        listed = sum(1 for _ in frontier.done())
        done = time.perf_counter()
    whole = last.since(begin, visit, crew.count)
    yield whole | {
        "cubes_per_s": round(1000 / whole["wall_ms"], 1),
        "open_s": round(opened - start, 3),
        "list_s": round(done - opened, 3),
        "chunk_us": round(1e6 * seconds_for_a_chunk(folder), 1),
        "none_lost": listed == last.visited >= len(visit.through),
    }


@dataclass(frozen=True)
class Reading:
    """Of the clocks, when so many cubes were done."""

    visited: int
    wall: float
    cpu: float

    @classmethod
    def now(cls, visited: int) -> "Reading":
        return cls(visited, time.perf_counter(), time.process_time())

    def since(self, former: "Reading", visit: FakeVisit, hands: int) -> dict[str, Any]:
        """Milliseconds for each cube since a former reading."""
        cubes = max(1, self.visited - former.visited)
        wall = 1000 * (self.wall - former.wall) / cubes
        return {
            "visited": self.visited,
            "wall_ms": round(wall, 4),
            "overhead_ms": round(wall - 1000 * visit.seconds / hands, 4),
            "cpu_ms": round(1000 * (self.cpu - former.cpu) / cubes, 4),
        }


def held(state: Path) -> dict[str, Any]:
    """On disk by the state, in memory by this process."""
    on_disk = sum(part.stat().st_size for part in state.parent.glob(state.name + "*"))
    return {
        "database_mb": round(on_disk / 2**20, 2),
        "memory_mb": round(physical_memory(os.getpid()) / 2**20, 1),
    }


def seconds_for_a_chunk(folder: Path) -> float:
    """To find out that a chunk of a distance map is there."""
    side = round(CHUNKS_LOOKED_FOR ** (1 / 3))
    writer = create_ome_zarr(
        folder / "distance_map.ome.zarr",
        shape=(8 * side, 8 * side, 8 * side),
        spacing=(1, 1, 1),
        dtype=np.float32,
        chunks=(8, 8, 8),
        fill_value=D_MAX,
    )
    lattice = Lattice(writer.image.shape, (8, 8, 8))
    for cube in lattice:
        writer.write(lattice.core(cube), np.zeros((8, 8, 8), np.float32))
    start = time.perf_counter()
    found = sum(writer.has(lattice.core(cube)) for cube in lattice)
    return (time.perf_counter() - start) / found


if __name__ == "__main__":
    main()
