"""Groups of vertices that are joined one by one, as an array of parents."""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def find_root(parent: np.ndarray, a: int) -> int:
    """The root of a vertex, with path halving; `parent` of a root is minus the group's size."""
    while parent[a] >= 0:
        if parent[parent[a]] >= 0:
            parent[a] = parent[parent[a]]
        a = parent[a]
    return a
