"""Peak memory of `delineate`, all processes together, on sparse brains that are larger and larger.

    python benchmarks/memory_delineate.py [--toy] [--voxels 1e9 1e10 1e11] [--workers 1 2]
        [--length-um 1000] [--cube 64] [--seed 0] [-o FILE]

Each brain (`sparse_brain.py`) holds two neurons of the same length, whatever its size, and is
delineated from its somata by a small U-Net, whose answer is then replaced by one that follows
light. The run is a process of its own; the sum over it and its workers of the physical memory that
each holds is looked up every 20 ms. Every line is JSON, with the answer beside the peak:

    announced_mb     what `--dry-run` says for the same run
    peak_mb          what was held at most
    completeness     share of the true neurons within 3 µm of the tracing
    cubes_visited    of `cubes_total`

The last line has, for each number of workers, the largest peak relative to the smallest, where 1
means that memory does not depend on the size of the volume, and whether every peak stays below
what was announced.

Expected: ratios below 1.1, peaks below what was announced, completeness above 0.95.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from follow_light import D_MAX, THRESHOLD
from process_tree import descendants, physical_memory
from provenance import provenance
from records import keep
from sparse_brain import draw

from topodelin.delineation import SearchRule, delineate, plan_delineation, read_seeds
from topodelin.graphs import centreline_quality, joined, read_swc
from topodelin.models import ModelCard, UNet
from topodelin.volumes import Spacing, Volume, open_volume

SPACING: Spacing = (1.0, 1.0, 1.0)
MARGIN = 8
APART_S = 0.02


class LightIsNear(UNet):
    """A U-Net whose work is done and whose answer is then replaced by `d_max * (1 - image)`."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 0 * super().forward(image) + D_MAX * (1 - image)


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Run every size, print and return the lines."""
    parser = argparse.ArgumentParser(description="Peak memory of delineate.")
    parser.add_argument("--toy", action="store_true", help="one small volume and a cube of 32")
    parser.add_argument("--voxels", type=float, nargs="+", default=[1e9, 1e10, 1e11])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--length-um", type=float, default=1000.0)
    parser.add_argument("--cube", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    for part in PARTS:
        parser.add_argument(f"--{part}", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, help="where to keep the record")
    options = parser.parse_args(arguments)
    for part, function in PARTS.items():
        if folder := getattr(options, part):
            line = function(folder, options.workers[0], options.cube, options.seed)
            print(json.dumps(line), flush=True)
            return [line]
    if options.toy:
        options.voxels, options.workers, options.length_um = [160.0**3], [1], 60.0
        options.cube = 32
    lines = []
    for voxels in options.voxels:
        with tempfile.TemporaryDirectory() as folder:
            side = round(voxels ** (1 / 3)) + 1
            shape = (side, side, side)
            draw(Path(folder), shape, SPACING, length_um=options.length_um, seed=options.seed)
            for workers in options.workers:
                line = watched(Path(folder), workers, options.cube, options.seed)
                lines.append({"voxels": side**3, "workers": workers} | line | provenance())
                print(json.dumps(lines[-1]), flush=True)
    summary = {
        "ratio_of_peaks": {
            str(workers): ratio([n["peak_mb"] for n in lines if n["workers"] == workers])
            for workers in options.workers
        },
        "below_announced": all(line["peak_mb"] <= line["announced_mb"] for line in lines),
        **provenance(),
    }
    print(json.dumps(summary), flush=True)
    return keep([*lines, summary], options.output)


def ratio(peaks: list[float]) -> float:
    """The largest relative to the smallest."""
    return round(max(peaks) / min(peaks), 3)


def watched(folder: Path, workers: int, cube: int, seed: int) -> dict[str, Any]:
    """Ask what a run will take, then run it and look up the memory of its processes."""
    answers: dict[str, Any] = {}
    for part in PARTS:
        call = [sys.executable, __file__, f"--{part}", str(folder), "--workers", str(workers)]
        call += ["--cube", str(cube), "--seed", str(seed)]
        with (folder / "said.txt").open("w+") as said:
            process = subprocess.Popen(call, stdout=said)
            peak = 0
            while process.poll() is None:
                processes = [process.pid, *descendants(process.pid)]
                peak = max(peak, sum(map(physical_memory, processes)))
                time.sleep(APART_S)
            said.seek(0)
            lines = said.read().splitlines()
        if process.returncode:
            raise RuntimeError(f"the run ended with {process.returncode}: {lines[-3:]}")
        answers |= json.loads(lines[-1])
    return answers | {"peak_mb": round(peak / 2**20, 1)}


def planned(folder: Path, workers: int, cube: int, seed: int) -> dict[str, Any]:
    """What a dry run says that the run will hold."""
    volume, model, card, seeds, rule = ingredients(folder, cube, seed)
    plan = plan_delineation(volume, model, card, seeds=seeds, rule=rule, workers=workers)
    return {"announced_mb": round(plan.peak_bytes / 2**20, 1)}


def delineated(folder: Path, workers: int, cube: int, seed: int) -> dict[str, Any]:
    """Run, in this process, and compare the trees with the truth."""
    volume, model, card, seeds, rule = ingredients(folder, cube, seed)
    run = folder / f"run_{workers}"
    result = delineate(
        volume, run, model, card, seeds=seeds, rule=rule, workers=workers, progress=None
    )
    traced = joined([read_swc(path) for path in sorted((run / "trees").glob("*.swc"))])
    quality = centreline_quality(read_swc(folder / "truth.swc"), traced, tolerance=3.0)
    return {
        "completeness": round(quality.completeness, 4),
        "correctness": round(quality.correctness, 4),
        "length_um": round(result.length_um, 1),
        "cubes_visited": result.visited,
        "cubes_total": result.total,
    }


PARTS = {"plan": planned, "one": delineated}  # each in a process of its own, in this order


def ingredients(
    folder: Path, cube: int, seed: int
) -> tuple[Volume, LightIsNear, ModelCard, np.ndarray, SearchRule]:
    """Image, network, its card, seeds and the rule of the search."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = LightIsNear(in_channels=1, out_channels=1, dims=3, base=4).eval()
    card = ModelCard(
        name="UNet",
        arguments=dict(model.arguments),
        spacing=SPACING,
        d_max=D_MAX,
        threshold=THRESHOLD,
        cube=(cube, cube, cube),
        margin=(MARGIN, MARGIN, MARGIN),
        percentiles=(0.0, 100.0),
    )
    volume = open_volume(folder / "brain.ome.zarr")
    return volume, model, card, read_seeds(folder / "seeds.csv"), SearchRule(threshold=THRESHOLD)


if __name__ == "__main__":
    main()
