"""Time of an exact distance map of a graph: culling in blocks against every voxel times edge.

    python benchmarks/speed_rendering.py [--toy] [--nodes 100 500 2000] [--side 96] [--seed 0]

Random curves with nodes two voxels apart are rendered in a cube by the compiled kernel, by the
torch path, and by a dense twin that compares every voxel with every edge, in pieces that fit in
the cache; all in the same process on one thread. Printed as JSON: the shortest processor time of
several rounds in milliseconds, and the largest differences of maps and gradients from the twin's,
which are rounding of single precision.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from provenance import provenance
from torch import Tensor

from topodelin.losses.rendering import render_distance_map

D_MAX = 15.0
NODE_STEP = 2.0  # voxels between the nodes of a curve
CURVE_NODES = 50
DENSE_AT_ONCE = 2**18


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="Time of an exact distance map of a graph.")
    parser.add_argument("--toy", action="store_true", help="a small cube, few nodes, one round")
    parser.add_argument("--nodes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.toy:
        options.nodes, options.side, options.rounds = [10, 30], 20, 1

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cases = [
        measure(nodes, options.side, options.rounds, options.seed + index)
        for index, nodes in enumerate(options.nodes)
    ]
    torch.set_num_threads(threads)
    result = {
        "benchmark": "speed_rendering",
        "cases": cases,
        "answer": {
            key: max(case["answer"][key] for case in cases)
            for key in ("largest_difference", "largest_gradient_difference")
        },
        "side": options.side,
        "d_max": D_MAX,
        "rounds": options.rounds,
        "seed": options.seed,
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def measure(nodes: int, side: int, rounds: int, seed: int) -> dict[str, Any]:
    """Times and answers for one graph; gradients are of the mean of the map."""
    positions, edges = random_curves(nodes, side, seed)
    shape = (side,) * 3
    milliseconds, maps, gradients = {}, {}, {}
    for backend in ("numba", "torch"):
        moved = positions.clone().requires_grad_()
        rendered = render_distance_map(moved, edges, shape, D_MAX, backend=backend)  # compiles
        rendered.mean().backward()
        assert moved.grad is not None
        maps[backend], gradients[backend] = rendered.detach(), moved.grad.clone()

        def forward(backend: str = backend) -> None:
            render_distance_map(positions, edges, shape, D_MAX, backend=backend)

        def both(backend: str = backend, moved: Tensor = moved) -> None:
            render_distance_map(moved, edges, shape, D_MAX, backend=backend).mean().backward()

        milliseconds[backend] = shortest(forward, rounds)
        milliseconds[f"{backend}_with_gradient"] = shortest(both, rounds)
    dense: list[tuple[Tensor, Tensor]] = []
    milliseconds["dense"] = shortest(lambda: dense.append(dense_map(positions, edges, shape)), 1)
    twin, nearest = dense[0]
    pull = dense_gradient(positions, edges, twin, nearest)
    return {
        "nodes": len(positions),
        "edges": len(edges),
        "milliseconds": milliseconds,
        "times_faster": milliseconds["dense"] / milliseconds["numba"],
        "answer": {
            "map_mean": float(maps["numba"].mean()),
            "dense_map_mean": float(twin.mean()),
            "largest_difference": max(float((m - twin).abs().max()) for m in maps.values()),
            "largest_gradient_difference": max(
                float((g - pull).abs().max() / pull.abs().max()) for g in gradients.values()
            ),
        },
    }


def random_curves(nodes: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """So many nodes (2 or more) on smooth curves in a cube, thrown back at its faces."""
    rng = np.random.default_rng(seed)
    points, edges = np.empty((nodes, 3)), []
    for curve in np.array_split(np.arange(nodes), -(-nodes // CURVE_NODES)):
        position, heading = rng.random(3) * (side - 1), rng.normal(size=3)
        for node in curve:
            points[node] = position
            heading = heading / np.linalg.norm(heading) + rng.normal(0, 0.2, 3)
            heading *= NODE_STEP / np.linalg.norm(heading)
            ahead = position + heading
            heading[(ahead < 0) | (ahead > side - 1)] *= -1
            position = position + heading
        edges += zip(curve[:-1], curve[1:], strict=True)
    return torch.from_numpy(points).float(), torch.from_numpy(np.array(edges))


def dense_map(positions: Tensor, edges: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The definition, written down: the map, and the nearest edge of each voxel."""
    voxels = torch.from_numpy(np.indices(shape).reshape(len(shape), -1).T.copy()).float()
    starts, ends = positions[edges].unbind(1)
    step = ends - starts
    length = step.square().sum(1)
    distance, nearest = torch.empty(len(voxels)), torch.empty(len(voxels), dtype=torch.int64)
    piece = max(1, DENSE_AT_ONCE // len(edges))
    for first in range(0, len(voxels), piece):
        away = [voxels[first : first + piece, axis, None] - starts[:, axis] for axis in range(3)]
        along = away[0] * step[:, 0] + away[1] * step[:, 1] + away[2] * step[:, 2]
        fraction = (along / length).clamp(0, 1)
        z, y, x = (away[axis] - fraction * step[:, axis] for axis in range(3))
        least, which = (z.square() + y.square() + x.square()).min(1)
        distance[first : first + piece] = least.sqrt().clamp(max=D_MAX)
        nearest[first : first + piece] = which
    return distance.view(shape), nearest.view(shape)


def dense_gradient(positions: Tensor, edges: Tensor, twin: Tensor, nearest: Tensor) -> Tensor:
    """Derivative of the map's mean by automatic differentiation, the nearest edges given."""
    moved = positions.clone().requires_grad_()
    near = twin < D_MAX
    starts, ends = moved[edges[nearest[near]]].unbind(1)
    step = ends - starts
    away = near.nonzero() - starts
    fraction = ((away * step).sum(1) / step.square().sum(1)).clamp(0, 1)
    distance = (away - fraction[:, None] * step).norm(dim=1)
    (distance.sum() / twin.numel()).backward()
    assert moved.grad is not None
    return moved.grad


def shortest(call: Callable[[], object], rounds: int) -> float:
    """Milliseconds of processor time of the fastest of several calls."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
