"""Delineate a volume: search it cube by cube from the seeds, then trace what was found."""

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from topodelin import __version__
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.memory import fitting_workers, held_bytes, measure_cube, peak_memory
from topodelin.delineation.progress import SearchProgress, Stream
from topodelin.delineation.run_folder import RunFolder, check_same_run, write_whole
from topodelin.delineation.search import search
from topodelin.delineation.search_rule import SearchRule
from topodelin.delineation.seeds import as_seeds, coarse_seeds, cubes_at, read_seeds
from topodelin.delineation.task import Task, search_rule
from topodelin.delineation.tracing import trace, write_trees
from topodelin.delineation.trees import Tree, TreeRule
from topodelin.delineation.workers import Workers
from topodelin.models import ModelCard
from topodelin.volumes import Index, IntensityRange, OmeZarrWriter, Volume, create_ome_zarr


@dataclass(frozen=True, eq=False)
class Delineation:
    """What a run has found so far.

    Args:
        run_dir: the folder that holds it.
        cubes: (z, y, x) bool, one entry per cube of the lattice: whether it was predicted.
        waiting: cubes found and not visited, because of `max_cubes`.
        failed: `(cube, what went wrong)` of cubes that could not be predicted.
        trees: the neurites, longest first, µm.
        seeds: (S, 3) µm, where the search started.
        distance_map: finest voxel edges of its own grid; `d_max` where nothing was computed.
    """

    run_dir: Path
    cubes: np.ndarray
    waiting: int
    failed: tuple[tuple[Index, str], ...]
    trees: tuple[Tree, ...]
    seeds: np.ndarray
    distance_map: Volume

    @property
    def visited(self) -> int:
        """Cubes predicted."""
        return int(np.count_nonzero(self.cubes))

    @property
    def total(self) -> int:
        """Cubes in the volume."""
        return int(self.cubes.size)

    @property
    def length_um(self) -> float:
        """Of all neurites together, µm."""
        return float(sum(tree.graph.length for tree in self.trees))

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        return {
            "run_dir": str(self.run_dir),
            "cubes_visited": self.visited,
            "cubes_total": self.total,
            "cubes_waiting": self.waiting,
            "cubes_failed": [{"cube": list(cube), "error": why} for cube, why in self.failed],
            "trees": len(self.trees),
            "length_um": round(self.length_um, 3),
        }

    def __str__(self) -> str:
        share = 100 * self.visited / self.total
        lines = [
            f"{len(self.trees)} neurites, {self.length_um:.1f} µm, in {self.run_dir / 'trees'}",
            f"{self.visited} of {self.total} cubes visited ({share:.0f} %); their distance map is "
            f"{self.run_dir / 'distance_map.ome.zarr'}",
        ]
        if self.waiting:
            lines.append(f"{self.waiting} cubes wait; the same command without a limit goes on")
        if self.failed:
            lines.append(f"{len(self.failed)} cubes failed; the same command tries them again:")
            lines += [f"  cube {cube}: {why}" for cube, why in self.failed]
        return "\n".join(lines)


