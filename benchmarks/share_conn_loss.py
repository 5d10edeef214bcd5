"""Share of a training step that is spent in the connectivity loss.

    python benchmarks/share_conn_loss.py [--toy] [--batch 4] [--cube 96] [--base 32] [--levels 5]
                                         [--network-batch 1] [--threads 2] [--seed 0]

A training step is the forward pass of a U-Net, the mean squared error, the backward pass and a step
of Adam. Where memory does not hold the whole batch, the step is measured on `network-batch` of its
crops and taken times as many as fit into the batch, which the answer says; that favours the
network a little, since one step of Adam counts for each part. The connectivity loss, forward and
backward, is timed apart on the whole batch: with targets, with targets prepared ahead as a data
loader does, and on the host with one thread and with `threads`.

Printed as JSON: medians in milliseconds, the shares of a step that has both, and the values of the
two losses.

Expected: below 2 % on four crops of 96 voxels, five levels, base 32.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from provenance import provenance
from scipy import ndimage

from topodelin.losses import ConnLoss, MSELoss
from topodelin.models import UNet

D_MAX = 15.0
SETTINGS = ("batch", "cube", "base", "levels", "steps", "threads", "device", "backend", "seed")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="Share of a step spent in ConnLoss.")
    parser.add_argument("--toy", action="store_true", help="cubes of 32 voxels, base 2, one step")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--cube", type=int, default=96)
    parser.add_argument("--base", type=int, default=32)
    parser.add_argument("--levels", type=int, default=5, help="of the network, the bottom included")
    parser.add_argument("--network-batch", type=int, help="crops in a measured step; default: all")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", default="auto", help="of the loss: auto, numba or torch")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.toy:
        options.batch, options.cube, options.base, options.steps = 2, 32, 2, 1
        options.levels, options.network_batch, options.threads = 3, 1, 1
    part = options.network_batch or options.batch
    if options.batch % part:
        parser.error("--network-batch must divide --batch")

    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    seeds = range(options.seed, options.seed + options.batch)
    target = torch.cat([random_curves(options.cube, seed) for seed in seeds]).to(options.device)
    conn = ConnLoss(backend=options.backend)
    step_ms, prediction, mse = training_step(target, part, options)
    step_ms *= options.batch / part
    prepared = conn.prepare(target.cpu()).to(options.device)
    conn_ms: dict[str, float] = {}
    values = []
    for count in sorted({1, options.threads}):
        torch.set_num_threads(count)
        for form, name in ((target, ""), (prepared, ", prepared")):
            leaf = prediction.clone().requires_grad_()
            call = partial(forward_and_backward, conn, leaf, form)
            label = f"{count} thread{'s' if count > 1 else ''}{name}"
            conn_ms[label] = median_time(call, 3 * options.steps, options.device)
            values.append(conn(leaf, form).item())
    torch.set_num_threads(threads)
    result = {
        "benchmark": "share_conn_loss",
        "milliseconds": {"step_without": step_ms, "conn_loss": conn_ms},
        "share": {name: took / (step_ms + took) for name, took in conn_ms.items()},
        "step_measured_on_crops": part,
        "answer": {"mse": mse, "conn": values[0]},
        "spread_of_answers": max(values) - min(values),
        **{name: getattr(options, name) for name in SETTINGS},
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def training_step(
    target: torch.Tensor, part: int, options: argparse.Namespace
) -> tuple[float, torch.Tensor, float]:
    """Milliseconds of a step on `part` crops, what the network predicts, and its squared error."""
    network = UNet(
        in_channels=1, out_channels=1, dims=3, base=options.base, poolings=options.levels - 1
    ).to(options.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    image = torch.exp(-target / 2) + 0.1 * torch.randn_like(target)
    loss = MSELoss()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(network(image[:part]), target[:part]).backward()
        optimizer.step()

    took = median_time(step, options.steps, options.device)
    with torch.no_grad():
        prediction = torch.cat([network(one) for one in image.split(part)])
    return took, prediction, loss(prediction, target).item()


def forward_and_backward(loss: ConnLoss, prediction: torch.Tensor, target: Any) -> None:
    prediction.grad = None
    loss(prediction, target).backward()


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
