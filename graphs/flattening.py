"""Waves taken out of sequences of numbers: penalised least squares with fixed ends.

A chain of voxels follows a curve in steps, so it is longer than the curve. The curve is recovered
as the sequence u that lies near the sequence v of the chain and bends smoothly:

    minimise over u:  sum_i (u_i - v_i)^2  +  sum_i w_i (u_{i+3} - 3 u_{i+2} + 3 u_{i+1} - u_i)^2

with the first and the last number fixed. With w = (h / pi)^6 a wave of 2 h numbers is halved, one
of half that length falls to a 65th, one of twice that length loses a 65th: the steps of the voxels
go and the bends of the curve stay. A moving average that flattens as much takes far more off the
bends. Sequences without third differences (lines and parabolas) are not changed at all.

References:
    E. T. Whittaker. On a new method of graduation. Proceedings of the Edinburgh Mathematical
    Society 41, 1923.
"""

import numpy as np

THIRD_DIFFERENCE = (-1.0, 3.0, -3.0, 1.0)
ORDER = 3
LONGEST = 300.0  # half waves beyond this many numbers would leave no digits of the solution


def flattened(values: np.ndarray, sizes: np.ndarray, half_waves: np.ndarray) -> np.ndarray:
    """Sequences without their short waves; the first and last number of each stay.

    Args:
        values: (N,) the sequences, end to end.
        sizes: numbers in each sequence.
        half_waves: (N,) half the length of the wave that is halved, in numbers, around each
            number; where it is at most 1 nothing is smoothed.
    """
    from scipy.linalg import solveh_banded

    ends = np.cumsum(sizes)
    begins = ends - sizes
    starts = np.arange(len(values) - ORDER)
    starts = starts[np.repeat(ends, sizes)[: len(starts)] > starts + ORDER]  # inside one sequence
    half = np.mean([half_waves[starts + j] for j in range(ORDER + 1)], axis=0)
    weights = np.where(half > 1, (np.minimum(half, LONGEST) / np.pi) ** (2 * ORDER), 0.0)
    bends = sum(c * values[starts + j] for j, c in enumerate(THIRD_DIFFERENCE))

    # Solved for the change u - v, which is small, so that large positions cost no digits. Row d of
    # the band holds the entries (i + d, i) of the matrix.
    count = len(values)
    band, right = np.zeros((ORDER + 1, count)), np.zeros(count)
    band[0] = 1.0
    for j, one in enumerate(THIRD_DIFFERENCE):
        right[starts + j] -= one * weights * bends
        for k in range(j, ORDER + 1):
            band[k - j, starts + j] += one * THIRD_DIFFERENCE[k] * weights
    for fixed in (begins[sizes > 0], ends[sizes > 0] - 1):
        right[fixed] = 0.0
        for distance in range(1, ORDER + 1):
            band[distance, fixed] = 0.0
            above = fixed[fixed >= distance]
            band[distance, above - distance] = 0.0
    return values + solveh_banded(band, right, lower=True)
