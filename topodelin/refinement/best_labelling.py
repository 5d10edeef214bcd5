r"""The most probable labelling among those that obey a grammar.

$$\hat x = \arg\max_{x \text{ valid}} \sum_i \ln p_i(x_i)$$

A voxel that breaks the structure is corrected by what the rest of the box allows. The sum is
filled in for all boxes with (max, +), and the labels are read back from the whole box downwards.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int64

from topodelin.refinement.box_table import MAX_PLUS, BoxTable, Shape, check_size, cuts, fill_table
from topodelin.refinement.grammar import Grammar


def best_labelling(
    log_probabilities: Float[np.ndarray, " classes *space"],
    grammar: Grammar,
    *,
    max_voxels: int,
) -> tuple[Int64[np.ndarray, "*space"], float]:
    """The valid labelling with the largest sum of log-probabilities, and that sum.

    Args:
        log_probabilities: of label `k` in channel `k`; -inf forbids a label at a voxel. They need
            not be normalised. The labels of the grammar must be channels.
        grammar, max_voxels: as in [`recognise`][]; takes several times as long.

    Of equally good labellings the first rule, and the nearest plane, decide.

    Raises:
        ValueError: where no labelling is valid and possible, for NaN or +inf, and for sizes as in
            [`recognise`][].
    """
    channels, space = len(log_probabilities), log_probabilities.shape[1:]
    check_size(space, grammar, max_voxels, "log_probabilities")
    if not (log_probabilities < np.inf).all():
        raise ValueError("`log_probabilities` must be below infinity and hold no NaN")
    strange = [label for label in grammar.terminals if not 0 <= label < channels]
    if strange:
        raise ValueError(
            f"`log_probabilities` must have a channel for every label of the grammar, got "
            f"{channels} channels and the label {strange[0]}"
        )
    scores = log_probabilities.astype(np.float64)
    leaves = np.full((len(grammar.symbols), *space), -np.inf)
    for label, names in grammar.terminals.items():
        for name in names:
            row = grammar.symbols.index(name)
            leaves[row] = np.maximum(leaves[row], scores[label])
    table = fill_table(leaves, grammar, MAX_PLUS)
    if table.whole == -np.inf:
        raise ValueError(
            f"no labelling of shape {space} obeys the grammar with a probability above 0; check "
            "that it derives arrays of this size, and `log_probabilities` for -inf"
        )
    return _read_back(table, scores), float(table.whole)


def _read_back(table: BoxTable, scores: np.ndarray) -> Int64[np.ndarray, "*space"]:
    """The labels of a derivation that attains the value of the whole."""
    grammar, space = table.grammar, table.shape
    labels = np.zeros(space, dtype=np.int64)
    start = grammar.symbols.index(grammar.start)
    pending = [(start, (0,) * len(space), space)]
    while pending:
        symbol, position, shape = pending.pop()
        at = (slice(None), *position)
        value = table.values[shape][at][symbol]
        same = table.derived[shape][at] == value
        origin = int(np.argmax(grammar.renamed[symbol] & same))
        if max(shape) > 1:
            pending += next(_ways(table, origin, position, shape))
        else:
            producing = [
                k for k, names in grammar.terminals.items() if grammar.symbols[origin] in names
            ]
            labels[position] = producing[int(np.argmax(scores[producing][at]))]
    return labels


def _ways(
    table: BoxTable, symbol: int, position: Shape, shape: Shape
) -> Iterator[list[tuple[int, Shape, Shape]]]:
    """The two parts of a box, and their symbols, wherever they give it its value."""
    value = table.derived[shape][(symbol, *position)]
    for axis in range(len(shape)):
        rules = table.grammar.across(axis)
        rules = rules[rules[:, 0] == symbol]
        for first, second, _, _ in cuts(shape, table.shape, axis):
            beyond = tuple(p + first[axis] * (k == axis) for k, p in enumerate(position))
            near = table.values[first][(slice(None), *position)]
            far = table.values[second][(slice(None), *beyond)]
            for _, b, c in rules:
                if near[b] + far[c] == value:
                    yield [(int(b), position, first), (int(c), beyond, second)]
