"""All losses on the same inputs: time, memory, and which planted faults they see.

    python benchmarks/peers_losses.py [--toy] [--cube 96] [--image 512] [--losses conn,cldice]

Truth: the distance map of smooth random curves. Prediction: that of the same curves with planted
gaps and false bridges, and noise. Volumes for the losses that take volumes, images for the others;
one thread. For each loss:

* `prepare_ms`, what can be done ahead on the annotation; `step_ms`, forward and backward on one
  map with that done: the shortest processor time of several rounds;
* `peak_mib`: how much memory a step takes beyond what was held before (Linux only);
* `gaps_seen`, `bridges_seen`: the share of planted faults that receive gradient. A gap does if
  some voxel of it (the cut voxels of the true curve and those that touch them) has a gradient
  above 1e-3 of the largest of the whole map in absolute value, so that descent lowers the distance
  there; a bridge, if some voxel of it (or that touches it; more than 4 voxels from every true
  curve) has one below minus that, so that descent raises the distance;
* `gradient_at_faults`: the sum of all gradients of the right sign at the faults, as a share of the
  sum of all absolute gradients. A loss that pulls everywhere sees every fault and drowns it.

Printed as JSON, with `--table` as Markdown.
"""

import argparse
import ctypes
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from planted_faults import Scene, plant
from provenance import provenance
from torch import nn

from topodelin.losses import LOSSES, ConnLoss, TopoLoss, min_projections
from topodelin.losses.catalogue import CATALOGUE

# The defaults part regions at a distance of 5 and blame bridges 7.5 voxels from the truth; these
# see between lines that are nearer to each other.
FINE: dict[str, Any] = {"separator_radius": 2.0, "edge_hi": 9.0}
VARIANTS = {"topo, fine": TopoLoss(**FINE), "conn, fine": ConnLoss(topo=FINE)}
ON_LINES = [name for name, entry in CATALOGUE.items() if entry.takes != "labels"]
SEEN = 1e-3  # of the largest gradient
LONG_ENOUGH = 2.0  # seconds of rounds
STATUS = Path("/proc/self/status")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="All losses on the same inputs.")
    parser.add_argument("--toy", action="store_true", help="small maps, one round")
    parser.add_argument("--cube", type=int, default=96)
    parser.add_argument("--image", type=int, default=512)
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--losses", default=",".join(ON_LINES), help="names, with commas")
    parser.add_argument("--table", action="store_true", help="print Markdown")
    options = parser.parse_args(arguments)
    if options.toy:
        options.cube, options.image, options.scenes, options.rounds = 32, 64, 1, 1

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seeds = range(options.seed, options.seed + options.scenes)
    curves, faults = ({2: 2, 3: 2}, 2) if options.toy else ({2: 10, 3: 6}, 8)
    scenes = {
        3: [plant((options.cube,) * 3, curves[3], faults, faults, seed) for seed in seeds],
        2: [plant((options.image,) * 2, curves[2], faults, faults, seed) for seed in seeds],
    }
    result = {
        "benchmark": "peers_losses",
        "answer": {
            name: measure(loss, scenes[max(CATALOGUE[name.split(",")[0]].dims)], options.rounds)
            for name, loss in chosen(options.losses).items()
        },
        "cube": options.cube,
        "image": options.image,
        "scenes": options.scenes,
        "rounds": options.rounds,
        "seed": options.seed,
        **provenance(),
        "torch": torch.__version__,
    }
    torch.set_num_threads(threads)
    print(table(result["answer"]) if options.table else json.dumps(result, indent=2))
    return result


def chosen(names: str) -> dict[str, nn.Module]:
    """The losses of that name, each with its defaults, and their variants."""
    losses: dict[str, nn.Module] = {}
    for name in names.split(","):
        losses[name] = LOSSES[name]()
        losses |= {key: loss for key, loss in VARIANTS.items() if key.split(",")[0] == name}
    return losses


def measure(loss: nn.Module, scenes: list[Scene], rounds: int) -> dict[str, float | None]:
    """Time and memory on the first scene, faults over all of them."""
    first = scenes[0]
    target = target_of(loss, first)
    prepare = getattr(loss, "prepare", lambda target: target)
    ready = prepare(target)
    prediction = first.prediction.clone().requires_grad_()

    def step() -> None:
        prediction.grad = None
        loss(prediction, ready).backward()

    step()  # compiles
    peak = peak_mib(step)
    gaps, bridges, shares, value = [], [], [], 0.0
    for scene in scenes:
        seen = scene.prediction.clone().requires_grad_()
        cost = loss(seen, prepare(target_of(loss, scene)))
        cost.backward()
        assert seen.grad is not None
        gradient = seen.grad[0, 0].numpy()
        least = SEEN * np.abs(gradient).max()
        gaps += [bool((gradient[fault] > least).any()) for fault in scene.gaps]
        bridges += [bool((gradient[fault] < -least).any()) for fault in scene.bridges]
        cut, joined = np.any(scene.gaps, axis=0), np.any(scene.bridges, axis=0)
        right = gradient[cut].clip(min=0).sum() + (-gradient[joined]).clip(min=0).sum()
        shares.append(float(right / np.abs(gradient).sum()))
        value = cost.item()
    return {
        "prepare_ms": shortest(lambda: prepare(target), rounds),
        "step_ms": shortest(step, rounds),
        "peak_mib": peak,
        "gaps_seen": float(np.mean(gaps)),
        "bridges_seen": float(np.mean(bridges)),
        "gradient_at_faults": float(np.mean(shares)),
        "value_of_the_last": value,
    }


def target_of(loss: nn.Module, scene: Scene) -> Any:
    """The annotation in the form that the loss takes."""
    takes = getattr(loss, "takes", "distance_map")
    if takes == "graphs":
        return [scene.graph]
    return list(min_projections(scene.truth)) if takes == "projections" else scene.truth


def shortest(call: Callable[[], object], rounds: int) -> float:
    """Milliseconds of processor time of the fastest of several calls, fewer of slow ones."""
    times: list[float] = []
    while len(times) < rounds and sum(times) < LONG_ENOUGH:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def peak_mib(call: Callable[[], object]) -> float | None:
    """MiB by which a call raises the resident memory at its peak; None where that is unknown."""
    if not sys.platform.startswith("linux"):
        return None
    ctypes.CDLL(None).malloc_trim(0)  # what earlier calls freed would hide what this one takes
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    call()
    return (status("VmHWM") - before) / 1024


def status(name: str) -> int:
    """A line of the status of this process, in KiB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def table(answer: dict[str, dict[str, float | None]]) -> str:
    """The measurement as Markdown."""
    lines = [
        "| loss | prepare, ms | step, ms | peak, MiB | gaps seen | bridges seen | at faults |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in answer.items():
        peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        lines.append(
            f"| `{name}` | {row['prepare_ms']:.1f} | {row['step_ms']:.1f} | {peak} "
            f"| {row['gaps_seen']:.0%} | {row['bridges_seen']:.0%} "
            f"| {row['gradient_at_faults']:.1%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
