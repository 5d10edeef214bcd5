r"""How many pairs of voxels hang on each edge of an affinity graph: MALIS, constrained or not.

The affinity of an edge says how surely its two voxels belong to one object. Two voxels are joined
best by the path whose weakest edge is strongest, the *maximin path*, and a threshold below its
weakest affinity joins them. So each pair of voxels judges one edge: if they belong together, that
edge is too weak; if not, it is too strong. All pairs are counted by one sweep through the edges
in decreasing affinity (Kruskal's maximum spanning tree): when an edge first joins the groups $A$
and $B$, with $A_l, B_l$ voxels of the object $l$, it is the weakest for

$$P_e = \sum_l A_l B_l \qquad N_e = |A|\,|B| - \sum_l A_l B_l$$

pairs of one object and of two; $|A|$ counts the voxels of any object.

*Constrained* counting keeps each kind of pair from being blamed on the other's edges: the pairs
of one object are joined inside it only, the pairs of two may run through objects freely and are
blamed on the edges between and outside objects. It is the same sweep with the edges inside
objects first.

References:
    S. Turaga, K. Briggman, M. Helmstaedter, W. Denk, S. Seung. Maximin affinity learning of image
    segmentation. NeurIPS 2009. arXiv:0911.5372.
    J. Funke, F. Tschopp, W. Grisaitis, A. Sheridan, C. Singh, S. Saalfeld, S. Turaga. Large scale
    image segmentation with structured loss based deep learning for connectome reconstruction.
    TPAMI 2019. arXiv:1709.02974.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Integer

from topodelin.losses.kernels.affinity_pairs import count_pairs

MOST_EDGES = 2**31 - 1  # an edge is numbered by an int32


class AffinityPairs(NamedTuple):
    """Pairs of voxels for which an edge is the weakest on their maximin path."""

    positive: Int64[np.ndarray, " edge_types *space"]
    """$P_e$, pairs of one object."""
    negative: Int64[np.ndarray, " edge_types *space"]
    """$N_e$, pairs of two objects."""


def affinity_pair_counts(
    affinities: Float[np.ndarray, " edge_types *space"],
    labels: Integer[np.ndarray, "*space"],
    offsets: Sequence[Sequence[int]] | None = None,
    *,
    constrained: bool = True,
) -> AffinityPairs:
    """Count the pairs of voxels that hang on each edge, of one object and of two.

    Args:
        affinities: of the edge from voxel `u` to voxel `u + offsets[k]` at `[k, *u]`; higher
            joins earlier. Only their order matters, taken in single precision.
        labels: the object of each voxel, from 1; 0 is background, which paths may cross but
            which belongs to no pair. An object may be in several pieces.
        offsets: one step per edge type, in voxels; None for one step forward along each axis.
        constrained: two passes as published in 2019; False counts both kinds in one sweep of
            the affinities as they are, as published in 2009.

    Edges of equal affinity are taken in increasing index. Edges that leave the array count 0. In
    the constrained form, pairs of one object that no path inside it joins count nowhere.
    O(E log E) for the sort, nearly linear otherwise; any number of objects.

    Raises:
        ValueError: shapes that do not fit, NaN, negative labels, offsets of 0 or of another
            number of axes.
    """
    space = labels.shape
    steps = check_offsets(offsets, len(space))
    if affinities.shape != (len(steps), *space):
        raise ValueError(
            f"`affinities` must be (edge types, *shape of `labels`), {(len(steps), *space)}, "
            f"got {affinities.shape}; name the edge types with `offsets`"
        )
    if affinities.size > MOST_EDGES:
        raise ValueError(
            f"`affinities` must have at most {MOST_EDGES} edges, got {affinities.size}; cut the "
            "volume into smaller crops"
        )
    if np.isnan(affinities).any():
        raise ValueError("`affinities` must not be NaN; lower the learning rate")
    if labels.size and labels.min() < 0:
        raise ValueError(
            f"`labels` must be 0 for background and positive elsewhere, got {labels.min()}"
        )
    exists = np.zeros(affinities.shape, bool)
    for edge_type, offset in enumerate(steps):
        exists[(edge_type, *edge_begins(offset))] = True
    strides = np.cumprod((1, *space[:0:-1]))[::-1]
    positive = np.zeros(affinities.shape, np.int64)
    negative = np.zeros(affinities.shape, np.int64)
    count_pairs(
        np.flatnonzero(exists).astype(np.int32),
        np.ascontiguousarray(affinities, np.float32).reshape(-1),
        (np.array(steps, np.int64).reshape(-1, len(space)) * strides).sum(1),
        np.ascontiguousarray(labels, np.int64).reshape(-1),
        constrained,
        positive.reshape(-1),
        negative.reshape(-1),
    )
    return AffinityPairs(positive, negative)


def check_offsets(offsets: Sequence[Sequence[int]] | None, dims: int) -> list[tuple[int, ...]]:
    """The offsets as tuples; one step forward along each axis for None."""
    if offsets is None:
        return [tuple(int(axis == other) for other in range(dims)) for axis in range(dims)]
    steps = [tuple(int(step) for step in offset) for offset in offsets]
    if not steps or any(len(offset) != dims or not any(offset) for offset in steps):
        raise ValueError(
            f"`offsets` must be steps to another voxel along {dims} axes, such as "
            f"{(0,) * (dims - 1) + (1,)}, got {steps}"
        )
    return steps


def edge_begins(offset: Sequence[int]) -> tuple[slice, ...]:
    """The voxels from which this step does not leave the array, one slice per axis."""
    return tuple(slice(max(-step, 0), -step if step > 0 else None) for step in offset)


def edge_ends(offset: Sequence[int]) -> tuple[slice, ...]:
    """The voxels at which this step may arrive, in the order of [`edge_begins`][]."""
    return edge_begins([-step for step in offset])
