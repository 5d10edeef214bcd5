r"""What every box of an array derives from, small boxes first (the CYK algorithm).

Of every shape of a box there is one array, so that all positions are worked on at once. A box of
more than one voxel combines, for every axis, every plane that cuts it and every rule across that
axis, what its two parts hold:

$$T_A(\text{box}) = \bigoplus_{A \to B \circ_a C} \bigoplus_{\text{planes}}
    T_B(\text{near}) \otimes T_C(\text{far})$$

and renamings are applied at the end. With (or, and) on truth values this recognises; with
(max, +) on log-probabilities it finds the best. The work grows as rules times side^(2 dims + 1),
the memory as symbols times side^(2 dims).

References:
    D. H. Younger. Recognition and parsing of context-free languages in time n^3. Information and
    Control 1967.
    M. I. Schlesinger, V. Hlaváč. Ten lectures on statistical and structural pattern recognition.
    Kluwer 2002.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from topodelin.refinement.grammar import Grammar

Shape = tuple[int, ...]
Operation = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Semiring:
    """How two derivations of the same box are joined, and those of two parts of one box."""

    zero: float | bool  # no derivation; what joins with it stays
    join: np.ufunc
    combine: np.ufunc


BOOLEAN = Semiring(False, np.logical_or, np.logical_and)
MAX_PLUS = Semiring(-np.inf, np.maximum, np.add)


@dataclass(frozen=True)
class BoxTable:
    """The value of every symbol at every box.

    Args:
        grammar: whose symbols they are.
        derived: for every shape of a box, an array `(symbol, *position)` before renamings.
        values: the same after renamings.
    """

    grammar: Grammar
    derived: dict[Shape, np.ndarray]
    values: dict[Shape, np.ndarray]

    @property
    def shape(self) -> Shape:
        """Of the array."""
        return tuple(max(sizes) for sizes in zip(*self.values, strict=True))

    @property
    def whole(self) -> float | bool:
        """The value of the start symbol at the box of the whole array."""
        start = self.grammar.symbols.index(self.grammar.start)
        return self.values[self.shape][start].item()

    def symbols(self, position: Shape, shape: Shape) -> frozenset[str]:
        """The symbols that the box at `position` derives from, where values are truth values."""
        held = self.values[shape][(slice(None), *position)]
        names = self.grammar.symbols
        return frozenset(name for name, holds in zip(names, held, strict=True) if holds)


def fill_table(leaves: np.ndarray, grammar: Grammar, semiring: Semiring) -> BoxTable:
    """The table of an array, given the values `(symbol, *space)` of its single voxels."""
    space = leaves.shape[1:]
    rules = [grammar.across(axis) for axis in range(len(space))]
    derived: dict[Shape, np.ndarray] = {}
    values: dict[Shape, np.ndarray] = {}
    for shape in itertools.product(*(range(1, size + 1) for size in space)):
        if math.prod(shape) == 1:
            derived[shape] = leaves
        else:
            derived[shape] = _combined(shape, space, values, rules, semiring, len(leaves))
        values[shape] = _renamed(derived[shape], grammar, semiring)
    return BoxTable(grammar, derived, values)


def cuts(shape: Shape, space: Shape, axis: int) -> Iterator[tuple[Shape, Shape, tuple, tuple]]:
    """Every way to cut boxes of a shape across an axis.

    Yields the shapes of the near and the far part, and where the parts of all boxes stand in the
    arrays `(symbol, *position)` of those shapes.
    """
    room = [slice(0, size - side + 1) for size, side in zip(space, shape, strict=True)]
    for near in range(1, shape[axis]):
        first = (*shape[:axis], near, *shape[axis + 1 :])
        second = (*shape[:axis], shape[axis] - near, *shape[axis + 1 :])
        far = [*room]
        far[axis] = slice(near, near + room[axis].stop)
        yield first, second, (slice(None), *room), (slice(None), *far)


def check_size(space: Shape, grammar: Grammar, max_voxels: int, name: str) -> None:
    """Refuse arrays with too few axes for the grammar, or with more voxels than agreed."""
    if grammar.axes > len(space):
        raise ValueError(
            f"`{name}` must have {grammar.axes} axes, as the grammar splits across axis "
            f"{grammar.axes - 1}, got shape {space}"
        )
    if 0 in space or not space:
        raise ValueError(f"`{name}` must hold at least one voxel, got shape {space}")
    if math.prod(space) > max_voxels:
        steps = sum(len(grammar.across(a)) * (n - 1) / 3 for a, n in enumerate(space))
        steps *= math.prod(n * (n + 1) / 2 for n in space)
        raise ValueError(
            f"`{name}` must have at most `max_voxels` = {max_voxels} voxels, got {math.prod(space)}"
            f" {space}, about {steps:.0e} steps; crop a window, downsample, or raise `max_voxels`"
        )


def _combined(
    shape: Shape,
    space: Shape,
    values: dict[Shape, np.ndarray],
    rules: list[np.ndarray],
    semiring: Semiring,
    symbols: int,
) -> np.ndarray:
    """All splits of all boxes of a shape, joined."""
    positions = tuple(size - side + 1 for size, side in zip(space, shape, strict=True))
    joined = np.full((symbols, *positions), semiring.zero)
    for axis, across in enumerate(rules):
        for first, second, near, far in cuts(shape, space, axis) if len(across) else ():
            left, right = values[first][near], values[second][far]
            holds = (left != semiring.zero).reshape(symbols, -1).any(1)
            beyond = (right != semiring.zero).reshape(symbols, -1).any(1)
            for a, b, c in across[holds[across[:, 1]] & beyond[across[:, 2]]]:
                semiring.join(joined[a], semiring.combine(left[b], right[c]), out=joined[a])
    return joined


def _renamed(derived: np.ndarray, grammar: Grammar, semiring: Semiring) -> np.ndarray:
    """Every symbol joined with those it can be renamed to."""
    values = derived.copy()
    for a, row in enumerate(grammar.renamed):
        for b in np.flatnonzero(row):
            semiring.join(values[a], derived[b], out=values[a, ...])
    return values
