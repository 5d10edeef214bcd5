"""Peak memory of `delineate` on volumes that are larger and larger than its limit.

    python benchmarks/memory_delineate.py [--toy] [--limit 1G] [--times 1 10] [--cube 64] [--seed 0]

Each volume is a sparse `.npy` file (its holes take no disk) with one straight neurite through it,
`times` as large as the limit, and is delineated in a fresh process with `memory` set to the limit
by a small U-Net, whose answer is then replaced by one that follows bright voxels. The last line
gives the largest peak relative to the smallest: 1 means that memory does not depend on the size of
the volume. Every line is JSON, with the answer (cubes visited, length) beside the peak.

Expected: a ratio below 1.1, and every peak below the limit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import provenance

from topodelin.delineation import SearchRule, TreeRule, delineate, parse_bytes
from topodelin.delineation.memory import peak_memory
from topodelin.models import ModelCard, UNet
from topodelin.volumes import open_volume

D_MAX = 6.0
MIDDLE = 8  # voxels from the border


class BrightIsNear(UNet):
    """A U-Net whose work is done and whose answer is then replaced by `d_max * (1 - image)`."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 0 * super().forward(image) + D_MAX * (1 - image)


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Run every size in a process of its own, print and return the lines."""
    parser = argparse.ArgumentParser(description="Peak memory of delineate.")
    parser.add_argument("--toy", action="store_true", help="two small volumes and a cube of 16")
    parser.add_argument("--limit", default="1G")
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--cube", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        line = measured(options.one, parse_bytes(options.limit), options.cube, options.seed)
        print(json.dumps(line), flush=True)
        return [line]
    if options.toy:
        options.times, options.cube = [0.0002, 0.002], 16
    lines = []
    for times in options.times:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "volume.npy"
            draw(path, times * parse_bytes(options.limit))
            call = [sys.executable, __file__, "--one", str(path), "--limit", options.limit]
            call += ["--cube", str(options.cube), "--seed", str(options.seed)]
            done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
            lines.append({"times_the_limit": times} | json.loads(done.stdout.splitlines()[-1]))
            print(json.dumps(lines[-1]), flush=True)
    peaks = [line["peak_mb"] for line in lines]
    summary = {
        "ratio_of_peaks": round(max(peaks) / min(peaks), 3),
        "below_the_limit": max(peaks) * 2**20 <= parse_bytes(options.limit),
        **provenance(),
    }
    print(json.dumps(summary), flush=True)
    return [*lines, summary]


def draw(path: Path, size: float) -> None:
    """A cubic volume of about `size` bytes, empty but for a neurite along x."""
    side = round(size ** (1 / 3))
    volume = np.lib.format.open_memmap(path, "w+", np.uint8, (side, side, side))
    volume[MIDDLE - 2 : MIDDLE + 3, MIDDLE - 2 : MIDDLE + 3, 2:-2] = 255
    volume.flush()


def measured(path: Path, limit: int, cube: int, seed: int) -> dict[str, Any]:
    """Delineate a volume in this process and tell what it took."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = BrightIsNear(in_channels=1, out_channels=1, dims=3, base=4).eval()
    card = ModelCard(
        name="UNet",
        arguments=dict(model.arguments),
        spacing=(1, 1, 1),
        d_max=D_MAX,
        threshold=3.0,
        cube=(cube, cube, cube),
        margin=(8, 8, 8),
        percentiles=(0.0, 100.0),
    )
    volume = open_volume(path, spacing=(1, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        result = delineate(
            volume,
            Path(folder) / "run",
            model,
            card,
            seeds=[(MIDDLE, MIDDLE, MIDDLE)],
            rule=SearchRule(threshold=3.0),
            trees=TreeRule(min_tree_um=5.0),
            memory=limit,
            progress=None,
        )
    return {
        "volume_gb": round(path.stat().st_size / 2**30, 3),
        "cubes_visited": result.visited,
        "cubes_total": result.total,
        "length_um": round(result.length_um, 1),
        "peak_mb": round(peak_memory() / 2**20, 1),
    }


if __name__ == "__main__":
    main()
