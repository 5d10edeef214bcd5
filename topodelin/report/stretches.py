"""The errors of a tracing as a list: where each wrong stretch lies and how long it is."""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs import NeuriteGraph


@dataclass(frozen=True)
class Stretch:
    """One connected piece of a neurite graph.

    Args:
        length_um: length of its edges, µm.
        place_um: its node nearest to its middle, `(z, y, x)` in µm, so that the place lies on it.
        low_um, high_um: corners of the smallest box around it, `(z, y, x)` in µm.
    """

    length_um: float
    place_um: tuple[float, float, float]
    low_um: tuple[float, float, float]
    high_um: tuple[float, float, float]


def stretches(graph: NeuriteGraph) -> list[Stretch]:
    """Each connected component of a graph that has a length, longest first.

    Given what a tracing missed these are its gaps, given what it invented its false branches.
    Equal lengths are ordered by place, so the list is the same in every run.
    """
    if not len(graph.edges):
        return []
    component = graph.components
    lengths = np.bincount(component[graph.edges[:, 0]], graph.lengths, component.max() + 1)
    order = np.argsort(component, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    found = [
        _stretch(graph.positions[nodes], float(length))
        for nodes, length in zip(members, lengths, strict=True)
        if length > 0
    ]
    return sorted(found, key=lambda stretch: (-stretch.length_um, stretch.place_um))


def _stretch(positions: np.ndarray, length: float) -> Stretch:
    low, high = positions.min(axis=0), positions.max(axis=0)
    from_middle = np.linalg.norm(positions - (low + high) / 2, axis=1)
    place = positions[np.argmin(from_middle)]
    return Stretch(length, _triple(place), _triple(low), _triple(high))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    z, y, x = values.tolist()
    return z, y, x
