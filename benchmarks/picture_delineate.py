"""Picture of a delineated brain: the cubes that were visited, and the tracing on the neurites.

    python benchmarks/picture_delineate.py BRAIN RUN [-o docs/delineate.png]

BRAIN is an OME-Zarr, RUN the folder of a run on it. On the left the whole volume seen along z, each
visited cube a square, each neurite a line; in the middle the brightest voxel along z around the
longest neurite; on the right the same with the tracing on it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from topodelin.delineation import read_seeds
from topodelin.graphs import NeuriteGraph, read_swc
from topodelin.volumes import Box, Volume, open_volume

COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#0072b2", "#e69f00")
MARGIN_UM = 15.0  # around the longest neurite in the two pictures on the right


def main(arguments: list[str] | None = None) -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description="Picture of a delineated brain.")
    parser.add_argument("brain", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/delineate.png"))
    options = parser.parse_args(arguments)
    volume = open_volume(options.brain)
    stored = open_volume(options.run / "distance_map.ome.zarr")
    trees = [read_swc(path) for path in sorted((options.run / "trees").glob("*.swc"))]
    seeds = read_seeds(options.run / "seeds.csv")
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    whole, image, traced = figure.subplots(1, 3)
    draw_whole(whole, volume, visited_boxes(options.run, stored), trees, seeds)
    box = around(trees[0], volume)
    draw_trees(traced, trees[:1], 1.0)
    for axes in (image, traced):
        show(axes, volume, box)
    image.set_title("image, brightest along z", fontsize=9)
    traced.set_title("tracing on it", fontsize=9)
    figure.savefig(options.output, dpi=110)


def visited_boxes(run: Path, stored: Volume) -> list[tuple[float, float, float, float]]:
    """Near corner and size (x, y) of every stored cube, µm."""
    cube = stored_cube(run)
    folder = run / "distance_map.ome.zarr" / "0"
    places = {tuple(map(int, path.parts[-2:])) for path in folder.glob("*/*/*")}
    _, dy, dx = stored.spacing
    height, width = cube[1] * dy, cube[2] * dx
    return [(x * width, y * height, width, height) for y, x in sorted(places)]


def stored_cube(run: Path) -> tuple[int, int, int]:
    """Voxels of a cube."""
    z, y, x = json.loads((run / "run.json").read_text(encoding="utf-8"))["grid"]["cube"]
    return z, y, x


def draw_whole(
    axes: Axes,
    volume: Volume,
    boxes: list[tuple[float, float, float, float]],
    trees: list[NeuriteGraph],
    seeds: np.ndarray,
) -> None:
    for x, y, width, height in boxes:
        axes.add_patch(Rectangle((x, y), width, height, fc="#dddddd", ec="white", lw=0.3))
    draw_trees(axes, trees, 0.8)
    axes.plot(seeds[:, 2], seeds[:, 1], "k.", markersize=4)
    _, height, width = np.multiply(volume.shape, volume.spacing)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.set_title("whole volume, µm: cubes visited, neurites, seeds", fontsize=9)
    axes.tick_params(labelsize=7)


def draw_trees(axes: Axes, trees: list[NeuriteGraph], width: float) -> None:
    for number, tree in enumerate(trees):
        lines = tree.positions[tree.edges][:, :, [2, 1]]
        colour = COLOURS[number % len(COLOURS)]
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=width))


def around(tree: NeuriteGraph, volume: Volume) -> Box:
    """The box that holds a tree, with `MARGIN_UM` to each side."""
    low = np.floor((tree.positions.min(axis=0) - MARGIN_UM) / volume.spacing).astype(int)
    high = np.ceil((tree.positions.max(axis=0) + MARGIN_UM) / volume.spacing).astype(int)
    (a, b, c), (d, e, f) = low.tolist(), high.tolist()
    return Box((a, b, c), (d, e, f)).clip(volume.shape)


def show(axes: Axes, volume: Volume, box: Box) -> None:
    """The brightest voxel along z."""
    _, dy, dx = volume.spacing
    top, left = box.begin[1] * dy, box.begin[2] * dx
    extent = (left - dx / 2, box.end[2] * dx - dx / 2, box.end[1] * dy - dy / 2, top - dy / 2)
    axes.imshow(volume.read(box).max(axis=0), cmap="gray", extent=extent)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.tick_params(labelsize=7)


if __name__ == "__main__":
    main()
