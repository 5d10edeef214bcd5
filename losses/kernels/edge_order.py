"""Kernel: edges in the order in which a maximum spanning tree takes them.

Costs are single-precision numbers. Rearranged so that their order as unsigned integers is that of
the numbers, their bits are sorted digit by digit (radix sort), which is stable: edges of equal
cost stay in the order of their index, on every machine.
"""

from typing import no_type_check

import numpy as np
from numba import njit

# How edges of equal cost are ordered.
BY_INDEX, NEAR_FIRST, FAR_FIRST = 0, 1, 2

RADIX_BITS = 11
RADIX_BINS = 1 << RADIX_BITS
RADIX_DIGITS = 3  # of 11 bits, enough for 32
FEW = 64  # so many are sorted by insertion


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def word(bits: int, decreasing: bool, edge: int) -> int:
    """Pack the bits of a float32 other than minus zero with an edge: its rank, then the edge.

    Words in increasing order are edges in increasing (`decreasing`: decreasing) value, equal
    values in increasing index.
    """
    key = np.uint32(bits)
    if key >> np.uint32(31):
        key = ~key
    else:
        key = key | np.uint32(0x80000000)
    if decreasing:
        key = ~key
    return (np.uint64(key) << np.uint64(32)) | np.uint64(edge)


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def sort_words(words: np.ndarray, spare: np.ndarray, count: int) -> np.ndarray:
    """Sort the first `count` uint64 by their upper halves, stable.

    Returns the array that holds the result, which is `spare`; `words` is overwritten.
    """
    mask = np.uint64(RADIX_BINS - 1)
    bits = np.uint64(RADIX_BITS)
    first = np.uint64(32)
    starts = np.zeros((RADIX_DIGITS, RADIX_BINS), np.uint32)
    for i in range(count):
        key = words[i] >> first
        for digit in range(RADIX_DIGITS):
            starts[digit, key & mask] += np.uint32(1)
            key >>= bits
    for digit in range(RADIX_DIGITS):
        total = np.uint32(0)
        for b in range(RADIX_BINS):
            size = starts[digit, b]
            starts[digit, b] = total
            total += size
    for digit in range(RADIX_DIGITS):
        start = starts[digit]
        shift = first + np.uint64(digit) * bits
        for i in range(count):
            b = (words[i] >> shift) & mask
            spare[start[b]] = words[i]
            start[b] += np.uint32(1)
        words, spare = spare, words
    return words


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def sort_edges(edges: np.ndarray, values: np.ndarray, decreasing: bool) -> None:
    """Sort `edges` (int32, in place, stable) by `values[edge]` (float32)."""
    count = len(edges)
    if count < FEW:
        for i in range(1, count):
            edge = edges[i]
            value = values[edge]
            j = i - 1
            if decreasing:
                while j >= 0 and values[edges[j]] < value:
                    edges[j + 1] = edges[j]
                    j -= 1
            else:
                while j >= 0 and values[edges[j]] > value:
                    edges[j + 1] = edges[j]
                    j -= 1
            edges[j + 1] = edge
        return
    bits = values.view(np.uint32)
    words = np.empty(count, np.uint64)
    for i in range(count):
        edge = edges[i]
        words[i] = word(np.uint32(0) if values[edge] == 0 else bits[edge], decreasing, edge)
    words = sort_words(words, np.empty(count, np.uint64), count)
    for i in range(count):
        edges[i] = np.int32(words[i] & np.uint64(0xFFFFFFFF))


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def order_edges(
    free: np.ndarray,
    free_count: int,
    constrained: np.ndarray,
    constrained_count: int,
    constrained_bits: int,
    far: np.ndarray,
    ties: int,
    spare: np.ndarray,
    order: np.ndarray,
) -> int:
    """Write all edges in decreasing cost into `order`; return how many there are.

    The constrained edges all have the same cost and are inserted as one run where it falls.

    Args:
        free: words of the edges that have a cost of their own; overwritten.
        constrained: int32, the other edges in increasing index.
        constrained_bits: their cost, as the bits of a float32; may be infinite.
        far: float32 by edge, how far from the annotation; decides between equal costs.
        ties: BY_INDEX, or NEAR_FIRST or FAR_FIRST, then by index; with the latter two the
            constrained edges come before the free edges of the same cost.
        spare: uint64, as long as `free`; overwritten.
        order: int32, written.
    """
    words = sort_words(free, spare, free_count)
    half = np.uint64(32)
    low = np.uint64(0xFFFFFFFF)
    key = word(constrained_bits, True, 0) >> half
    before = np.searchsorted(words[:free_count], key << half)  # free edges that cost more
    for i in range(before):
        order[i] = np.int32(words[i] & low)
    placed = before
    i = before
    if ties == BY_INDEX and i < free_count and words[i] >> half == key:
        for c in range(constrained_count):
            edge = constrained[c]
            while i < free_count and words[i] >> half == key and np.int32(words[i] & low) < edge:
                order[placed] = np.int32(words[i] & low)
                placed += 1
                i += 1
            order[placed] = edge
            placed += 1
    else:
        order[before : before + constrained_count] = constrained[:constrained_count]
    for j in range(i, free_count):
        order[constrained_count + j] = np.int32(words[j] & low)

    equal = 0
    for j in range(1, free_count):
        equal += words[j] >> half == words[j - 1] >> half
    if ties != BY_INDEX and equal > 0:
        start = 0
        for j in range(1, free_count + 1):
            if j == free_count or words[j] >> half != words[start] >> half:
                if j - start > 1:
                    at = start + (constrained_count if start >= before else 0)
                    sort_edges(order[at : at + j - start], far, ties == FAR_FIRST)
                start = j
    return free_count + constrained_count
