"""Time of the fully connected random field: narrow and wide kernels, few and many grey levels.

    python benchmarks/speed_dense_crf.py [--toy] [--side 64] [--steps 10] [--rounds 2] [--seed 0]

Random probabilities of the six classes of the FIB-SEM preset on a cube, with an image of 256 grey
levels; one thread. Printed as JSON: the shortest processor time in seconds of each case, and the
answer beside it: the largest difference of the refined probabilities from sums over all pairs of
voxels, on a cube of 10 voxels with the same numbers, in double precision.

Expected for 64^3 voxels and 10 steps: about one second a case, wide kernels no slower.
"""

import argparse
import json
import time
from typing import Any

import torch
from provenance import provenance
from torch import Tensor

from topodelin.refinement import CRFParameters, dense_crf

CASES = ({"alpha": 1.0, "beta": 1.0}, {"alpha": 5.0, "beta": 1.0}, {"alpha": 5.0, "beta": 0.2})
CHECKED_SIDE = 10


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and return the measurement."""
    parser = argparse.ArgumentParser(description="Time of the fully connected random field.")
    parser.add_argument("--toy", action="store_true", help="a small cube, two steps, one round")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.toy:
        options.side, options.steps, options.rounds = 12, 2, 1
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cases = [measure(options, **case) for case in CASES]
    torch.set_num_threads(threads)
    result = {
        "benchmark": "speed_dense_crf",
        "cases": cases,
        "answer": {"largest_difference": max(case["largest_difference"] for case in cases)},
        **vars(options),
        **provenance(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    return result


def measure(options: argparse.Namespace, alpha: float, beta: float) -> dict[str, Any]:
    """Seconds on the cube, difference on the small one."""
    preset = CRFParameters.fibsem()
    numbers = {
        "theta_alpha": alpha,
        "theta_beta": beta,
        "theta_gamma": 1.0,
        "compatibility": preset.compatibility,
        "smoothness": preset.smoothness,
        "steps": options.steps,
    }
    case = volume(options.side, options.seed)
    seconds = []
    for _ in range(options.rounds):
        begin = time.process_time()
        dense_crf(*case, **numbers)
        seconds.append(time.process_time() - begin)
    small = [part.double() for part in volume(CHECKED_SIDE, options.seed)]
    small[0] = small[0] / small[0].sum(0)
    difference = dense_crf(*small, **numbers) - over_all_pairs(*small, **numbers)
    return {
        "theta_alpha": alpha,
        "theta_beta": beta,
        "seconds": min(seconds),
        "largest_difference": float(difference.abs().max()),
    }


def volume(side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Probabilities and an image of 256 grey levels."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, side, side, side, generator=generator)
    return (2 * logits).softmax(0), torch.randint(256, (side,) * 3, generator=generator) / 255


def over_all_pairs(probabilities: Tensor, image: Tensor, **numbers: Any) -> Tensor:
    """The definition, written down: kernels of all pairs of voxels, normalised symmetrically."""
    space = torch.ones_like(image).nonzero().to(image)
    apart = torch.cdist(space, space, compute_mode="donot_use_mm_for_euclid_dist").square()
    unlike = (image.reshape(-1, 1) - image.reshape(-1)).square()
    kernels = [
        torch.exp(
            -apart / 2 / numbers["theta_alpha"] ** 2 - unlike / 2 / numbers["theta_beta"] ** 2
        ),
        torch.exp(-apart / 2 / numbers["theta_gamma"] ** 2),
    ]
    roots = [kernel.sum(1).rsqrt() for kernel in kernels]
    kernels = [root[:, None] * kernel * root for root, kernel in zip(roots, kernels, strict=True)]
    costs = [
        torch.tensor(numbers["compatibility"]).to(image),
        numbers["smoothness"] * (1 - torch.eye(len(probabilities))).to(image),
    ]
    q = p = probabilities.flatten(1)
    for _ in range(numbers["steps"]):
        cost = sum(c @ (q @ kernel) for c, kernel in zip(costs, kernels, strict=True))
        q = (p.log() - cost).softmax(0)
    return q.view_as(probabilities)


if __name__ == "__main__":
    main()
