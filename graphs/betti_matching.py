r"""Betti matching of two masks: components, loops and cavities that lie at the same place in both.

Both masks lie within their union $U$. A feature counts as matched where both have it there:

$$\text{matched}_k = \dim\bigl(\operatorname{im}(H_k(T) \to H_k(U)) \cap
  \operatorname{im}(H_k(P) \to H_k(U))\bigr)$$

over the field of two elements; the features of either mask that are left, Betti number minus
matched, are unmatched. Unlike in the plain difference of Betti numbers, a lost loop and a false
one elsewhere do not cancel. For masks this is the number of matched features of Betti matching;
ties, which barcodes break by the order of voxels, are settled by linear algebra.

Components are matched where a component of the union holds one of either mask. By duality, the
features of the highest dimension are those of the backgrounds. For loops of volumes the rank of
each map is the number of loops of the mask that persist in the union, by gudhi's cubical complex,
and the rank of both together follows from the sequence of Mayer and Vietoris.

References:
    N. Stucki, J. C. Paetzold, S. Shit, B. Menze, U. Bauer. Topologically faithful image
    segmentation via induced matching of persistence barcodes. ICML 2023.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import generate_binary_structure, label, maximum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from topodelin.graphs.betti import mask_betti_numbers


@dataclass(frozen=True)
class BettiMatching:
    """Features of both masks and those at the same place, one number for each dimension.

    Args:
        truth, predicted: Betti numbers: components, loops, and cavities of volumes.
        matched: features that both have at the same place.
    """

    truth: tuple[int, ...]
    predicted: tuple[int, ...]
    matched: tuple[int, ...]

    @property
    def unmatched_truth(self) -> tuple[int, ...]:
        """Lost features in each dimension, 0 at best."""
        return tuple(a - b for a, b in zip(self.truth, self.matched, strict=True))

    @property
    def unmatched_predicted(self) -> tuple[int, ...]:
        """False features in each dimension, 0 at best."""
        return tuple(a - b for a, b in zip(self.predicted, self.matched, strict=True))

    @property
    def error(self) -> int:
        """All lost and false features, 0 at best."""
        return sum(self.unmatched_truth) + sum(self.unmatched_predicted)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON."""
        names = ("components", "loops", "cavities")[: len(self.truth)]
        numbers = {
            "truth": self.truth,
            "predicted": self.predicted,
            "matched": self.matched,
            "unmatched_truth": self.unmatched_truth,
            "unmatched_predicted": self.unmatched_predicted,
        }
        found: dict[str, float | None] = {
            f"{which}_{name}": number
            for which, row in numbers.items()
            for name, number in zip(names, row, strict=True)
        }
        return {"betti_matching_error": self.error, **found}


def betti_matching(truth: np.ndarray, predicted: np.ndarray) -> BettiMatching:
    """Match the components, loops and cavities of two masks.

    Args:
        truth: (y, x) or (z, y, x), foreground where not 0. What lies outside is background.
        predicted: the same shape.

    Foreground joins across corners, background across faces only. The loops of a volume take
    gudhi about a second for 64 x 64 x 64 voxels.
    """
    truth, predicted = np.asarray(truth) != 0, np.asarray(predicted) != 0
    if truth.shape != predicted.shape:
        raise ValueError(
            f"`truth` and `predicted` must have one shape, got {truth.shape} and {predicted.shape}"
        )
    numbers = mask_betti_numbers(truth), mask_betti_numbers(predicted)
    one, two = np.pad(truth, 1), np.pad(predicted, 1)
    components = _components_of_both(one, two)
    enclosed = _enclosed_in_both(one, two)
    if one.ndim == 2:
        return BettiMatching(*numbers, (components, enclosed))
    return BettiMatching(*numbers, (components, _loops_in_both(one, two), enclosed))


def _components_of_both(one: np.ndarray, two: np.ndarray) -> int:
    """Components of the union that hold a part of either mask."""
    union, _ = _label(one | two, one.ndim)
    return len(np.intersect1d(union[one], union[two]))


def _enclosed_in_both(one: np.ndarray, two: np.ndarray) -> int:
    """Holes of an image or cavities of a volume that both masks enclose."""
    outside = ~(one | two)
    joined = _joined(_label(~one, 1)[0][outside], _label(~two, 1)[0][outside])
    return joined - 1  # the background outside is one of them


def _loops_in_both(one: np.ndarray, two: np.ndarray) -> int:
    """Dimension of the intersection of both images, by that of their sum."""
    union = one | two
    if not one.any() or not two.any():
        return 0
    # Cells of the two complexes of closed voxels: odd places are voxels, others their faces.
    cells_one, cells_two = _cells(one), _cells(two)
    labels_one, count_one = _label(cells_one, 1)
    labels_two, count_two = _label(cells_two, 1)
    shared, count = _label(cells_one & cells_two, 1)
    # Cycles of the graph that joins the components of both masks by those that they share.
    place = np.unique(shared.ravel(), return_index=True)[1][1:]
    pairs = labels_one.ravel()[place], labels_two.ravel()[place]
    rank = len(np.unique(pairs[0])) + len(np.unique(pairs[1])) - (_joined(*pairs) if count else 0)
    of_sum = mask_betti_numbers(union)[1] - (count - rank)
    return _persisting_loops(one, union) + _persisting_loops(two, union) - of_sum


def _persisting_loops(mask: np.ndarray, union: np.ndarray) -> int:
    """Loops of a mask that are loops of the union too."""
    from gudhi import CubicalComplex  # pyright: ignore[reportMissingImports]

    values = np.where(mask, 0.0, np.where(union, 1.0, 2.0))
    complex_ = CubicalComplex(top_dimensional_cells=values)
    complex_.compute_persistence(homology_coeff_field=2)
    bars = np.asarray(complex_.persistence_intervals_in_dimension(1)).reshape(-1, 2)
    return int(((bars[:, 0] == 0) & (bars[:, 1] == 2)).sum())


def _cells(mask: np.ndarray) -> np.ndarray:
    """The complex of closed voxels on a grid of twice the density."""
    cells = np.zeros(tuple(2 * size + 1 for size in mask.shape), dtype=bool)
    cells[(slice(1, None, 2),) * mask.ndim] = mask
    return np.asarray(maximum_filter(cells, size=3))


def _joined(one: np.ndarray, two: np.ndarray) -> int:
    """Components of the graph whose edges join the numbers in two lists."""
    one, two = (np.unique(side, return_inverse=True)[1] for side in (one, two))
    height, width = int(one.max()) + 1, int(two.max()) + 1
    edges = np.unique(one * width + two)
    links = coo_array(
        (np.ones(len(edges)), (edges // width, height + edges % width)),
        shape=(height + width, height + width),
    )
    return int(connected_components(links, directed=False)[0])


def _label(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    found: Any = label(mask, generate_binary_structure(mask.ndim, connectivity))
    return found[0], int(found[1])
