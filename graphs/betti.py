"""Betti numbers: how many components, loops and cavities, of a graph or of a mask.

They say that something is wrong with the topology and not where; a false loop and a lost one
cancel. A mask drawn around a centreline can have loops that the centreline has not.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True)
class BettiErrors:
    """Betti numbers of truth and prediction: components, loops, and cavities of volumes.

    Args:
        truth, predicted: one number for each dimension from 0 up.
    """

    truth: tuple[int, ...]
    predicted: tuple[int, ...]

    @property
    def errors(self) -> tuple[int, ...]:
        """Absolute difference in each dimension, 0 at best."""
        return tuple(abs(a - b) for a, b in zip(self.truth, self.predicted, strict=True))

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON."""
        names = ("components", "loops", "cavities")[: len(self.truth)]
        numbers = {"truth": self.truth, "predicted": self.predicted, "error": self.errors}
        return {
            f"{which}_{name}": number
            for which, row in numbers.items()
            for name, number in zip(names, row, strict=True)
        }


def betti_numbers(graph: NeuriteGraph | NetworkxGraph) -> tuple[int, int]:
    """Components and independent loops of a graph; nodes without edges do not count."""
    graph = as_neurite_graph(graph)
    there = graph.degrees > 0
    components = len(np.unique(graph.components[there]))
    return components, len(graph.edges) - int(there.sum()) + components


def betti_errors(
    truth: NeuriteGraph | NetworkxGraph, predicted: NeuriteGraph | NetworkxGraph
) -> BettiErrors:
    """Betti numbers of two graphs. A graph without edges has none of anything."""
    return BettiErrors(betti_numbers(truth), betti_numbers(predicted))


def mask_betti_numbers(
    mask: np.ndarray, *, connectivity: Literal["high", "low"] = "high"
) -> tuple[int, ...]:
    """Components and holes of an image, or components, loops and cavities of a volume.

    Args:
        mask: (y, x) or (z, y, x), foreground where not 0. What lies outside is background.
        connectivity: "high" joins foreground across corners (8 or 26 neighbours) and background
            across faces only (4 or 6); "low" is the other way round.
    """
    mask = np.pad(np.asarray(mask) != 0, 1)
    dims = mask.ndim
    if dims not in (2, 3):
        raise ValueError(f"`mask` must be (y, x) or (z, y, x), got {dims} dimensions")
    if connectivity not in ("high", "low"):
        raise ValueError(f'`connectivity` must be "high" or "low", got {connectivity!r}')
    near, far = (1, dims) if connectivity == "low" else (dims, 1)
    components = _count(mask, near)
    enclosed = _count(~mask, far) - 1  # the background outside is one piece
    if dims == 2:
        return components, enclosed
    from skimage.measure import euler_number  # pyright: ignore[reportMissingImports]

    loops = components + enclosed - int(euler_number(mask, connectivity=near))
    return components, loops, enclosed


def mask_betti_errors(
    truth: np.ndarray, predicted: np.ndarray, *, connectivity: Literal["high", "low"] = "high"
) -> BettiErrors:
    """Betti numbers of two masks of one shape, see `mask_betti_numbers`."""
    if truth.shape != predicted.shape:
        raise ValueError(
            f"`truth` and `predicted` must have one shape, got {truth.shape} and {predicted.shape}"
        )
    return BettiErrors(
        mask_betti_numbers(truth, connectivity=connectivity),
        mask_betti_numbers(predicted, connectivity=connectivity),
    )


def _count(mask: np.ndarray, connectivity: int) -> int:
    found: Any = label(mask, generate_binary_structure(mask.ndim, connectivity))
    return int(found[1])
