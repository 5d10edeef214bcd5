"""One-to-one assignment among few allowed pairs: as many as possible, at the least cost."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree


def assign(rows: np.ndarray, columns: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Choose pairs so that no row and no column is in two of them.

    Args:
        rows, columns: (K,) the allowed pairs, none twice.
        costs: (K,) finite numbers from 0 up.

    Returns:
        Ascending places in the list of pairs: as many pairs as can be, of those the cheapest sum.

    Each row also gets a column of its own that stands for no partner and costs more than all
    partners together, so the work and the memory are those of a sparse table.
    """
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    rows, columns = (np.unique(side, return_inverse=True)[1] for side in (rows, columns))
    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    alone = np.arange(height)
    # A stored 0 would be no pair, so every cost is one more than it is.
    dear = (costs.max() + 2.0) * (min(height, width) + 1)
    table = coo_array(
        (
            np.concatenate([costs + 1.0, np.full(height, dear)]),
            (np.append(rows, alone), np.append(columns, width + alone)),
        ),
        shape=(height, width + height),
    )
    row, column = min_weight_full_bipartite_matching(table.tocsr())
    row, column = row[column < width], column[column < width]
    key = rows * width + columns
    order = np.argsort(key)
    return np.sort(order[np.searchsorted(key[order], row * width + column)])


def pairs_within(
    one: np.ndarray, two: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of two lists of points at most `limit` apart, and how far; in the order of the rows."""
    if not len(one) or not len(two):
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, np.zeros(0)
    near = KDTree(two).query_ball_point(one, limit, return_sorted=True)
    rows = np.repeat(np.arange(len(one)), [len(found) for found in near])
    columns = np.concatenate([np.asarray(found, dtype=np.int64) for found in near])
    return rows, columns, np.linalg.norm(one[rows] - two[columns], axis=1)