def delineate(
    volume: Volume,
    run_dir: str | Path,
    model: nn.Module,
    card: ModelCard,
    *,
    seeds: Sequence[Sequence[float]] | np.ndarray | None = None,
    rule: SearchRule | None = None,
    trees: TreeRule | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    memory: int | None = None,
    max_cubes: int | None = None,
    restart: bool = False,
    volume_name: str = "volume",
    model_name: str | None = None,
    progress: Stream | None = None,
) -> Delineation:
    """Trace the neurites that can be reached from the seeds, and store everything in a folder.

    Only cubes that a neurite leads to are read and predicted. The folder gets `run.json` (what the
    run was started with), `distance_map.ome.zarr` (visited cubes only), `trees/*.swc` in µm,
    `trees.csv`, `seeds.csv`, `state.sqlite` and `log.txt`. Called again with the same arguments
    after a kill at any moment, it goes on and ends with the same bytes in all but `log.txt` and
    `state.sqlite`; other rules for trees are applied to what was already predicted.

    Args:
        volume: the image, one channel; it is resampled lazily to the spacing of the network.
        run_dir: folder of the run, created when absent.
        model: the network, on whichever device it is to run.
        card: spacing, cube, margin, `d_max`, threshold and percentiles of the network.
        seeds: (S, 3) µm `(z, y, x)`; None reads the whole volume once to find bright places.
        rule: of the search; `search_rule(card)` by default.
        trees: how the skeleton becomes trees.
        workers: processes that predict; 1 predicts in this one. The volume and the network are
            sent to each. Cubes in hand at a time when `executor` is given.
        executor: used in place of processes of our own.
        memory: bytes that all processes together may hold; fewer workers are used if need be.
        max_cubes: stop searching once that many cubes are done, and trace what there is.
        restart: discard what is in the folder.
        volume_name, model_name: written into the headers of SWC files.
        progress: where to tell how far the search is, such as `sys.stderr`; the log is kept anyway.

    Raises:
        ValueError: seeds outside the volume, a folder of another run, no seed found, too little
            memory.
        OSError: the folder is in use, or cannot be written.
    """
    task = Task(volume, model, card, rule or search_rule(card))
    given = None if seeds is None else as_seeds(seeds)
    if given is not None:  # refused before anything is written
        cubes_at(given, volume, task.lattice, task.working.spacing, task.rule.reach_um)
    folder = RunFolder(Path(run_dir))
    folder.create()
    with Frontier(folder.state) as frontier:
        settings = task.settings(given) | {
            "trees": asdict(trees or TreeRule()),
            "volume_name": volume_name,
            "model_name": model_name or card.name,
        }
        if restart or folder.read_settings() is None:
            folder.wipe()
            frontier.clear()
        else:
            check_same_run(folder, settings)
        teller = SearchProgress(progress, folder.log)
        intensity, used = _start(task, folder, settings, given, teller)
        distance_map = create_ome_zarr(
            folder.distance_map,
            shape=task.lattice.shape,
            spacing=task.working.spacing,
            dtype=np.float32,
            chunks=task.lattice.cube,
            fill_value=card.d_max,
            name="distance map",
        )
        first = cubes_at(used, volume, task.lattice, task.working.spacing, task.rule.reach_um)
        _resume(frontier, task, distance_map, first, teller)
        predictor = task.predictor(intensity)
        if memory is not None:
            cost = measure_cube(predictor, first[0])
            held = held_bytes(task.lattice, workers)
            workers = fitting_workers(cost, workers, held, peak_memory(), memory)
        with Workers(predictor, workers, executor) as crew:
            search(
                frontier,
                crew,
                task.lattice,
                distance_map,
                max_cubes=max_cubes,
                report=teller.cubes,
            )
        counts = frontier.counts
        teller.cubes(counts.done, task.lattice.total, counts.waiting, last=True)
        found = trace(
            distance_map.volume,
            frontier.done(with_foreground=True),
            task.lattice,
            task.rule,
            trees or TreeRule(),
            used,
            d_max=card.d_max,
        )
        write_trees(folder, found, _header(settings))
        return Delineation(
            run_dir=folder.path,
            cubes=_visited(frontier, task.lattice.counts),
            waiting=counts.waiting,
            failed=frontier.failed(),
            trees=tuple(found),
            seeds=used,
            distance_map=distance_map.volume,
        )


def _start(
    task: Task,
    folder: RunFolder,
    settings: dict[str, Any],
    given: np.ndarray | None,
    teller: SearchProgress,
) -> tuple[IntensityRange, np.ndarray]:
    """Intensity range and seeds: those of the run that is there, else found now and stored.

    `run.json` is written last: a folder without it holds no run yet.
    """
    former = folder.read_settings()
    if former is None:
        intensity = task.measure_intensity()
        seeds = given
        if seeds is None:
            seeds = coarse_seeds(task.working, task.lattice, intensity, progress=teller.scan)
        if not len(seeds):
            raise ValueError(
                "the scan found nothing bright to start from; name places on neurites with --seeds"
            )
        lines = [",".join(f"{value:.4f}" for value in seed) for seed in seeds.tolist()]
        write_whole(folder.seeds, "\n".join(["z,y,x", *lines]) + "\n")
    else:
        intensity = IntensityRange(**former["intensity"])
    settings = settings | {"intensity": {"low": intensity.low, "high": intensity.high}}
    write_whole(folder.settings, json.dumps(settings, indent=1) + "\n")
    return intensity, read_seeds(folder.seeds)


def _resume(
    frontier: Frontier,
    task: Task,
    distance_map: OmeZarrWriter,
    first: list[Index],
    teller: SearchProgress,
) -> None:
    """Queue the first cubes, and those that failed or whose chunk got lost, for another try."""
    lost = [cube for cube in frontier.done() if not distance_map.has(task.lattice.core(cube))]
    frontier.retry([*lost, *(cube for cube, _ in frontier.failed())])
    if frontier.counts.done:
        teller.say(f"going on with {frontier.counts.done} cubes done before")
    frontier.add(first)


def _visited(frontier: Frontier, counts: Index) -> np.ndarray:
    visited = np.zeros(counts, dtype=bool)
    for cube in frontier.done():
        visited[cube] = True
    return visited


def _header(settings: dict[str, Any]) -> list[str]:
    spacing = ", ".join(f"{value:g}" for value in settings["volume"]["spacing"])
    return [
        f"traced by topodelin {__version__}",
        f"volume {settings['volume_name']}, spacing ({spacing}) um (z, y, x)",
        f"model {settings['model_name']}",
    ]
