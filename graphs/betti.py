"""Betti numbers: how many components, loops and cavities, of a graph or of a mask.

They say that something is wrong with the topology and not where; a false loop and a lost one
cancel. A mask drawn around a centreline can have loops that the centreline has not.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph

Connectivity = Literal["high", "low"]


@dataclass(frozen=True)
class BettiErrors:
    """Betti numbers of truth and prediction: components, loops, and cavities of volumes.

    Args:
        truth, predicted: one number for each dimension from 0 up.
        errors: absolute difference in each dimension, 0 at best.

    To pool several images, add the errors: differences of the sums would cancel.
    """

    truth: tuple[int, ...]
    predicted: tuple[int, ...]
    errors: tuple[int, ...]

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
    return _compared(betti_numbers(truth), betti_numbers(predicted))


def mask_betti_numbers(mask: np.ndarray, *, connectivity: Connectivity = "high") -> tuple[int, ...]:
    """Components and holes of an image, or components, loops and cavities of a volume.

    Args:
        mask: (y, x) or (z, y, x), foreground where not 0. What lies outside is background.
        connectivity: "high" joins foreground across corners (8 or 26 neighbours) and background
            across faces only (4 or 6); "low" is the other way round.
    """
    check_connectivity(connectivity)
    mask = np.pad(as_mask(mask, "mask"), 1)
    dims = mask.ndim
    near, far = (1, dims) if connectivity == "low" else (dims, 1)
    components = labelled(mask, near)[1]
    enclosed = labelled(~mask, far)[1] - 1  # the background outside is one piece
    if dims == 2:
        return components, enclosed
    from skimage.measure import euler_number  # pyright: ignore[reportMissingImports]

    loops = components + enclosed - int(euler_number(mask, connectivity=near))
    return components, loops, enclosed


def mask_betti_errors(
    truth: np.ndarray, predicted: np.ndarray, *, connectivity: Connectivity = "high"
) -> BettiErrors:
    """Betti numbers of two masks of one shape, see `mask_betti_numbers`."""
    truth, predicted = check_masks(truth, predicted)
    return _compared(
        mask_betti_numbers(truth, connectivity=connectivity),
        mask_betti_numbers(predicted, connectivity=connectivity),
    )


def check_masks(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two masks as booleans; refuse what is no image or volume, or of two shapes."""
    truth, predicted = as_mask(truth, "truth"), as_mask(predicted, "predicted")
    if truth.shape != predicted.shape:
        raise ValueError(
            f"`truth` and `predicted` must have one shape, got {truth.shape} and {predicted.shape}"
        )
    return truth, predicted


def as_mask(values: np.ndarray, name: str) -> np.ndarray:
    """Booleans, True where not 0; refuse what is no image or volume, or has NaN."""
    mask = np.asarray(values)
    if mask.ndim not in (2, 3):
        raise ValueError(f"`{name}` must be (y, x) or (z, y, x), got {mask.ndim} dimensions")
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        raise ValueError(f"`{name}` must be without NaN, got {int(np.isnan(mask).sum())} of them")
    return mask if mask.dtype == bool else mask != 0


def check_connectivity(connectivity: str) -> None:
    """Refuse what is neither "high" nor "low"."""
    if connectivity not in ("high", "low"):
        raise ValueError(f'`connectivity` must be "high" or "low", got {connectivity!r}')


def _compared(truth: tuple[int, ...], predicted: tuple[int, ...]) -> BettiErrors:
    errors = tuple(abs(a - b) for a, b in zip(truth, predicted, strict=True))
    return BettiErrors(truth, predicted, errors)


def labelled(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    """The component of each voxel, 0 in the background, and how many there are.

    Args:
        mask: booleans.
        connectivity: 1 joins across faces only; the number of axes joins across corners too.
    """
    found: Any = label(mask, generate_binary_structure(mask.ndim, connectivity))
    return found[0], int(found[1])
