"""Trace a distance map that is there already: that of a run, or any other."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from topodelin import __version__
from topodelin.delineation.crews.workers import Workers
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.progress import Stream
from topodelin.delineation.run_folder import RunFolder, check_same_run, write_whole
from topodelin.delineation.seeds import as_seeds, read_seeds
from topodelin.delineation.tracing.map_scan import scan_map
from topodelin.delineation.tracing.pipeline import trace
from topodelin.delineation.tracing.spots import KINDS, read_spots
from topodelin.delineation.tracing.stage_progress import StageProgress
from topodelin.delineation.tracing.trace_source import TraceSource
from topodelin.delineation.tracing.tree_files import TreeFiles
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.volumes import Index, Volume, open_volume

CUBE: Index = (64, 64, 64)
THRESHOLD = 1.5  # finest voxel edges; that of the bundled network
MIN_VOXELS = 30


@dataclass(frozen=True, eq=False)
class Tracing:
    """What `trace_map` made.

    Args:
        folder: where it lies.
        trees: the neurons, longest first, read from their files when asked for.
        bridges: gaps that were bridged.
        spots: how many there are of each kind.
    """

    folder: Path
    trees: TreeFiles
    bridges: int
    spots: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        return {
            "folder": str(self.folder),
            "trees": len(self.trees),
            "length_um": round(self.trees.length_um, 3),
            "bridges": self.bridges,
            "spots": self.spots,
        }

    def __str__(self) -> str:
        lines = [
            f"{len(self.trees)} neurites, {self.trees.length_um:.1f} µm, in "
            f"{self.folder / 'trees'}; {self.bridges} gaps bridged"
        ]
        if self.spots:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.spots.items())
            lines.append(f"look first at {self.folder / 'spots.csv'}: {kinds}")
        return "\n".join(lines)


def trace_map(
    source: str | Path,
    folder: str | Path | None = None,
    *,
    spacing: Sequence[float] | None = None,
    image: str | Path | None = None,
    image_spacing: Sequence[float] | None = None,
    seeds: Sequence[Sequence[float]] | np.ndarray | None = None,
    threshold: float | None = None,
    min_voxels: int | None = None,
    rule: TreeRule | None = None,
    workers: int = 1,
    restart: bool = False,
    progress: Stream | None = None,
) -> Tracing:
    """Trace a finished distance map, or the one in the folder of a run, without a network.

    The folder gets `trees/*.swc` in µm, `trees.csv`, `bridges.csv`, `spots.csv`, `run.json`,
    `seeds.csv` where there are seeds, `tracing/` (the skeleton of each cube) and `log.txt`. Called
    again after a kill it goes on, and with other rules it makes no skeleton twice.

    Args:
        source: a distance map in any format that is read, or the folder of a run.
        folder: where the tracing goes; None traces a run in its own folder again.
        spacing: µm per voxel `(z, y, x)` of the map, if its file does not say.
        image: for radii and bright ends; that of the run by default.
        image_spacing: µm per voxel of the image, if its file does not say.
        seeds: (S, 3) µm, where trees are rooted; those of the run by default.
        threshold: distance below which a voxel belongs to a neurite, finest voxel edges; that of
            the run, or `THRESHOLD`.
        min_voxels: size of the smallest component that counts; that of the run, or `MIN_VOXELS`.
        rule: how the skeleton becomes trees.
        workers: processes that thin cubes.
        restart: discard what is in the folder.
        progress: where to tell how far it is, such as `sys.stderr`; the log is kept anyway.

    Raises:
        ValueError: the source is no distance map, the folder holds something else.
        OSError: the folder is in use, or cannot be written.
    """
    rule = rule or TreeRule()
    origin = _origin(Path(source), spacing)
    target = RunFolder(Path(source if folder is None else folder))
    in_place = origin.settings is not None and target.path.resolve() == Path(source).resolve()
    if folder is None and not in_place:
        raise ValueError(f"{source} is not the folder of a run; say where the trees go with -o")
    if in_place and not (threshold is None and min_voxels is None and not restart):
        raise ValueError(
            f"{source} is traced again in its own folder; give another folder with -o to trace it "
            "with --threshold, --min-voxels or --restart"
        )
    pictured = _image(origin.settings, image, image_spacing)
    opened = None
    if pictured is not None:
        opened = _one_channel(open_volume(pictured["path"], spacing=pictured["spacing"]))
    places = origin.seeds if seeds is None else as_seeds(seeds)
    target.create()
    with ExitStack() as held:
        frontier = held.enter_context(Frontier(target.state))  # nobody else writes there meanwhile
        if restart:
            target.wipe()
            frontier.clear()
        teller = StageProgress(progress, target.log)
        searched = origin.searched
        if searched is not None and not in_place:
            frontier = held.enter_context(Frontier(searched.state))
        found = TraceSource(
            distance_map=origin.volume,
            lattice=origin.lattice,
            cubes=tuple(frontier.done(with_foreground=True)) if searched else (),
            threshold=float(threshold or origin.search.get("threshold", THRESHOLD)),
            min_voxels=int(min_voxels or origin.search.get("min_voxels", MIN_VOXELS)),
            d_max=float(origin.search.get("d_max", np.inf)),
            seeds=places,
            seeds_given=seeds is not None or origin.seeds_given,
            image=opened,
            failed=frontier.failed() if searched else (),
        )
        if searched is None:
            name = str(origin.map_path)
            told = partial(teller, "looking for neurites")
            scan = scan_map(found.distance_map, found.lattice, found.threshold, name, told)
            found = replace(found, cubes=scan.cubes, d_max=scan.d_max)
        settings = dict(origin.settings or {}) if in_place else _settings(origin, found)
        settings |= {"trees": asdict(rule)} | ({} if pictured is None else {"image": pictured})
        if not in_place and target.read_settings() is not None:
            check_same_run(target, settings)
        write_whole(target.settings, json.dumps(settings, indent=1) + "\n")
        if len(places) and (seeds is not None or not in_place):
            lines = [",".join(f"{value:.4f}" for value in seed) for seed in places.tolist()]
            write_whole(target.seeds, "\n".join(["z,y,x", *lines]) + "\n")
        header = [f"traced by topodelin {__version__}", f"distance map {origin.map_path.name}"]
        trees = trace(found, rule, target, header=header, workers=Workers(workers), progress=teller)
    kinds = [spot.kind for spot in read_spots(target.spots)]
    counts = {kind: kinds.count(kind) for kind in KINDS if kind in kinds}
    bridges = len(target.bridges.read_text(encoding="utf-8").splitlines()) - 1
    return Tracing(target.path, trees, bridges, counts)


@dataclass(frozen=True, eq=False)
class _Origin:
    """Where a distance map comes from.

    Args:
        map_path: where it lies.
        volume: the map.
        given_spacing: what was said of its spacing.
        settings: `run.json` of the folder that was given; None for a map alone.
        searched: that folder, if a search made it and its frontier knows the cubes.
        seeds: (S, 3) µm, of the folder.
    """

    map_path: Path
    volume: Volume
    given_spacing: Sequence[float] | None
    settings: dict[str, Any] | None
    searched: RunFolder | None
    seeds: np.ndarray

    @property
    def search(self) -> dict[str, Any]:
        return (self.settings or {}).get("search", {}) if self.searched else {}

    @property
    def lattice(self) -> Lattice:
        z, y, x = self.settings["grid"]["cube"] if self.settings and self.searched else CUBE
        return Lattice(self.volume.shape, (z, y, x))

    @property
    def seeds_given(self) -> bool:
        """Whether a person set the seeds of the folder."""
        return not isinstance((self.settings or {}).get("seeds"), str)


def _origin(source: Path, spacing: Sequence[float] | None) -> _Origin:
    run = RunFolder(source)
    settings = run.read_settings() if source.is_dir() else None
    if settings is None:
        volume = _one_channel(open_volume(source, spacing=spacing))
        return _Origin(source, volume, spacing, None, None, np.zeros((0, 3)))
    elsewhere = settings.get("distance_map")
    path = Path(elsewhere["path"]) if elsewhere else run.distance_map
    given = spacing or (elsewhere or {}).get("spacing")
    seeds = read_seeds(run.seeds) if run.seeds.exists() else np.zeros((0, 3))
    volume = _one_channel(open_volume(path, spacing=given))
    return _Origin(path, volume, given, settings, None if elsewhere else run, seeds)


def _settings(origin: _Origin, found: TraceSource) -> dict[str, Any]:
    """What `run.json` says of a tracing in a folder of its own."""
    volume, spacing = origin.volume, origin.given_spacing
    grid = {"spacing": list(volume.spacing), "shape": list(volume.shape)}
    return {
        "topodelin": __version__,
        "distance_map": {
            "path": str(origin.map_path.resolve()),
            "spacing": None if spacing is None else [float(step) for step in spacing],
        },
        "search": {
            "threshold": found.threshold,
            "min_voxels": found.min_voxels,
            "d_max": found.d_max,
        },
        "intensity": (origin.settings or {}).get("intensity"),
        "image": {"path": None, "spacing": None},
        "volume": grid,
        "grid": grid | {"cube": list(found.lattice.cube)},
    }


def _image(
    former: dict[str, Any] | None, image: str | Path | None, spacing: Sequence[float] | None
) -> dict[str, Any] | None:
    """Path and spacing of the image: the one named, else that of the run if it is still there."""
    if image is not None:
        where = str(image) if "://" in str(image) else str(Path(image).resolve())
        return {"path": where, "spacing": None if spacing is None else list(map(float, spacing))}
    known = (former or {}).get("image") or {}
    path = known.get("path")
    return dict(known) if path and ("://" in path or Path(path).exists()) else None


def _one_channel(volume: Volume) -> Volume:
    if len(volume.data.shape) == 4 and volume.data.shape[0] != 1:
        raise ValueError(
            f"a distance map or image must have one channel, got {volume.data.shape[0]}; save the "
            "one that is meant as a volume of its own"
        )
    return volume
