r"""Betti matching of two grey images: which features are the same, and from which level to which.

Let the foreground of an image grow from its highest likelihood to 0. Each component, loop or cavity
is born at one level and dies at another. Those of two images are matched where both are, by the
induced matching, the same feature of the larger image $C = \max(T, P)$: a feature of T goes with
that feature of the image of $H(T) \to H(C)$ that is born with the same cell, and this with that
feature of C that dies with the same cell. Cells of equal level are taken in the order of their
dimension and place. For masks `betti_matching` counts the same without such an order.

Each of the five barcodes is one reduction of the boundary matrix over the field of two elements,
for images of H(T) and H(P) with rows in the order of the one and columns in that of C. The time
grows faster than the number of cells: meant for patches, about 100 x 100 or 16 x 16 x 16.

References:
    N. Stucki, J. C. Paetzold, S. Shit, B. Menze, U. Bauer. Topologically faithful image
    segmentation via induced matching of persistence barcodes. ICML 2023.
    D. Cohen-Steiner, H. Edelsbrunner, J. Harer, D. Morozov. Persistent homology for kernels,
    images, and cokernels. SODA 2009.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from topodelin.graphs.betti import Connectivity, check_connectivity
from topodelin.graphs.pooling import pooled_by

Pairs = dict[int, int]  # from the cell that a feature dies with to the cell that it is born with


def _side_by_side(results: Sequence[Any], name: str) -> tuple[np.ndarray, ...]:
    """The rows of all, dimension by dimension."""
    rows = zip(*(getattr(result, name) for result in results), strict=True)
    return tuple(np.concatenate(bars) for bars in rows)


@dataclass(frozen=True, eq=False)
class BarcodeMatching:
    """Features of two images, by dimension: components, loops, and cavities of volumes.

    Args:
        matched: for each dimension (K, 4): birth and death in the truth and in the prediction.
        unmatched_truth, unmatched_predicted: for each dimension (K, 2): birth and death.
    """

    matched: tuple[np.ndarray, ...] = field(metadata=pooled_by(_side_by_side))
    unmatched_truth: tuple[np.ndarray, ...] = field(metadata=pooled_by(_side_by_side))
    unmatched_predicted: tuple[np.ndarray, ...] = field(metadata=pooled_by(_side_by_side))

    @property
    def error(self) -> int:
        """Number of features without a partner, 0 at best."""
        return sum(len(bars) for bars in self.unmatched_truth + self.unmatched_predicted)

    @property
    def squared_distance(self) -> float:
        """Of matched features (birth, death) to each other, of the others to birth = death."""
        near = sum(float(((bars[:, :2] - bars[:, 2:]) ** 2).sum()) for bars in self.matched)
        alone = self.unmatched_truth + self.unmatched_predicted
        return near + sum(float(((bars[:, 0] - bars[:, 1]) ** 2).sum()) / 2 for bars in alone)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON."""
        names = ("components", "loops", "cavities")
        rows = {
            "matched": self.matched,
            "unmatched_truth": self.unmatched_truth,
            "unmatched_predicted": self.unmatched_predicted,
        }
        found: dict[str, float | None] = {
            f"{which}_{name}": len(bars)
            for which, row in rows.items()
            for name, bars in zip(names, row, strict=False)
        }
        return {
            "barcode_matching_error": self.error,
            "barcode_squared_distance": self.squared_distance,
            **found,
        }


def match_barcodes(
    truth: np.ndarray, predicted: np.ndarray, *, connectivity: Connectivity = "high"
) -> BarcodeMatching:
    """Match the components, loops and cavities of two likelihoods at all levels.

    Args:
        truth: (y, x) or (z, y, x), numbers from 0 (background) up, or a mask. Outside is 0.
        predicted: the same shape.
        connectivity: as in `betti_matching`.

    A feature that is born and dies at one level does not count.
    """
    check_connectivity(connectivity)
    one, two = _likelihood(truth, "truth"), _likelihood(predicted, "predicted")
    if one.shape != two.shape:
        raise ValueError(
            f"`truth` and `predicted` must have one shape, got {one.shape} and {two.shape}"
        )
    levels = [_levels(image, connectivity) for image in (one, two, np.maximum(one, two))]
    cells = _Cells(levels[0].shape)
    flat = [level.ravel() for level in levels]
    orders = [np.lexsort((cells.dimensions, -level)) for level in flat]
    both, born = cells.pairs(orders[2], orders[2], None)
    barcodes = []
    for level, order in zip(flat[:2], orders[:2], strict=True):
        own, _ = cells.pairs(order, order, None)
        of_image, _ = cells.pairs(orders[2], order, born)
        # From the cell that a feature of both dies with to that which one of this is born with.
        partner = {
            death: birth
            for death, birth in of_image.items()
            if death in both and level[birth] > _death(flat[2], death)
        }
        bars = {
            birth: (float(level[birth]), _death(level, death))
            for death, birth in own.items()
            if level[birth] > _death(level, death)
        }
        barcodes.append((partner, bars))
    (first, bars_one), (second, bars_two) = barcodes
    pairs = [(first[death], second[death]) for death in first if death in second]
    pairs = [(a, b) for a, b in pairs if a in bars_one and b in bars_two]
    taken_one, taken_two = {a for a, _ in pairs}, {b for _, b in pairs}
    dims = range(one.ndim)
    dimension = cells.dimensions
    return BarcodeMatching(
        tuple(
            _rows([bars_one[a] + bars_two[b] for a, b in pairs if dimension[a] == k], 4)
            for k in dims
        ),
        tuple(
            _rows([v for a, v in bars_one.items() if a not in taken_one and dimension[a] == k], 2)
            for k in dims
        ),
        tuple(
            _rows([v for b, v in bars_two.items() if b not in taken_two and dimension[b] == k], 2)
            for k in dims
        ),
    )


