"""Sets that are joined two at a time, and the question which set something is in."""

import numpy as np


class UnionFind:
    """Disjoint sets of the numbers from 0; a set is called by its least member.

    Args:
        count: numbers there are at first, each a set of its own.
    """

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def __len__(self) -> int:
        return len(self._parents)

    def add(self) -> int:
        """One number more, a set of its own."""
        self._parents.append(len(self._parents))
        return len(self._parents) - 1

    def find(self, number: int) -> int:
        """The least member of its set; on the way the path is halved."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, two: int) -> bool:
        """Make the sets of two numbers one; whether they were two before."""
        one, two = self.find(one), self.find(two)
        if one == two:
            return False
        self._parents[max(one, two)] = min(one, two)
        return True

    def roots(self) -> np.ndarray:
        """(N,) int64: what the set of each number is called."""
        return np.array([self.find(number) for number in range(len(self))], dtype=np.int64)
