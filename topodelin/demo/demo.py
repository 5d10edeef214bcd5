"""The main job, end to end: a real stack goes in; a tracing, its score and a report come out."""

import json
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TextIO

import numpy as np

from topodelin import __version__
from topodelin.delineation import Delineation, default_model, delineate
from topodelin.demo.packaged import STACK, TRAINING, TRUTH
from topodelin.graphs import (
    CentrelineQuality,
    NeuriteGraph,
    centreline_quality,
    joined,
    read_swc,
    write_swc,
)
from topodelin.models import ModelCard, load_distance_model
from topodelin.report import Coverage, write_report
from topodelin.volumes import Index, open_volume

CUBE_UM = (32.0, 16.0, 16.0)  # smaller than networks ask for, so that a small stack has many


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo made and found.

    Args:
        out_dir: the folder that holds everything.
        report: the page to open.
        quality: the tracing compared with the truth.
        trees: neurites traced.
        coverage: which cubes were computed.
        next_commands: `(what it does, command)` to try next.
    """

    out_dir: Path
    report: Path
    quality: CentrelineQuality
    trees: int
    coverage: Coverage
    next_commands: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        steps = [f"  {command}\n      {what}" for what, command in self.next_commands]
        return "\n".join(
            [
                self.quality.table(),
                f"trees         {self.trees}",
                f"cubes         {self.coverage.computed} of {self.coverage.cubes} computed",
                "",
                f"Open {self.report} in a browser. Then try:",
                *steps,
            ]
        )


def run_demo(
    out_dir: str | Path = "topodelin-demo",
    *,
    model: str | None = None,
    tolerance: float = 3.0,
    cube_um: tuple[float, float, float] = CUBE_UM,
    restart: bool = False,
    progress: TextIO | None = sys.stderr,
) -> DemoResult:
    """Delineate the packaged stack, judge the tracing and write a report.

    The folder gets the stack and its truth (`dendrite.ome.tif`, `truth.swc`), the run of
    `delineate` (`run/`, with `trees/` and `distance_map.ome.zarr`), all trees in one file
    (`traced.swc`), `metrics.json`, `report.html`, and `train.yaml` to start a training from. Called
    again it goes on where it was stopped, and is quick when nothing is left to do.

    Args:
        out_dir: made if needed; files of the names above are replaced.
        model: name of a bundled network or path of a model file; the bundled one by default.
        tolerance: how far from the truth a tracing is right, µm.
        cube_um: what is predicted at a time `(z, y, x)`, µm; at least that much.
        restart: discard the run that the folder holds.
        progress: where to tell how far it is; None for silence.
    """
    name = model or default_model()
    network, card = load_distance_model(name)
    card = replace(card, cube=_cube(card, cube_um))
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    stack, truth_file = folder / STACK.name, folder / "truth.swc"
    for source, copy in ((STACK, stack), (TRUTH, truth_file), (TRAINING, folder / TRAINING.name)):
        shutil.copyfile(source, copy)
    volume, truth = open_volume(stack), read_swc(truth_file)
    run = delineate(
        volume,
        folder / "run",
        network,
        card,
        restart=restart,
        volume_name=stack.name,
        model_name=Path(name).stem,
        progress=progress,
    )
    tracing = _write_tracing(folder / "traced.swc", run)
    quality = centreline_quality(truth, tracing, tolerance=tolerance)
    coverage = _coverage(run, card)
    metrics = {
        "stack": stack.name,
        "model": name,
        **quality.as_dict(),
        "trees": len(run.trees),
        "cubes_computed": coverage.computed,
        "cubes": coverage.cubes,
        "never_computed": coverage.never_computed,
        "topodelin": __version__,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    steps = _next_commands(folder)
    report = write_report(
        folder / "report.html",
        volume,
        tracing,
        title=f"{stack.name}: two-photon dendrites",
        truth=truth,
        quality=quality,
        coverage=coverage,
        made_with=_made_with(name, card),
        next_commands=steps,
    )
    return DemoResult(folder, report, quality, len(run.trees), coverage, steps)


def _cube(card: ModelCard, cube_um: tuple[float, float, float], divisor: int = 8) -> Index:
    """Voxels of a cube on the grid of the network, multiples of what networks divide by."""
    z, y, x = (
        divisor * ceil(um / step / divisor) for um, step in zip(cube_um, card.spacing, strict=True)
    )
    return z, y, x


def _write_tracing(path: Path, run: Delineation) -> NeuriteGraph:
    """All trees as one graph, written as one SWC file."""
    graphs = [tree.graph for tree in run.trees]
    tracing = joined(graphs)
    first = np.cumsum([0, *(len(graph) for graph in graphs)])
    roots = [int(tree.root + n) for tree, n in zip(run.trees, first, strict=False)]
    write_swc(path, tracing, header=[f"traced by topodelin {__version__}"], roots=roots)
    return tracing


def _coverage(run: Delineation, card: ModelCard) -> Coverage:
    """The cubes that the run predicted, and their size."""
    z, y, x = (n * step for n, step in zip(card.cube, run.distance_map.spacing, strict=True))
    return Coverage(run.cubes, (z, y, x))


def _made_with(name: str, card: ModelCard) -> dict[str, str]:
    """What a reader needs to know of the network and the search."""

    def triple(values: tuple[float, ...]) -> str:
        return " x ".join(f"{value:g}" for value in values)

    return {
        "network": f"{Path(name).stem} ({card.name}, weights: {card.licence})",
        "learnt from": _learnt_from(card),
        "grid of the network": f"{triple(card.spacing)} µm (z, y, x)",
        "cube and margin": f"{triple(card.cube)} and {triple(card.margin)} voxels of that grid",
        "threshold": f"{card.threshold:g} finest voxel edges of at most {card.d_max:g}",
        "image": "crop of a stack by cudmore, mapmanager/PyMapManager-Data, MIT licence",
    }


def _learnt_from(card: ModelCard) -> str:
    """What the card says of the training data."""
    data = card.provenance.get("data", "unstated")
    return "; ".join(map(str, data)) if isinstance(data, list) else str(data)


def _next_commands(folder: Path) -> tuple[tuple[str, str], ...]:
    def path(name: str) -> str:
        return shlex.quote(str(folder / name))

    return (
        (
            "compare any two tracings",
            f"topodelin score {path('truth.swc')} {path('traced.swc')}",
        ),
        (
            "trace a stack: put your own in its place",
            f"topodelin delineate {path(STACK.name)} -o topodelin-run",
        ),
        (
            "train a network: put your own stacks into the file first",
            f"topodelin train {path(TRAINING.name)} -o topodelin-training",
        ),
    )
