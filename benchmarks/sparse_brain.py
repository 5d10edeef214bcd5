"""A made-up brain of any size: an OME-Zarr in which only the chunks near a neurite are stored.

    python benchmarks/sparse_brain.py FOLDER [--shape 1600,2560,2560] [--spacing 1,0.5,0.5]
        [--neurons 2] [--length-um 1500] [--seed 0] [--noise 0]

Writes `brain.ome.zarr`, `truth.swc` (µm), `seeds.csv` (z,y,x in µm, one soma each) and prints one
line of JSON. Neurons grow as in `topodelin.annotation.random_neurites`, from somata in the middle
half of the volume, and end 10 µm before its faces. The image is uint8, a function of the distance
$d$ to the nearest centreline in finest voxel edges,

$$I = 200 e^{-d^2 / 2 w^2}$$

with $w = 1.5$, plus Gaussian noise near neurites, as a microscope gives whose background was cut
off; every chunk is drawn by itself, from the seed and its own place. The default has 10^10 voxels,
10 GB, of which a few MB are stored.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from topodelin.annotation import graph_distance_map
from topodelin.annotation.growth import Habit, Nodes, grow_tree
from topodelin.graphs import NeuriteGraph, write_swc
from topodelin.volumes import Box, Index, Spacing, create_ome_zarr

D_MAX = 6.0  # finest voxel edges from a centreline, where light ends
WIDTH = 1.5  # of the light, standard deviation, finest voxel edges
BRIGHTNESS = 200
CHUNK = (64, 64, 64)
KEPT_FREE_UM = 10.0
STEP_UM = 0.5


@dataclass(frozen=True, eq=False)
class SparseBrain:
    """What was drawn.

    Args:
        path: the OME-Zarr.
        truth: the centrelines, µm.
        somata: (N, 3) µm, one for each neuron; the neurons' first nodes.
        chunks: that are stored.
        voxels: of the volume.
    """

    path: Path
    truth: NeuriteGraph
    somata: np.ndarray
    chunks: int
    voxels: int


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Draw, print and return what was drawn."""
    parser = argparse.ArgumentParser(description="A made-up, sparse brain of any size.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", default="1600,2560,2560", help="voxels z,y,x")
    parser.add_argument("--spacing", default="1,0.5,0.5", help="µm per voxel z,y,x")
    parser.add_argument("--neurons", type=int, default=2)
    parser.add_argument("--length-um", type=float, default=1500.0, help="of each neuron")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation, grey levels")
    options = parser.parse_args(arguments)
    z, y, x = (int(size) for size in options.shape.split(","))
    dz, dy, dx = (float(size) for size in options.spacing.split(","))
    brain = draw(
        options.folder,
        (z, y, x),
        (dz, dy, dx),
        neurons=options.neurons,
        length_um=options.length_um,
        seed=options.seed,
        noise=options.noise,
    )
    line = {
        "brain": str(brain.path),
        "voxels": brain.voxels,
        "chunks_stored": brain.chunks,
        "neurons": len(brain.somata),
        "length_um": round(brain.truth.length, 1),
        "seed": options.seed,
    }
    print(json.dumps(line))
    return line


def draw(
    folder: Path,
    shape: Index,
    spacing: Spacing,
    *,
    neurons: int = 2,
    length_um: float = 1500.0,
    seed: int = 0,
    noise: float = 0.0,
    chunk: Index = CHUNK,
) -> SparseBrain:
    """Write `brain.ome.zarr`, `truth.swc` and `seeds.csv` into a folder, created when absent."""
    folder.mkdir(parents=True, exist_ok=True)
    extent = np.subtract(shape, 1) * np.array(spacing)
    truth, somata = grow(np.random.default_rng(seed), extent, neurons, length_um)
    writer = create_ome_zarr(
        folder / "brain.ome.zarr", shape=shape, spacing=spacing, dtype=np.uint8, chunks=chunk
    )
    count = 0
    for begin, near in chunks_with_light(truth, shape, spacing, chunk):
        z, y, x = np.add(begin, chunk).tolist()
        box = Box(begin, (z, y, x)).clip(shape)
        distances = graph_distance_map(near, box.shape, spacing, D_MAX, origin=box.begin)
        writer.write(box, light(distances, noise, np.random.default_rng([seed, *begin])))
        count += 1
    write_swc(folder / "truth.swc", truth)
    lines = [",".join(f"{value:.2f}" for value in soma) for soma in somata.tolist()]
    (folder / "seeds.csv").write_text("\n".join(["z,y,x", *lines]) + "\n", encoding="utf-8")
    z, y, x = shape
    return SparseBrain(folder / "brain.ome.zarr", truth, somata, count, z * y * x)


def grow(
    rng: np.random.Generator, extent: np.ndarray, neurons: int, length_um: float
) -> tuple[NeuriteGraph, np.ndarray]:
    """Neurons inside a box (µm), all radii 1 µm and less, and the place of each soma."""
    grown, somata = Nodes(), []
    habit = Habit(
        radius=1.0,
        thinnest=0.4,
        branch_every=max(length_um / 15, 20.0),
        bend=np.sqrt(STEP_UM / 400.0),
        wiggle=0.3,
        depth_share=0.8,
        leave=-KEPT_FREE_UM,
        step=STEP_UM,
    )
    while len(somata) < neurons:
        soma = rng.uniform(0.25 * extent, 0.75 * extent)
        if grow_tree(rng, grown, extent, habit, soma, rng.normal(size=3), length_um):
            somata.append(soma)
    return grown.graph(), np.array(somata)


def chunks_with_light(
    graph: NeuriteGraph, shape: Index, spacing: Spacing, chunk: Index
) -> Iterator[tuple[Index, NeuriteGraph]]:
    """First voxel of each chunk that light reaches, in (z, y, x) order, and the edges near it."""
    reach = np.ceil(D_MAX * min(spacing) / np.array(spacing)) + 2
    middles = graph.positions[graph.edges].mean(axis=1) / spacing
    found = [
        np.floor((middles + np.multiply(side, reach)) / chunk).astype(np.int64)
        for side in product((-1, 0, 1), repeat=3)
    ]
    places = np.concatenate(found)
    edges = np.tile(np.arange(len(middles)), len(found))
    inside = ((places >= 0) & (places * chunk < shape)).all(axis=1)
    places, edges = places[inside], edges[inside]
    chunks, which = np.unique(places, axis=0, return_inverse=True)
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(len(chunks) + 1))
    for number, (z, y, x) in enumerate((chunks * chunk).tolist()):
        mine = np.unique(edges[order[starts[number] : starts[number + 1]]])
        yield (z, y, x), part(graph, mine)


def part(graph: NeuriteGraph, edges: np.ndarray) -> NeuriteGraph:
    """Some edges of a graph and the nodes they join."""
    nodes, ends = np.unique(graph.edges[edges], return_inverse=True)
    return NeuriteGraph(graph.positions[nodes], ends.reshape(-1, 2))


def light(distances: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """uint8 image of a distance map (finest voxel edges); 0 from `D_MAX` on."""
    image = BRIGHTNESS * np.exp(-0.5 * (distances / WIDTH) ** 2)
    if noise:
        image = image + rng.normal(scale=noise, size=image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
