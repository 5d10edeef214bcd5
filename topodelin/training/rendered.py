"""Synthetic volumes with exact truth, made once per run and kept as `.npz` files.

Each volume depends on its seed and its place in the set alone, so that the files may be deleted,
made in any order or by any number of processes.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.annotation import Microscope, random_neurites, render_microscopy
from topodelin.graphs import NeuriteGraph
from topodelin.training.config_data import Rendered


@dataclass(frozen=True)
class RenderedVolume:
    """An image (uint8), µm per voxel and the graph it was rendered from."""

    image: np.ndarray
    spacing: tuple[float, float, float]
    graph: NeuriteGraph


def render_volume(settings: Rendered, seed: Sequence[int]) -> RenderedVolume:
    """One volume of a set, which has its spacing: neurites, a microscope, an image."""
    if settings.spacing is None:
        raise ValueError("`spacing` of a rendered set must be given here, got None")
    rng = np.random.default_rng(list(seed))
    extent = [(n - 1) * s for n, s in zip(settings.shape, settings.spacing, strict=True)]
    graph = random_neurites(rng, extent, trees=settings.trees)
    image = render_microscopy(
        graph, settings.shape, settings.spacing, rng, _microscope(settings.microscope, rng)
    )
    return RenderedVolume(image, settings.spacing, graph)


def render_sets(
    sets: Sequence[Rendered], folder: Path, *, seed: int, workers: int
) -> Iterator[RenderedVolume]:
    """All volumes of all sets in order, made where `folder` does not hold them yet.

    Args:
        sets: with their spacing.
        folder: keeps one file per volume, named after everything that determines it.
        seed: of sets without their own; each of them differs by its place in the list.
        workers: processes that render; with 0 or 1 it happens in this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (settings, (*([seed, place] if settings.seed is None else [settings.seed]), index))
        for place, settings in enumerate(sets)
        for index in range(settings.count)
    ]
    files = [folder / f"{_fingerprint(*job)}.npz" for job in jobs]
    todo = [(*job, file) for job, file in zip(jobs, files, strict=True) if not file.exists()]
    if workers > 1 and len(todo) > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(_make, *zip(*todo, strict=True)))
    else:
        for job in todo:
            _make(*job)
    return map(_load, files)


def _make(settings: Rendered, seed: Sequence[int], file: Path) -> None:
    made = render_volume(settings, seed)
    part = file.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        arrays: dict[str, Any] = {
            "image": made.image,
            "spacing": np.array(made.spacing),
            "positions": made.graph.positions,
            "edges": made.graph.edges,
            "radii": made.graph.radii,
        }
        np.savez_compressed(stream, **arrays)
    part.replace(file)


def _load(file: Path) -> RenderedVolume:
    with np.load(file, allow_pickle=False) as held:
        graph = NeuriteGraph(held["positions"], held["edges"], held["radii"])
        z, y, x = held["spacing"].tolist()
        return RenderedVolume(held["image"], (z, y, x), graph)


def _fingerprint(settings: Rendered, seed: Sequence[int]) -> str:
    said = repr((settings.model_dump(exclude={"count", "seed"}), seed))
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _microscope(name: str, rng: np.random.Generator) -> Microscope:
    if name == "random":
        return Microscope.random(rng)
    return Microscope.two_photon() if name == "two_photon" else Microscope.confocal()
