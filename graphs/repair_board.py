"""What repairs would do to the scores, on paper: fragments of the tracing that join and part.

The tracing without its bridges falls into fragments. Bridges join fragments that should be apart,
and gaps part fragments that should be joined. So a repair takes away some joins and some cable of
the truth that lies where it should not, and adds others, and the scores follow from the cable of
each tree of the truth on each group of joined fragments.

Every join and every piece of cable is there for some of the states that are asked about. They are
put on and taken off in the order of a segment tree over the states (offline dynamic connectivity),
each on log(states) times, instead of all of them once for each state.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Span = tuple[int, int]  # from the first state up to before the second


@dataclass(frozen=True, eq=False, slots=True)
class Board:
    """The table that repairs are made on.

    Args:
        fragments: how many there are.
        joins: pairs of fragments that are joined for good.
        until: error and two fragments that are joined until it is repaired.
        since: error and two fragments that are joined once it is repaired.
        cable: tree of the truth, fragment and µm of the truth that lie there for good.
        cable_until: error, tree, fragment and µm, until it is repaired.
        cable_since: the same, once it is repaired.
        merge_length: µm of a second tree from which on a group counts as merged.
    """

    fragments: int
    joins: Sequence[tuple[int, int]]
    until: Sequence[tuple[int, int, int]]
    since: Sequence[tuple[int, int, int]]
    cable: Sequence[tuple[int, int, float]]
    cable_until: Sequence[tuple[int, int, int, float]]
    cable_since: Sequence[tuple[int, int, int, float]]
    merge_length: float


@dataclass(frozen=True, eq=False, slots=True)
class BoardScores:
    """Sums over the groups in each state, µm².

    Args:
        runs: squared cable of each tree on each group that is not merged.
        kept: squared cable of each tree on each group.
        joined: squared cable of each group.
    """

    runs: np.ndarray
    kept: np.ndarray
    joined: np.ndarray


def board_scores(board: Board, repairs: Sequence[Span], states: int) -> BoardScores:
    """The sums in a number of states, given in which of them each error is repaired.

    Args:
        board: the fragments, joins and cable.
        repairs: for each error one span of states.
        states: how many there are.
    """
    groups = _Groups(board.fragments, max(board.merge_length, 1e-12))
    for one, two in board.joins:
        groups.join(one, two)
    for entry in board.cable:
        groups.lay(*entry)

    def before_and_after(error: int) -> list[Span]:
        begin, end = repairs[error]
        return [span for span in ((0, begin), (end, states)) if span[0] < span[1]]

    changes: list[tuple[Span, tuple]] = []
    for error, *change in (*board.until, *board.cable_until):
        changes += [(span, tuple(change)) for span in before_and_after(error)]
    for error, *change in (*board.since, *board.cable_since):
        changes.append((repairs[error], tuple(change)))

    sums = np.zeros((states, 3))
    waiting = [(0, states, changes, -1)]
    while waiting:
        first, last, here, mark = waiting.pop()
        if mark >= 0:
            groups.undo(mark)
            continue
        waiting.append((0, 0, [], groups.mark))
        later = []
        for entry in here:
            (begin, end), change = entry
            if first < begin or end < last:
                later.append(entry)
            elif len(change) == 2:
                groups.join(*change)
            else:
                groups.lay(*change)
        if last - first == 1:
            sums[first] = groups.sums
            continue
        middle = (first + last) // 2
        waiting.append((middle, last, [e for e in later if e[0][1] > middle], -1))
        waiting.append((first, middle, [e for e in later if e[0][0] < middle], -1))
    return BoardScores(*sums.T)


class _Groups:
    """Fragments in groups and the cable on them; what was done last can be undone."""

    def __init__(self, fragments: int, merge_length: float) -> None:
        self._merge_length = merge_length
        self._parent = list(range(fragments))
        self._size = [1] * fragments
        self._cable: list[dict[int, float]] = [{} for _ in range(fragments)]
        # Of each group: its cable, the squared cable of its trees, and how many trees lie on it.
        self._of = [(0.0, 0.0, 0)] * fragments
        self.sums = (0.0, 0.0, 0.0)  # runs, kept, joined
        self._log: list[tuple] = []

    @property
    def mark(self) -> int:
        """How much has been done so far."""
        return len(self._log)

    def join(self, one: int, two: int) -> None:
        """Make one group of the groups of two fragments."""
        one, two = self._root(one), self._root(two)
        if one == two:
            return
        if self._size[one] < self._size[two]:
            one, two = two, one
        most, least = self._cable[one], self._cable[two]
        if len(most) < len(least):
            most, least = least, most
        (cable, squares, lying), (more, squares_more, lying_more) = self._of[one], self._of[two]
        self._log.append((self.sums, one, self._of[one], two, self._cable[one], most, least, []))
        before = self._log[-1][-1]
        squares, lying = squares + squares_more, lying + lying_more
        for tree, length in least.items():
            old = most.get(tree)
            before.append((tree, old))
            if old is None:
                most[tree] = length
            else:
                most[tree] = old + length
                squares += 2 * old * length
                lying += self._lies(old + length) - self._lies(old) - self._lies(length)
        self._count(one, two, (cable + more, squares, lying))
        self._parent[two] = one
        self._size[one] += self._size[two]
        self._cable[one] = most

    def lay(self, tree: int, fragment: int, length: float) -> None:
        """Put cable of a tree on a fragment."""
        group = self._root(fragment)
        (cable, squares, lying), trees = self._of[group], self._cable[group]
        old = trees.get(tree)
        self._log.append((self.sums, group, self._of[group], tree, old))
        now = length if old is None else old + length
        was = 0.0 if old is None else old
        trees[tree] = now
        squares += length * (length + 2 * was)
        lying += self._lies(now) - self._lies(was)
        self._count(group, -1, (cable + length, squares, lying))

    def undo(self, mark: int) -> None:
        """Take back what was done since."""
        while len(self._log) > mark:
            entry = self._log.pop()
            self.sums, one, self._of[one] = entry[:3]
            if len(entry) == 5:
                _restore(self._cable[one], [entry[3:]])
                continue
            two, own, most, least, before = entry[3:]
            _restore(most, before)
            self._cable[one], self._parent[two] = own, two
            self._size[one] -= self._size[two]

    def _root(self, fragment: int) -> int:
        while self._parent[fragment] != fragment:
            fragment = self._parent[fragment]
        return fragment

    def _lies(self, length: float) -> int:
        return int(length >= self._merge_length)

    def _count(self, one: int, two: int, now: tuple[float, float, int]) -> None:
        """Put the new numbers of a group in the place of its own and those of another, if any."""
        runs, kept, joined = self.sums
        for sign, (cable, squares, lying) in (
            (-1, self._of[one]),
            *(((-1, self._of[two]),) if two >= 0 else ()),
            (1, now),
        ):
            runs += sign * squares * (lying < 2)
            kept += sign * squares
            joined += sign * cable * cable
        self._of[one] = now
        self.sums = runs, kept, joined


def _restore(cable: dict[int, float], before: Sequence[tuple[int, float | None]]) -> None:
    for tree, old in before:
        if old is None:
            del cable[tree]
        else:
            cable[tree] = old
