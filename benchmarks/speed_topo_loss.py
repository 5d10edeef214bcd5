"""Time of the topology weights of a window: the compiled kernel against plain Python.

    python benchmarks/speed_topo_loss.py [--toy] [--windows 40] [--seed 0]

The twin does what the definition says with dictionaries, sorting and scipy, one window after the
other; both run in the same process on one thread, on random curves with a noisy prediction.
Printed as JSON: the shortest processor time of several rounds in milliseconds per window of 48 x
48 pixels, which other programs on the machine disturb less than the time on the wall, what the
loss itself takes, and both answers, which must agree.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from provenance import provenance
from scipy import ndimage

from topodelin.losses import TopologyRule, topo_loss, topology_weights

WINDOW = 48
D_MAX = 15.0


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="Time of the topology weights of a window.")
    parser.add_argument("--toy", action="store_true", help="two windows, one round")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    windows, rounds = (2, 1) if options.toy else (options.windows, options.rounds)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    prediction, target = random_windows(windows, options.seed)
    rule = TopologyRule()
    answer = topology_weights(prediction, target, rule)  # compiles
    twin: list[tuple[np.ndarray, np.ndarray]] = []

    def run_twin() -> None:
        twin[:] = [
            plain_weights(p, t, rule)
            for p, t in zip(prediction[:, 0].numpy(), target[:, 0].numpy(), strict=True)
        ]

    kernel_ms = shortest(lambda: topology_weights(prediction, target, rule), rounds) / windows
    loss_ms = shortest(lambda: topo_loss(prediction, target), rounds) / windows
    twin_ms = shortest(run_twin, min(rounds, 3)) / windows
    torch.set_num_threads(threads)

    plain_gap, plain_bridge = (np.stack(maps) for maps in zip(*twin, strict=True))
    result = {
        "benchmark": "speed_topo_loss",
        "milliseconds_per_window": {"kernel": kernel_ms, "loss": loss_ms, "plain_python": twin_ms},
        "times_faster": twin_ms / kernel_ms,
        "answer": {
            "gap_weight_sum": float(answer.gap.sum()),
            "bridge_weight_sum": float(answer.bridge.sum()),
            "plain_gap_weight_sum": float(plain_gap.sum()),
            "plain_bridge_weight_sum": float(plain_bridge.sum()),
            "largest_difference": float(
                max(
                    np.abs(plain_gap - answer.gap[:, 0].numpy()).max(),
                    np.abs(plain_bridge - answer.bridge[:, 0].numpy()).max(),
                )
            ),
        },
        "windows": windows,
        "rounds": rounds,
        "seed": options.seed,
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def random_windows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance maps of random lines, and the same with errors of 1.5 pixels."""
    rng = np.random.default_rng(seed)
    targets = []
    for _ in range(count):
        mask = np.zeros((WINDOW, WINDOW), bool)
        for _ in range(3):
            begin, end = rng.random((2, 2))
            side = rng.integers(2)
            begin[side], end[side] = 0, 1
            steps = np.linspace(0, 1, 4 * WINDOW)[:, None]
            points = (begin + steps * (end - begin)) * (WINDOW - 1)
            mask[tuple(np.round(points).astype(int).T)] = True
        targets.append(np.minimum(np.asarray(ndimage.distance_transform_edt(~mask)), D_MAX))
    target = np.stack(targets).astype(np.float32)[:, None]
    noise = rng.normal(0, 1.5, target.shape).astype(np.float32)
    return torch.from_numpy(target + noise), torch.from_numpy(target)


def plain_weights(
    prediction: np.ndarray, target: np.ndarray, rule: TopologyRule
) -> tuple[np.ndarray, np.ndarray]:
    """The definition, written down: gap and bridge weights of one window of the default rule."""
    height, width = target.shape
    labels, _ = ndimage.label(target > rule.separator)  # type: ignore[misc]
    sizes = np.bincount(labels.ravel())[1:].tolist()
    different = (sum(sizes) ** 2 - sum(n * n for n in sizes)) // 2
    inside = sum(n * (n - 1) // 2 for n in sizes)
    pixels = [(y, x) for y in range(height) for x in range(width)]
    edges = [((y, x), (y, x + 1)) for y, x in pixels if x + 1 < width]
    edges += [((y, x), (y + 1, x)) for y, x in pixels if y + 1 < height]
    gap, bridge = np.zeros((2, height, width))
    for weights, pairs in ((gap, different), (bridge, inside)):
        if pairs == 0:
            continue
        order = []
        for index, (a, b) in enumerate(edges):
            cost = prediction[a] + prediction[b]
            far = target[a] + target[b]
            if weights is gap and far >= rule.free_bound:
                cost = math.inf
            if weights is bridge and far < rule.near_bound:
                cost = -math.inf
            order.append((-cost, -far if weights is gap else far, index))
        group = {pixel: pixel for pixel in pixels}
        members = {pixel: {labels[pixel]: 1} if labels[pixel] else {} for pixel in pixels}
        for _, _, index in sorted(order):
            a, b = (_root(group, end) for end in edges[index])
            if a == b:
                continue
            same = sum(n * members[b].get(label, 0) for label, n in members[a].items())
            every = sum(members[a].values()) * sum(members[b].values())
            count = every - same if weights is gap else same
            group[b] = a
            for label, n in members[b].items():
                members[a][label] = members[a].get(label, 0) + n
            far = target[edges[index][0]] + target[edges[index][1]]
            if far < rule.near_bound if weights is gap else far >= rule.far_bound:
                for end in edges[index]:
                    weights[end] += count / pairs
    return gap, bridge


def _root(group: dict[tuple[int, int], tuple[int, int]], pixel: tuple[int, int]) -> tuple[int, int]:
    while group[pixel] != pixel:
        group[pixel] = group[group[pixel]]
        pixel = group[pixel]
    return pixel


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