NEVER = -1  # stands for the cell that the last component dies with


def _death(level: np.ndarray, cell: int) -> float:
    return 0.0 if cell == NEVER else float(level[cell])


def _rows(bars: list[tuple[float, ...]], width: int) -> np.ndarray:
    return np.array(sorted(bars, reverse=True), dtype=np.float64).reshape(-1, width)


def _likelihood(values: np.ndarray, name: str) -> np.ndarray:
    image = np.asarray(values).astype(np.float64)
    if image.ndim not in (2, 3):
        raise ValueError(f"`{name}` must be (y, x) or (z, y, x), got {image.ndim} dimensions")
    if not (image >= 0).all() or np.isinf(image).any():
        raise ValueError(f"`{name}` must hold finite numbers from 0 (background) up")
    return image


def _levels(image: np.ndarray, connectivity: Connectivity) -> np.ndarray:
    """The level at which each cell comes in, on a grid of twice the density.

    A cell has as many dimensions as odd coordinates. With high connectivity voxels are the cells of
    the highest dimension, with low connectivity those of dimension 0.
    """
    image = np.pad(image, 1)
    size = tuple(2 * length + (1 if connectivity == "high" else -1) for length in image.shape)
    levels = np.full(size, -np.inf if connectivity == "high" else np.inf)
    levels[(slice(1 if connectivity == "high" else 0, None, 2),) * image.ndim] = image
    spread = maximum_filter if connectivity == "high" else minimum_filter
    return np.asarray(spread(levels, size=3, mode="nearest"))


class _Cells:
    """The cells of a grid, and which of them are paired when they come in one after the other."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        odd = np.indices(shape) % 2
        self.dimensions = odd.sum(axis=0).ravel()
        strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        sides = odd.reshape(len(shape), -1)
        self._faces = [
            np.stack([np.flatnonzero(side) - stride, np.flatnonzero(side) + stride])
            for side, stride in zip(sides, strides, strict=True)
        ]
        self._odd = [np.flatnonzero(side) for side in sides]

    def pairs(
        self, columns: np.ndarray, rows: np.ndarray, born: set[int] | None
    ) -> tuple[Pairs, set[int]]:
        """Reduce the boundary matrix.

        Args:
            columns, rows: cells in the order in which they come in, for columns and rows.
            born: cells known to begin a feature in the order of the columns, if known.

        Returns:
            The pairs, and the cells that begin a feature in the order of the columns. The cell in
            the pair of `NEVER` is the first of the rows: the component that is left at the end.
        """
        rank = np.empty(len(rows), dtype=np.int64)
        rank[rows] = np.arange(len(rows))
        boundary: list[list[int]] = [[] for _ in range(len(rows))]
        for odd, faces in zip(self._odd, self._faces, strict=True):
            for cell, low, high in zip(
                odd.tolist(), rank[faces[0]].tolist(), rank[faces[1]].tolist(), strict=True
            ):
                boundary[cell] += (low, high)
        found: Pairs = {NEVER: int(rows[0])}
        begin = set() if born is None else born
        for dimension in range(int(self.dimensions.max()), 0, -1):
            reduced: dict[int, set[int]] = {}
            for cell in columns[self.dimensions[columns] == dimension].tolist():
                if cell in begin:  # then its column is a sum of those before
                    continue
                column = set(boundary[cell])
                while column and (last := max(column)) in reduced:
                    column ^= reduced[last]
                if column:
                    reduced[last] = column
                    found[cell] = int(rows[last])
            if born is None:
                begin |= {found[cell] for cell in found if self.dimensions[cell] == dimension}
        return found, begin
