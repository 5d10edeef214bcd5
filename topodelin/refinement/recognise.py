"""Whether an array of labels obeys a grammar."""

import numpy as np
from jaxtyping import Integer

from topodelin.refinement.box_table import BOOLEAN, BoxTable, check_size, fill_table
from topodelin.refinement.grammar import Grammar


def recognise(
    labels: Integer[np.ndarray, "*space"], grammar: Grammar, *, max_voxels: int
) -> BoxTable:
    """The symbols that every box of the array derives from.

    Args:
        labels: whole numbers; a label that no terminal rule knows derives from nothing.
        grammar: splits along the axes of `labels`.
        max_voxels: refuse larger arrays; time grows as rules times side^(2 dims + 1). A second is
            enough for 24 x 24 voxels and ten rules.

    Returns:
        The table; its `whole` says whether the array is valid.

    Raises ValueError for an array that is empty, too large or has too few axes.
    """
    check_size(labels.shape, grammar, max_voxels, "labels")
    leaves = np.zeros((len(grammar.symbols), *labels.shape), dtype=bool)
    for label, names in grammar.terminals.items():
        for name in names:
            leaves[grammar.symbols.index(name)] |= labels == label
    return fill_table(leaves, grammar, BOOLEAN)


def is_valid(labels: Integer[np.ndarray, "*space"], grammar: Grammar, *, max_voxels: int) -> bool:
    """Whether the array derives from the start symbol; arguments as in [`recognise`][]."""
    return bool(recognise(labels, grammar, max_voxels=max_voxels).whole)
