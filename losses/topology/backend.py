"""Where the topology loss is counted, and the rule in numbers that every place reads alike."""

import math
from typing import Any

import numpy as np
import torch

from topodelin.losses.topology.rule import TopologyRule

BACKENDS = ("auto", "numba", "torch")


def check_backend(backend: str) -> None:
    """Refuse the name of a backend that does not exist."""
    if backend not in BACKENDS:
        raise ValueError(f"`backend` must be 'auto', 'numba' or 'torch', got {backend!r}")


def on_host(backend: str, device: torch.device) -> bool:
    """Whether to use the compiled kernel rather than torch operations."""
    return backend == "numba" or (backend == "auto" and device.type == "cpu")


def region_constants(rule: TopologyRule) -> dict[str, Any]:
    """What separates regions; for `d <= radius` with d in single precision."""
    return {
        "radius": _single(rule.separator, -math.inf),
        "dilation": int(rule.separator_dilation),
        "diagonal": rule.connectivity == 8,
    }


def edge_constants(rule: TopologyRule) -> dict[str, Any]:
    """Costs of edges; for `d < bound` and `d >= bound` with d in single precision."""
    return {
        "edge_lo": _single(rule.near_bound, math.inf),
        "free_from": _single(rule.free_bound, math.inf),
        "far_cost": float(np.float32(rule.far_cost)),
        "near_cost": float(np.float32(rule.near_cost)),
        "prefer_line": rule.ties == "line",
        "equal_regions": rule.pairs == "regions",
    }


def blame_bound(rule: TopologyRule) -> float:
    """From where on bridges are blamed; for `d >= bound` with d in single precision."""
    return _single(rule.far_bound, math.inf)


def _single(value: float, towards: float) -> float:
    """The nearest number of single precision, or the one beyond it in a direction."""
    nearest = np.float32(value)
    if (float(nearest) < value) == (towards > 0) and float(nearest) != value:
        nearest = np.nextafter(nearest, np.float32(towards))
    return float(nearest)
