"""Time of the topology weights of a window: the compiled kernel against what it replaces.

    python benchmarks/speed_topo_loss.py [--toy] [--windows 40] [--seed 0]

Four in one process, one thread, on random curves with a noisy prediction:

    kernel        this package, with its default rule, with the rule of the published program and
                  by windows whose annotation was prepared ahead
    torch         the tensor operations meant for other devices, here on the host
    numpy_form    the published algorithm in Python and numpy, its compiled part compiled
                  (`published_topo_loss.py`)
    plain_python  what the default rule says, with dictionaries and sorting

Printed as JSON: the shortest processor time of several rounds in milliseconds per window of 48 x 48
pixels, which other programs on the machine disturb less than the time on the wall; how many times
faster the kernel is; the largest differences of the answers; and the shortest time on the wall with
one and with two threads, over eight times as many windows, whose answers must be the same bits.

Expected: the kernel about 8 times as fast as the numpy form.
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
from published_topo_loss import published_weights
from scipy import ndimage

from topodelin.losses import TopologyRule, TopoLoss, topo_loss, topology_weights

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
    paper = TopoLoss.paper()
    rule, published = TopologyRule(), paper.rule
    prepared = paper.prepare(target)
    contenders: dict[str, tuple[int, Callable[[], Any]]] = {
        "kernel": (rounds, lambda: topology_weights(prediction, target, rule)),
        "kernel_published_rule": (rounds, lambda: topology_weights(prediction, target, published)),
        "loss": (rounds, lambda: topo_loss(prediction, target)),
        "published_loss": (rounds, lambda: paper(prediction, target)),
        "published_loss_prepared": (rounds, lambda: paper(prediction, prepared)),
        "torch": (
            min(rounds, 3),
            lambda: topology_weights(prediction, target, rule, backend="torch"),
        ),
        "numpy_form": (min(rounds, 10), lambda: each(published_weights, prediction, target)),
        "plain_python": (min(rounds, 2), lambda: each(plain_weights, prediction, target, rule)),
    }
    milliseconds = {
        name: shortest(call, count) / windows for name, (count, call) in contenders.items()
    }
    answers = {name: contenders[name][1]() for name in contenders if "loss" not in name}
    scaling = thread_scaling(8 * windows, rounds, options.seed)
    torch.set_num_threads(threads)

    result = {
        "benchmark": "speed_topo_loss",
        "milliseconds_per_window": milliseconds,
        "times_faster": {
            "than_numpy_form": milliseconds["numpy_form"] / milliseconds["kernel_published_rule"],
            "than_plain_python": milliseconds["plain_python"] / milliseconds["kernel"],
        },
        "answer": {
            "gap_weight_sum": float(answers["kernel"].gap.sum()),
            "bridge_weight_sum": float(answers["kernel"].bridge.sum()),
            "largest_difference": {
                "torch": difference(answers["kernel"], answers["torch"]),
                "numpy_form": difference(answers["kernel_published_rule"], answers["numpy_form"]),
                "plain_python": difference(answers["kernel"], answers["plain_python"]),
            },
        },
        "threads": scaling,
        "windows": windows,
        "rounds": rounds,
        "seed": options.seed,
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def thread_scaling(windows: int, rounds: int, seed: int) -> dict[str, Any]:
    """Wall time of the weights per window with one and two threads, and whether they are equal."""
    prediction, target = random_windows(windows, seed)
    rule = TopologyRule()
    times: dict[int, float] = {}
    answers = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        answers.append(topology_weights(prediction, target, rule))
        times[threads] = math.inf
        for _ in range(rounds):
            start = time.perf_counter()
            topology_weights(prediction, target, rule)
            times[threads] = min(times[threads], time.perf_counter() - start)
    return {
        "wall_milliseconds_per_window": {str(n): 1e3 * t / windows for n, t in times.items()},
        "two_over_one": times[1] / times[2],
        "same_bits": torch.equal(answers[0].gap, answers[1].gap)
        and torch.equal(answers[0].bridge, answers[1].bridge),
    }


def each(
    weigh: Callable[..., tuple[np.ndarray, np.ndarray]],
    prediction: torch.Tensor,
    target: torch.Tensor,
    *rule: TopologyRule,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The weights of one window after the other."""
    images = zip(prediction[:, 0].numpy(), target[:, 0].numpy(), strict=True)
    return [weigh(*pair, *rule) for pair in images]


def difference(weights: Any, other: Any) -> float:
    """The largest difference of two answers in any pixel, in either term."""
    if isinstance(other, list):
        gap, bridge = (torch.from_numpy(np.stack(maps)) for maps in zip(*other, strict=True))
        return difference(weights, type(weights)(gap[:, None], bridge[:, None], len(other)))
    gap, bridge = (weights.gap - other.gap).abs(), (weights.bridge - other.bridge).abs()
    return float(torch.maximum(gap, bridge).max())


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
