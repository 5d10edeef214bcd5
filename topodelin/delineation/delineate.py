"""Delineate a volume: search it cube by cube from the seeds, then trace what was found."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from topodelin import __version__
from topodelin.delineation.crews.workers import Workers
from topodelin.delineation.device import check_device, to_device
from topodelin.delineation.frontier import Frontier, RunInUse
from topodelin.delineation.memory import fitting, held_bytes, measure_cube, peak_memory
from topodelin.delineation.priorities import check_priority, ranking
from topodelin.delineation.progress import SearchProgress, Stream
from topodelin.delineation.result import Delineation
from topodelin.delineation.run_folder import RunFolder, check_same_run, write_whole
from topodelin.delineation.scan import scan_for_seeds
from topodelin.delineation.search import Budget, search
from topodelin.delineation.search_rule import SearchRule
from topodelin.delineation.seeds import BrightPlace, as_seeds, read_seeds
from topodelin.delineation.task import Bounds, Task, search_rule
from topodelin.delineation.tracing.pipeline import TraceSource, trace
from topodelin.delineation.tracing.stage_progress import StageProgress
from topodelin.delineation.tracing.trees import TreeRule
from topodelin.delineation.visit import CubeVisit, check_readable
from topodelin.models import ModelCard
from topodelin.volumes import Index, IntensityRange, OmeZarrWriter, Volume, create_ome_zarr


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
    devices: Sequence[str] = (),
    executor: Executor | None = None,
    cluster: str | None = None,
    cube_timeout: float | None = None,
    memory: int | None = None,
    within: Bounds | None = None,
    intensity: IntensityRange | None = None,
    priority: str = "distance",
    budget_cubes: int | None = None,
    budget_hours: float | None = None,
    resample: bool = False,
    retry_failed: bool = False,
    restart: bool = False,
    image_path: str | None = None,
    image_spacing: Sequence[float] | None = None,
    volume_name: str = "volume",
    model_name: str | None = None,
    progress: Stream | None = None,
) -> Delineation:
    """Trace the neurites that can be reached from the seeds, and store everything in a folder.

    Only cubes that a neurite leads to are read and predicted. The folder gets `run.json` (what the
    run was started with), `distance_map.ome.zarr` (visited cubes only), `trees/*.swc` in µm,
    `trees.csv`, `seeds.csv`, `state.sqlite` and `log.txt`. Called again with the same arguments
    after a kill at any moment, it goes on and ends with the same bytes in all but `log.txt` and
    `state.sqlite`, whoever did the work; other rules for trees are applied to what was already
    predicted.

    Args:
        volume: the image, one channel; it is resampled lazily to the spacing of the network.
        run_dir: folder of the run, created when absent.
        model: the network, on whichever device it is to run if `devices` are not given.
        card: spacing, cube, margin, `d_max`, threshold and percentiles of the network.
        seeds: (S, 3) µm `(z, y, x)`; None reads the whole volume once to find bright places.
        rule: of the search; `search_rule(card)` by default.
        trees: how the skeleton becomes trees.
        workers: processes that predict; 1 predicts in this one. The volume and the network are
            sent to each, once. Cubes in hand at a time when `executor` is given.
        devices: process k predicts on `devices[k % len(devices)]`, and there are at least as many
            processes; with a cluster, one name, which every worker understands.
        executor: used in place of processes of our own.
        cluster: address of a dask scheduler, its scheduler file, or "local:4" for one that is
            started and ended here. Its workers must reach the image and `run_dir` by their paths.
        cube_timeout: seconds after which a cube is taken from its worker, which is killed. An hour
            by default. A cube in this process cannot be taken away: if this is given, one worker
            becomes a process of its own.
        memory: bytes that all processes together may hold; fewer workers are used if need be.
        within: µm, `((z, y, x), (z, y, x))`: cubes that share nothing with this box are skipped.
        intensity: grey values of background and of bright neurites; by default percentiles of the
            image around the seeds, or all over it where no seeds are given.
        priority: which of the waiting cubes comes next: the nearest to a seed ("distance"), the
            surest ("confidence"), the first found ("arrival"). A finished run is the same for all.
        budget_cubes: stop searching once that many cubes are done, and trace what there is.
        budget_hours: the same after that time.
        resample: allow an image whose voxels are more than 2 times as large, or 8 times as small,
            as those of the network.
        retry_failed: try cubes again that failed in a former run.
        restart: discard what is in the folder.
        image_path, image_spacing: where the image came from, and the spacing it was opened with if
            it was given; stored for exports.
        volume_name, model_name: written into the headers of SWC files.
        progress: where to tell how far the search is, such as `sys.stderr`; the log is kept anyway.

    Raises:
        ValueError: seeds outside the volume, a network for another spacing, a folder of another
            run, no seed found, too little memory.
        OSError: the folder is in use, or cannot be written; the image is gone; workers cannot be
            started. What is done so far is safe.
    """
    task = Task(volume, model, card, rule or search_rule(card), within, intensity)
    resampling = task.resampling(allowed=resample)
    budget = Budget(budget_cubes, budget_hours)
    check_priority(priority)
    given = None if seeds is None else as_seeds(seeds)
    if given is not None:  # refused before anything is written
        task.first_cubes(given)
    for device in devices if cluster is None else ():
        check_device(device)
    folder = RunFolder(Path(run_dir))
    folder.check()
    settings = task.settings(given) | {
        "trees": asdict(trees or TreeRule()),
        "volume_name": volume_name,
        "model_name": model_name or card.name,
        "image": {
            "path": image_path,
            "spacing": None if image_spacing is None else [float(s) for s in image_spacing],
        },
        "priority": priority,
    }
    former = None if restart else folder.read_settings()
    if former is None:
        scaling = task.measure_intensity(given)
    else:
        check_same_run(folder, settings)
        scaling = IntensityRange(**former["intensity"])
    settings["intensity"] = {"low": scaling.low, "high": scaling.high}
    staff = Workers(workers, tuple(devices), executor, timeout=cube_timeout)
    if memory is not None:
        where = task.middle if given is None else task.first_cubes(given)[0]
        cost = measure_cube(task.predictor(scaling), where, next(iter(devices), None))
        staff = fitting(staff, cost, held_bytes(task.lattice), peak_memory(), memory, cluster)
    if devices and not staff.elsewhere and cluster is None:
        to_device(model, devices[0])
    folder.create()
    with Frontier(folder.state) as frontier, _hired(staff, cluster) as staff:
        if former is None:
            if not restart and folder.read_settings() is not None:
                raise RunInUse(f"{folder.path} was begun by another process just now; start again")
            folder.wipe()
            frontier.clear(scans=restart)
        teller = SearchProgress(progress, folder.log)
        if resampling:
            teller.say(resampling)
        used = _start(task, folder, settings, given, frontier, staff, scaling, teller)
        distance_map = create_ome_zarr(
            folder.distance_map.absolute(),
            shape=task.lattice.shape,
            spacing=task.working.spacing,
            dtype=np.float32,
            chunks=task.lattice.cube,
            fill_value=card.d_max,
            name="distance map",
        )
        frontier.order(ranking(priority, used, task.lattice, task.working.spacing))
        _resume(frontier, task, distance_map, task.first_cubes(used), retry_failed, teller)
        visit = CubeVisit(task.predictor(scaling), distance_map)
        with staff.crew(visit, volumes=[volume]) as crew:
            search(
                frontier,
                crew,
                task.lattice,
                within=task.within_voxels,
                budget=budget,
                check_image=lambda: check_readable(task.working),
                report=lambda *numbers: teller.cubes(*numbers, budget=budget_cubes),
            )
        if staff.elsewhere:
            distance_map.sweep()
        counts = frontier.counts
        teller.cubes(counts.done, task.lattice.total, counts.waiting, last=True)
        found = trace(
            TraceSource(
                distance_map=distance_map.volume,
                lattice=task.lattice,
                cubes=tuple(frontier.done(with_foreground=True)),
                threshold=task.rule.threshold,
                min_voxels=task.rule.min_voxels,
                d_max=card.d_max,
                seeds=used,
                seeds_given=given is not None,
                image=volume,
                failed=frontier.failed(),
            ),
            trees or TreeRule(),
            folder,
            header=_header(settings),
            workers=staff,
            progress=StageProgress(progress, folder.log),
        )
        return Delineation(
            run_dir=folder.path,
            cubes=_visited(frontier, task.lattice.counts),
            waiting=counts.waiting,
            failed=frontier.failed(),
            trees=found,
            seeds=used,
            distance_map=distance_map.volume,
            skipped=counts.skipped,
        )


@contextmanager
def _hired(staff: Workers, cluster: str | None) -> Iterator[Workers]:
    """The workers, with a cluster's if one is named."""
    if cluster is None:
        yield staff
        return
    from topodelin.delineation.crews.cluster import open_cluster

    with open_cluster(cluster) as client:
        yield replace(staff, client=client)


