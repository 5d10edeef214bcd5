"""Share of a training step that is spent in the connectivity loss.

    python benchmarks/share_conn_loss.py [--toy] [--threads 1] [--seed 0]

A step is the forward pass of a U-Net, base 16, on a cube of 96 voxels a side, its loss (mean
squared error and connectivity), the backward pass and a step of Adam. The connectivity loss is
timed apart, forward and backward, on the same prediction. Printed as JSON: the median of each in
milliseconds, the share, and the value of the losses.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from provenance import provenance
from scipy import ndimage

from topodelin.losses import ConnLoss, MSELoss, WeightedSum
from topodelin.models import UNet

D_MAX = 15.0


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="Share of a step spent in ConnLoss.")
    parser.add_argument("--toy", action="store_true", help="a cube of 32 voxels, base 2, one step")
    parser.add_argument("--cube", type=int, default=96)
    parser.add_argument("--base", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.toy:
        options.cube, options.base, options.steps = 32, 2, 1

    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    target = random_curves(options.cube, options.seed).to(options.device)
    image = torch.exp(-target / 2) + 0.1 * torch.randn_like(target)
    network = UNet(in_channels=1, out_channels=1, dims=3, base=options.base).to(options.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "conn": (ConnLoss(), 1e-3)})

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(network(image), target).backward()
        optimizer.step()

    prediction = network(image).detach().requires_grad_()
    conn = ConnLoss()

    def connectivity() -> None:
        conn(prediction, target).backward()

    step_ms = median_time(step, options.steps, options.device)
    conn_ms = median_time(connectivity, 3 * options.steps, options.device)
    torch.set_num_threads(threads)
    result = {
        "benchmark": "share_conn_loss",
        "milliseconds": {"step": step_ms, "conn_loss": conn_ms},
        "share": conn_ms / step_ms,
        "answer": {name: value.item() for name, value in loss.last_terms.items()},
        "cube": options.cube,
        "base": options.base,
        "steps": options.steps,
        "threads": options.threads,
        "device": options.device,
        "seed": options.seed,
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def random_curves(side: int, seed: int) -> torch.Tensor:
    """The distance map of straight neurites through a cube."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side, side), bool)
    for _ in range(6):
        begin, end = rng.random((2, 3))
        axis = rng.integers(3)
        begin[axis], end[axis] = 0, 1
        steps = np.linspace(0, 1, 4 * side)[:, None]
        mask[tuple(np.round((begin + steps * (end - begin)) * (side - 1)).astype(int).T)] = True
    distance = np.minimum(np.asarray(ndimage.distance_transform_edt(~mask)), D_MAX)
    return torch.from_numpy(distance.astype(np.float32))[None, None]


def median_time(call: Callable[[], object], rounds: int, device: str) -> float:
    """Milliseconds of a call, the median of several after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[1:])


if __name__ == "__main__":
    main()
