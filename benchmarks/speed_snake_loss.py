"""Time and memory of the snake loss, forward and backward, against a dense twin.

    python benchmarks/speed_snake_loss.py [--toy] [--nodes 100 500 2000] [--side 96] [--seed 0]

The twin does what the definition says with dense arrays: it inverts the matrix of every implicit
step, filters the whole volume with full kernels and compares every voxel with every edge (in
chunks, without which it would need many gigabytes); autograd gives its gradient. Both run in one
process on one thread, on random trees of edges two voxels long with a noisy prediction. Printed as
JSON: the shortest processor time of several rounds in milliseconds, by how much the peak memory of
the process has grown so far (expected: below 300 MB), and a comparison with the twin, which runs
once: times and answers, which must agree. Where the twin would take minutes, both are compared on a
smaller volume with as many nodes.

The twin knows the published form only (`SnakeLoss.paper`); the default form is timed beside it.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from provenance import provenance
from torch import Tensor
from torch.nn import functional

from topodelin.delineation.memory import peak_memory
from topodelin.losses.rendering import render_distance_map
from topodelin.losses.snake import SnakeLoss
from topodelin.losses.voxel_graph import VoxelGraph

BRANCH = 50  # nodes
STEP = 2.0  # voxels between two of them
MARGIN = 4.0  # voxels
PAIRS = 5e8  # of a voxel and a node; the twin needs minutes beyond, and gets a smaller volume
CHUNK = 2**18  # pairs of a voxel and an edge that the twin compares at once
MEGABYTE = 2**20


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="Time and memory of the snake loss.")
    parser.add_argument("--toy", action="store_true", help="two tiny graphs, one round")
    parser.add_argument("--nodes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.toy:
        options.nodes, options.side, options.rounds = [8, 20], 16, 1

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for loss in (SnakeLoss(), SnakeLoss.paper()):
        value_and_gradient(loss, *sample(8, 16, options.seed))  # compiles
    rows, before = [], peak_memory()
    for nodes in options.nodes:
        case = sample(nodes, options.side, options.seed)
        paper, default = (
            shortest(partial(value_and_gradient, loss, *case), options.rounds)
            for loss in (SnakeLoss.paper(), SnakeLoss())
        )
        growth = (peak_memory() - before) / MEGABYTE
        rows.append(
            {
                "nodes": nodes,
                "milliseconds": {"paper": paper, "default": default},
                "peak_growth_mb": growth,
            }
        )
    # The twin comes last: the peak of a process never falls again.
    for row in rows:
        row["against_dense"] = against_dense(row["nodes"], options)
    torch.set_num_threads(threads)
    result = {
        "benchmark": "speed_snake_loss",
        "side": options.side,
        "sizes": rows,
        "rounds": options.rounds,
        "seed": options.seed,
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def against_dense(nodes: int, options: argparse.Namespace) -> dict[str, Any]:
    """Time and answer of the loss and of its twin on one volume, as large as the twin can bear."""
    side = min(options.side, int((PAIRS / nodes) ** (1 / 3)))
    case = sample(nodes, side, options.seed)
    start = time.process_time()
    dense_value, dense_gradient = value_and_gradient(dense_loss, *case)
    dense = 1e3 * (time.process_time() - start)
    paper = shortest(partial(value_and_gradient, SnakeLoss.paper(), *case), options.rounds)
    value, gradient = value_and_gradient(SnakeLoss.paper(), *case)
    difference = (gradient - dense_gradient).abs().max() / gradient.abs().max()
    return {
        "side": side,
        "milliseconds": {"paper": paper, "dense": dense},
        "times_faster": dense / paper,
        "answer": {
            "loss": value,
            "dense_loss": dense_value,
            "gradient_norm": gradient.norm().item(),
            "largest_difference_of_gradients": difference.item(),
        },
    }


def sample(nodes: int, side: int, seed: int) -> tuple[Tensor, VoxelGraph]:
    """A noisy map of random branches, and these branches with jittered nodes."""
    rng = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    edges: list[tuple[int, int]] = []
    while len(places) < nodes:
        at, heading = rng.uniform(MARGIN, side - 1 - MARGIN, 3), rng.normal(size=3)
        for index in range(min(BRANCH, nodes - len(places))):
            if index:
                edges.append((len(places) - 1, len(places)))
            places.append(at)
            heading = heading / np.linalg.norm(heading) + rng.normal(0, 0.2, 3)
            leaving = at + STEP * heading
            outside = (leaving < MARGIN) | (leaving > side - 1 - MARGIN)
            heading = np.where(outside, -heading, heading)
            at = at + STEP * heading / np.linalg.norm(heading)
    truth, pairs = np.array(places), np.array(edges)
    target = render_distance_map(
        torch.from_numpy(truth).float(), torch.from_numpy(pairs), (side,) * 3, 15.0
    )
    prediction = target + torch.from_numpy(rng.normal(0, 0.3, target.shape)).float()
    return prediction[None, None], VoxelGraph(truth + rng.normal(0, 0.5, truth.shape), pairs)


def value_and_gradient(
    loss: Callable[[Tensor, list[VoxelGraph]], Tensor], prediction: Tensor, annotation: VoxelGraph
) -> tuple[float, Tensor]:
    asked = prediction.clone().requires_grad_()
    value = loss(asked, [annotation])
    value.backward()
    assert asked.grad is not None
    return value.item(), asked.grad


def dense_loss(
    prediction: Tensor,
    graphs: list[VoxelGraph],
    *,
    steps: int = 10,
    step_size: float = 0.1,
    alpha: float = 1e-4,
    beta: float = 0.01,
    external_factor: float = 2.0,
    d_max: float = 15.0,
) -> Tensor:
    """The definition, written down for one volume: sigma 0.5, no frozen coordinates."""
    graph, image = graphs[0], prediction[0, 0]
    positions, edges = torch.from_numpy(graph.positions.copy()).float(), graph.edges
    inverse = torch.linalg.inv(
        torch.eye(len(graph), dtype=torch.float64)
        + step_size * dense_forces(edges, len(graph), alpha, beta)
    ).float()
    smooth, derivative = (
        torch.exp(torch.tensor([-2.0, 0, -2])),
        torch.tensor([-1.0, 0, 1]),
    )
    axes = [(derivative if a == b else smooth) for a in range(3) for b in range(3)]
    kernels = torch.stack(
        [torch.einsum("i,j,k->ijk", *axes[3 * axis : 3 * axis + 3]) for axis in range(3)]
    )
    kernels = kernels / kernels.abs().sum((1, 2, 3), keepdim=True)
    padded = functional.pad(image[None, None], (1,) * 6, mode="replicate")
    slopes = external_factor * functional.conv3d(padded, kernels[:, None])
    last = torch.tensor(image.shape) - 1
    for _ in range(steps):
        grid = (2 * positions / last - 1).flip(-1)[None, None, None]
        force = functional.grid_sample(slopes, grid, align_corners=True)[0, :, 0, 0].T
        positions = inverse @ (positions - step_size * force)
    return (
        (image - dense_map(positions, torch.from_numpy(edges.copy()), d_max, image)).square().mean()
    )


def dense_forces(edges: np.ndarray, nodes: int, alpha: float, beta: float) -> Tensor:
    """The matrix of the internal forces, filled node by node."""
    neighbours: list[list[int]] = [[] for _ in range(nodes)]
    for u, v in edges.tolist():
        neighbours[u].append(v)
        neighbours[v].append(u)
    matrix = torch.zeros(nodes, nodes, dtype=torch.float64)
    for v, others in enumerate(neighbours):
        matrix[v, v] += alpha * len(others)
        for u in others:
            matrix[v, u] -= alpha
        if len(others) == 2:
            bend = {v: -2, others[0]: 1, others[1]: 1}
            for a in bend:
                for b in bend:
                    matrix[a, b] += beta * bend[a] * bend[b]
    return matrix


def dense_map(positions: Tensor, edges: Tensor, d_max: float, image: Tensor) -> Tensor:
    """The distance of every voxel to every edge; the gradient goes through the nearest."""
    axes = [torch.arange(size, dtype=positions.dtype) for size in image.shape]
    voxels = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    with torch.no_grad():
        nearest = torch.cat(
            [
                squared_distance(part[:, None], positions[edges[:, 0]], positions[edges[:, 1]])
                .min(1)
                .indices
                for part in voxels.split(max(1, CHUNK // len(edges)))
            ]
        )
    starts, ends = positions[edges[nearest, 0]], positions[edges[nearest, 1]]
    return squared_distance(voxels, starts, ends).sqrt().clamp(max=d_max).reshape(image.shape)


def squared_distance(voxels: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    along = ends - starts
    fraction = ((voxels - starts) * along).sum(-1) / along.square().sum(-1)
    closest = starts + fraction.clamp(0, 1)[..., None] * along
    return (voxels - closest).square().sum(-1)


def shortest(call: Callable[[], object], rounds: int) -> float:
    """Milliseconds of processor time of the fastest of several calls."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


if __name__ == "__main__":
    main()
