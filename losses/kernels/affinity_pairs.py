"""Kernel: the sweep that counts pairs of voxels on the edges of an affinity graph.

Edges join groups of voxels in decreasing affinity (Kruskal's maximum spanning tree). Each group
keeps a histogram of the objects in it; when two groups meet, the smaller histogram moves into the
larger, so that each entry moves a logarithmic number of times at most. Looking an entry up in the
other histogram is one step into a hash table that all of them share.

Everything is plain arrays. Functions are called with one set of types only, so each is compiled
once; they release the interpreter lock and use one thread.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from topodelin.losses.kernels.edge_order import sort_edges


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def count_pairs(
    edges: np.ndarray,
    affinities: np.ndarray,
    steps: np.ndarray,
    labels: np.ndarray,
    constrained: bool,
    positive: np.ndarray,
    negative: np.ndarray,
) -> None:
    """Sweep through the edges in decreasing affinity and count the pairs that each one joins.

    Edge `e` joins voxel `e % voxels` to the voxel `steps[e // voxels]` further on.

    Args:
        edges: (m) int32, those that exist, increasing.
        affinities: (edge_types * voxels) float32.
        steps: (edge_types) int64.
        labels: (voxels) int64, not negative.
        constrained: edges inside objects first, the others afterwards.
        positive, negative: (edge_types * voxels) int64, zero on entry, written.
    """
    voxels = len(labels)
    inside = np.empty(len(edges), np.int32)
    rest = np.empty(len(edges), np.int32)
    insides, rests = 0, 0
    for edge in edges:
        a = edge % voxels
        b = a + steps[edge // voxels]
        if constrained and labels[a] > 0 and labels[a] == labels[b]:
            inside[insides] = edge
            insides += 1
        else:
            rest[rests] = edge
            rests += 1
    # Union-find by size with path halving. `parent` of a root is minus the size of its group.
    parent = np.full(voxels, -1, np.int32)

    # Inside objects a group has one label, and all its pairs are of one object.
    sort_edges(inside[:insides], affinities, True)
    for edge in inside[:insides]:
        a = find_root(parent, edge % voxels)
        b = find_root(parent, edge % voxels + steps[edge // voxels])
        if a != b:
            positive[edge] = np.int64(parent[a]) * parent[b]
            unite_roots(parent, a, b)

    # From here on a group has a histogram: how many voxels of which object. Each entry of it is
    # a link of the list of its group, and of the chain of its bucket in one hash table of all
    # (histogram, label), in which the entries of the smaller histogram look for those of the
    # larger. Entries are never more than the groups that there are now.
    groups = 0
    for voxel in range(voxels):
        groups += parent[voxel] < 0 and labels[voxel] > 0
    if groups <= 1:
        return
    entry_label = np.empty(groups, np.int64)
    entry_count = np.empty(groups, np.int64)
    entry_owner = np.empty(groups, np.int32)
    next_of_group = np.full(groups, -1, np.int32)
    next_of_bucket = np.full(groups, -1, np.int32)
    last_of_group = np.empty(groups, np.int32)  # by histogram
    distinct = np.ones(groups, np.int32)  # by histogram
    members = np.empty(groups, np.int64)  # by histogram
    buckets = 1
    while buckets < 2 * groups:
        buckets *= 2
    first_of_bucket = np.full(buckets, -1, np.int32)
    histogram = np.full(voxels, -1, np.int32)  # by root
    entry = 0
    for voxel in range(voxels):
        if parent[voxel] < 0 and labels[voxel] > 0:
            histogram[voxel] = entry
            entry_label[entry] = labels[voxel]
            entry_count[entry] = -parent[voxel]
            members[entry] = -parent[voxel]
            last_of_group[entry] = entry
            put_entry(entry, entry, entry_label, entry_owner, next_of_bucket, first_of_bucket)
            entry += 1

    sort_edges(rest[:rests], affinities, True)
    for edge in rest[:rests]:
        if groups <= 1:
            return
        a = find_root(parent, edge % voxels)
        b = find_root(parent, edge % voxels + steps[edge // voxels])
        if a == b:
            continue
        large, small = np.int64(histogram[a]), np.int64(histogram[b])
        root = unite_roots(parent, a, b)
        if large < 0 or small < 0:
            histogram[root] = max(large, small)
            continue
        if distinct[large] < distinct[small]:
            large, small = small, large
        histogram[root] = large
        groups -= 1
        # The first entry of a histogram is the one that it was made with, its own number.
        same = np.int64(0)
        entry = small
        while entry >= 0:
            following = next_of_group[entry]
            next_of_group[entry] = -1
            take_entry(entry, entry_label, entry_owner, next_of_bucket, first_of_bucket)
            other = find_entry(
                large, entry_label[entry], entry_label, entry_owner, next_of_bucket, first_of_bucket
            )
            if other >= 0:
                same += entry_count[entry] * entry_count[other]
                entry_count[other] += entry_count[entry]
            else:
                put_entry(entry, large, entry_label, entry_owner, next_of_bucket, first_of_bucket)
                next_of_group[last_of_group[large]] = entry
                last_of_group[large] = entry
                distinct[large] += 1
            entry = following
        negative[edge] = members[large] * members[small] - same
        if not constrained:
            positive[edge] = same
        members[large] += members[small]


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def find_root(parent: np.ndarray, voxel: int) -> int:
    """The root of a voxel's group, halving the path to it."""
    while parent[voxel] >= 0:
        if parent[parent[voxel]] >= 0:
            parent[voxel] = parent[parent[voxel]]
        voxel = parent[voxel]
    return voxel


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def unite_roots(parent: np.ndarray, a: int, b: int) -> int:
    """Hang the smaller of two groups under the root of the larger; return that root."""
    if parent[a] > parent[b]:
        a, b = b, a
    parent[a] += parent[b]
    parent[b] = a
    return a


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def bucket_of(owner: int, label: int, buckets: int) -> int:
    """The bucket of a histogram's entry; `buckets` is a power of two."""
    mixed = np.uint64(owner) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64(label) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    return np.int64(mixed & np.uint64(buckets - 1))


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def put_entry(
    entry: int,
    owner: int,
    entry_label: np.ndarray,
    entry_owner: np.ndarray,
    next_of_bucket: np.ndarray,
    first_of_bucket: np.ndarray,
) -> None:
    """Give an entry to a histogram: to the front of the chain of its bucket."""
    bucket = bucket_of(owner, entry_label[entry], len(first_of_bucket))
    entry_owner[entry] = owner
    next_of_bucket[entry] = first_of_bucket[bucket]
    first_of_bucket[bucket] = entry


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def take_entry(
    entry: int,
    entry_label: np.ndarray,
    entry_owner: np.ndarray,
    next_of_bucket: np.ndarray,
    first_of_bucket: np.ndarray,
) -> None:
    """Take an entry out of the chain of its bucket."""
    bucket = bucket_of(entry_owner[entry], entry_label[entry], len(first_of_bucket))
    if first_of_bucket[bucket] == entry:
        first_of_bucket[bucket] = next_of_bucket[entry]
        return
    before = first_of_bucket[bucket]
    while next_of_bucket[before] != entry:
        before = next_of_bucket[before]
    next_of_bucket[before] = next_of_bucket[entry]


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def find_entry(
    owner: int,
    label: int,
    entry_label: np.ndarray,
    entry_owner: np.ndarray,
    next_of_bucket: np.ndarray,
    first_of_bucket: np.ndarray,
) -> int:
    """The entry of a histogram for a label, or -1."""
    entry = first_of_bucket[bucket_of(owner, label, len(first_of_bucket))]
    while entry >= 0 and (entry_owner[entry] != owner or entry_label[entry] != label):
        entry = next_of_bucket[entry]
    return entry
