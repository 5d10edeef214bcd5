"""Time of the spanning-path loss of a volume: the compiled sweep against scipy's spanning tree.

    python benchmarks/speed_spanning_path.py [--toy] [--rounds 10] [--seed 1]

The twin writes down the definition: scipy's minimum spanning tree of the ranks of the edges, then
the cable below each edge, summed from the leaves up in Python. It and the loss run in one process
on one thread, on a small volume, on curves and a prediction with smooth errors; their values must
agree. Then the loss alone on larger volumes, forward and backward, beside a mean squared error.
Printed as JSON: the shortest processor time of several rounds in milliseconds, which other programs
on the machine disturb less than the time on the wall, and the answers.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from provenance import provenance
from scipy import ndimage, sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from topodelin.losses.spanning.rule import SpanningPathRule
from topodelin.losses.spanning_path import SpanningPathLoss

D_MAX = 15.0
BLUR = 2.0  # voxels, of the errors
ERROR = 2.0  # their standard deviation


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="Time of the spanning-path loss of a volume.")
    parser.add_argument("--toy", action="store_true", help="small volumes, one round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rounds = 1 if options.toy else options.rounds
    twin_side, sides = (20, (16,)) if options.toy else (40, (64, 96))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    both, gap = SpanningPathLoss(), SpanningPathLoss(merge_weight=0.0)
    small = _volume(twin_side, options.seed)
    prepared = both.prepare(small[1])
    values = {name: float(loss(small[0], prepared)) for name, loss in _named(gap, both)}
    plain = plain_losses(small[0][0, 0].numpy(), small[1][0, 0].numpy(), both.rule)
    loss_ms = shortest(lambda: both(small[0], prepared), rounds)
    twin_ms = shortest(
        lambda: plain_losses(small[0][0, 0].numpy(), small[1][0, 0].numpy(), both.rule),
        min(rounds, 2),
    )
    milliseconds = {
        f"{side}^3": _times(_volume(side, options.seed), gap, both, rounds) for side in sides
    }
    torch.set_num_threads(threads)

    result = {
        "benchmark": "speed_spanning_path",
        "milliseconds_with_backward": milliseconds,
        "twin": {
            "side": twin_side,
            "loss_forward_ms": loss_ms,
            "scipy_forward_ms": twin_ms,
            "times_faster": twin_ms / loss_ms,
        },
        "answer": {**values, **{f"scipy_{name}": value for name, value in plain.items()}},
        "rounds": rounds,
        "seed": options.seed,
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def _named(
    gap: SpanningPathLoss, both: SpanningPathLoss
) -> tuple[tuple[str, SpanningPathLoss], tuple[str, SpanningPathLoss]]:
    return ("gap", gap), ("gap_and_merge", both)


def _times(
    volume: tuple[torch.Tensor, torch.Tensor],
    gap: SpanningPathLoss,
    both: SpanningPathLoss,
    rounds: int,
) -> dict[str, float]:
    """Milliseconds of each loss, forward and backward, and of what the data loader does."""
    prediction, target = volume[0].requires_grad_(), volume[1]
    prepared = both.prepare(target)

    def mse() -> None:
        torch.nn.functional.mse_loss(prediction, target).backward()

    times = {
        name: shortest(lambda loss=loss: loss(prediction, prepared).backward(), rounds)
        for name, loss in _named(gap, both)
    }
    times["mean_squared_error"] = shortest(mse, rounds)
    times["prepare_in_the_loader"] = shortest(lambda: both.prepare(target), min(rounds, 3))
    return times


def _volume(side: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A prediction and the distance map of bent curves, more of them the larger the volume."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side,) * 3, bool)
    for _ in range(max(side // 8, 4)):
        begin, end = rng.random((2, 3))
        axis = rng.integers(3)
        begin[axis], end[axis] = 0, 1
        bend = (begin + end) / 2 + rng.normal(0, 0.15, 3)
        t = np.linspace(0, 1, 6 * side)[:, None]
        points = ((1 - t) ** 2 * begin + 2 * t * (1 - t) * bend + t**2 * end) * (side - 1)
        voxels = np.round(points).astype(int)
        mask[tuple(voxels[((voxels >= 0) & (voxels < side)).all(1)].T)] = True
    target = np.minimum(np.asarray(ndimage.distance_transform_edt(~mask)), D_MAX)
    errors = ndimage.gaussian_filter(rng.normal(size=mask.shape), BLUR)
    noise = rng.normal(0, 0.1, mask.shape)  # no two voxels are predicted alike
    prediction = np.maximum(target + ERROR * errors / errors.std(), 0) + noise
    return tuple(  # type: ignore[return-value]
        torch.from_numpy(values.astype(np.float32))[None, None] for values in (prediction, target)
    )


def plain_losses(
    prediction: np.ndarray, truth: np.ndarray, rule: SpanningPathRule
) -> dict[str, float]:
    """The definition, written down with scipy: the gap term, and both."""
    trees, count = ndimage.label(truth == 0, np.ones((3, 3, 3)))  # type: ignore[misc]
    far = np.stack(
        [np.asarray(ndimage.distance_transform_edt(trees != k + 1)) for k in range(count)]
    )
    alone = (far == far.min(0)).sum(0) == 1
    owner = np.where(alone & (truth <= rule.tube_radius), far.argmin(0) + 1, 0).ravel()
    d, g, centre = prediction.ravel(), truth.ravel(), (trees > 0).ravel()
    order = np.lexsort((g, d))
    rank = np.empty(d.size, np.int64)
    rank[order] = np.arange(d.size)
    pairs = _pairs(np.arange(d.size).reshape(truth.shape))
    pairs = np.where((rank[pairs[:, :1]] > rank[pairs[:, 1:]]), pairs, pairs[:, ::-1])
    pairs = pairs[np.lexsort((rank[pairs[:, 1]], rank[pairs[:, 0]]))]
    high, low = pairs.T

    inside = (owner[high] > 0) & (owner[high] == owner[low])
    cut = _cuts(pairs[inside], centre.astype(np.int64))
    excess = np.maximum(d[high[inside][cut[0]]] - rule.slack, 0)
    gap = _weighed(excess, cut, rule) / centre.sum()

    allowed = np.minimum(np.maximum(g[high], g[low]), np.float32(rule.merge_below))
    cost = d[high] - allowed
    vertex = np.where(owner > 0, owner - 1, count + np.arange(d.size))
    ends = vertex[pairs]
    (false,) = np.nonzero((cost < 0) & (ends[:, 0] != ends[:, 1]))
    false = false[np.argsort(cost[false], kind="stable")]
    mass = np.zeros(count + d.size, np.int64)
    mass[:count] = np.bincount(trees.ravel())[1:]
    cut = _cuts(ends[false], mass)
    merge = _weighed(-cost[false][cut[0]], cut, rule) / centre.sum()
    both = rule.gap_weight * gap + rule.merge_weight * merge
    return {"gap": float(rule.gap_weight * gap), "gap_and_merge": float(both)}


def _pairs(number: np.ndarray) -> np.ndarray:
    """(e, 2) numbers of every two voxels that touch."""
    found = []
    for step in np.ndindex(3, 3, 3):
        if step <= (1, 1, 1):
            continue
        one = number[tuple(slice(max(1 - s, 0), 1 - s if s > 1 else None) for s in step)]
        two = number[tuple(slice(max(s - 1, 0), s - 1 if s < 1 else None) for s in step)]
        found.append(np.stack([one.ravel(), two.ravel()], 1))
    return np.concatenate(found)


def _cuts(ends: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of these edges, the cheapest first, are in the forest, and the mass they part."""
    vertices = len(mass)
    ends = np.sort(ends, axis=1)
    _, first = np.unique(ends @ [vertices, 1], return_index=True)  # parallel edges: the cheapest
    graph = sparse.coo_array((first + 1.0, ends[first].T), shape=(vertices, vertices)).tocsr()
    forest = minimum_spanning_tree(graph).tocoo()
    groups, group = connected_components(forest, directed=False)
    whole = np.bincount(group, mass, groups).astype(np.int64)
    number = {}
    for a, b, weight in zip(forest.row, forest.col, forest.data, strict=True):
        number[min(a, b), max(a, b)] = int(weight) - 1
    edges, sides, wholes = [], [], []
    below = mass.copy()
    links = forest.tocsr()
    _, roots = np.unique(group[mass > 0], return_index=True)
    for root in np.flatnonzero(mass > 0)[roots]:
        order, before = breadth_first_order(links, root, directed=False)
        for vertex in order[:0:-1]:
            stem = before[vertex]
            below[stem] += below[vertex]
            if 0 < below[vertex] < whole[group[vertex]]:
                edges.append(number[min(vertex, stem), max(vertex, stem)])
                sides.append(below[vertex])
                wholes.append(whole[group[vertex]])
    return np.array(edges, int), np.array(sides, int), np.array(wholes, int)


def _weighed(
    excess: np.ndarray, cut: tuple[np.ndarray, np.ndarray, np.ndarray], rule: SpanningPathRule
) -> float:
    """The sum over the edges, the mean over the spans."""
    _, side, whole = cut
    shares = [
        np.minimum(side, span) * np.minimum(whole - side, span) / span**2 for span in rule.all_spans
    ]
    return float((np.mean(shares, axis=0) * excess**2).sum())


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