def _start(
    task: Task,
    folder: RunFolder,
    settings: dict[str, Any],
    given: np.ndarray | None,
    frontier: Frontier,
    staff: Workers,
    intensity: IntensityRange,
    teller: SearchProgress,
) -> np.ndarray:
    """The seeds: those of the run that is there, else found now and stored.

    `run.json` is written last: a folder without it holds no run yet.
    """
    if folder.read_settings() is None:
        seeds = given
        if seeds is None:
            look = BrightPlace(task.working, task.lattice, intensity)
            about = {name: settings[name] for name in ("volume", "grid", "within")}
            part = task.within_voxels
            seeds = scan_for_seeds(look, frontier, staff, about, part, teller.scan)
        if not len(seeds):
            raise ValueError(
                "the scan found nothing bright to start from; name places on neurites with --seeds"
            )
        task.first_cubes(seeds)
        lines = [",".join(f"{value:.4f}" for value in seed) for seed in seeds.tolist()]
        write_whole(folder.seeds, "\n".join(["z,y,x", *lines]) + "\n")
    write_whole(folder.settings, json.dumps(settings, indent=1) + "\n")
    return read_seeds(folder.seeds)


def _resume(
    frontier: Frontier,
    task: Task,
    distance_map: OmeZarrWriter,
    first: list[Index],
    retry_failed: bool,
    teller: SearchProgress,
) -> None:
    """Queue the first cubes, and those to be visited once more: lost chunks, failures if asked."""
    lost = [cube for cube in frontier.done() if not distance_map.has(task.lattice.core(cube))]
    failed = [cube for cube, _ in frontier.failed()]
    frontier.retry([*lost, *(failed if retry_failed else [])])
    if frontier.counts.done:
        teller.say(f"going on with {frontier.counts.done} cubes done before")
    if failed and not retry_failed:
        teller.say(f"{len(failed)} cubes failed before; --retry-failed tries them again")
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
