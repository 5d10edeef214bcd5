"""Cubes that the search visits, against cubes that hold truth.

    python benchmarks/cubes_visited.py [--toy] [--model FILE] [--volumes 3] [--extent-um 200]

Random neurites are rendered into microscopy and delineated, seeded at one end of each component of
the truth. Without `--model` an ideal network is used, which answers the true distance map, so that
the line measures the search rule alone: the cubes visited beyond those that hold truth are the
neighbours it looks into where a neurite comes near a border. Each volume is one line of JSON:

    cubes_total       in the volume
    cubes_with_truth  through which a centreline passes
    cubes_visited     read and predicted
    truth_visited     share of the cubes with truth that were visited

Expected of the ideal network: `truth_visited` 1, and far fewer cubes visited than there are.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import provenance
from torch import nn

from topodelin.annotation import (
    Microscope,
    graph_distance_map,
    random_neurites,
    render_microscopy,
)
from topodelin.delineation import Delineation, delineate
from topodelin.graphs import NeuriteGraph, resample
from topodelin.models import ModelCard, load_distance_model
from topodelin.volumes import Volume

D_MAX = 8.0


class Ideal(nn.Module):
    """Answers the distance map that its image was drawn from."""

    divisor = (1, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(D_MAX))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scale * (1 - image)


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Run, print and return the lines."""
    parser = argparse.ArgumentParser(description="Cubes visited against cubes that hold truth.")
    parser.add_argument("--toy", action="store_true", help="one volume of 48 µm")
    parser.add_argument("--model", help="model file or bundled name; default: an ideal network")
    parser.add_argument("--volumes", type=int, default=3)
    parser.add_argument("--extent-um", type=float, default=200.0)
    parser.add_argument("--cube", type=int, default=32, help="voxels, of the ideal network")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.toy:
        options.volumes, options.extent_um, options.cube = 1, 48.0, 16
    children = np.random.SeedSequence(options.seed).spawn(options.volumes)
    lines = [one_volume(np.random.default_rng(child), options) for child in children]
    for line in lines:
        print(json.dumps(line), flush=True)
    return lines


def one_volume(rng: np.random.Generator, options: argparse.Namespace) -> dict[str, Any]:
    """Draw one volume, delineate it and count."""
    model, card = network(options)
    shape = tuple(max(1, round(options.extent_um / step)) for step in card.spacing)
    extent = [(n - 1) * step for n, step in zip(shape, card.spacing, strict=True)]
    truth = random_neurites(rng, extent, trees=(2, 2), neighbours=0.0)
    if options.model:
        image = render_microscopy(truth, shape, card.spacing, rng, Microscope())
    else:
        distances = graph_distance_map(truth, shape, card.spacing, D_MAX)
        image = np.round(255 * (1 - distances / D_MAX)).astype(np.uint8)
    _, ends = np.unique(truth.components, return_index=True)
    with tempfile.TemporaryDirectory() as folder:
        result = delineate(
            Volume(image, card.spacing),
            Path(folder) / "run",
            model,
            card,
            seeds=np.clip(truth.positions[ends], 0, extent),
            progress=None,
        )
        return counted(result, truth, card, options)


def network(options: argparse.Namespace) -> tuple[nn.Module, ModelCard]:
    """The network to use, and its card."""
    if options.model:
        return load_distance_model(options.model)
    side = (options.cube, options.cube, options.cube)
    return Ideal(), ModelCard(
        name="Ideal",
        arguments={},
        spacing=(1.0, 1.0, 1.0),
        d_max=D_MAX,
        threshold=2.5,
        cube=side,
        margin=(0, 0, 0),
        percentiles=(0.0, 100.0),
    )


def counted(
    result: Delineation, truth: NeuriteGraph, card: ModelCard, options: argparse.Namespace
) -> dict[str, Any]:
    """The line of JSON; a cube is visited when its chunk is stored."""
    dense = resample(truth, min(card.spacing) / 4)
    voxels = np.rint(dense.positions / card.spacing).astype(int)
    voxels = np.clip(voxels, 0, np.subtract(result.distance_map.shape, 1))
    holding = np.unique(voxels // card.cube, axis=0)
    stored = result.run_dir / "distance_map.ome.zarr" / "0"
    visited = [(stored / "/".join(map(str, cube))).is_file() for cube in holding.tolist()]
    return {
        "network": options.model or "ideal",
        "cubes_total": result.total,
        "cubes_with_truth": len(holding),
        "cubes_visited": result.visited,
        "visited_per_truth": round(result.visited / len(holding), 2),
        "truth_visited": round(float(np.mean(visited)), 4),
        "truth_um": round(truth.length, 1),
        "traced_um": round(result.length_um, 1),
        "trees": len(result.trees),
        "seed": options.seed,
        **provenance(),
    }


if __name__ == "__main__":
    main()
