"""Paths between the control points of one graph, beside those between their places on another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.control_points import control_points
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.path_distances import NodeDistances, PathDistances, PathsAmong

WORK = 25_000_000  # lengths of paths up to which all points are started from: 1 to 5 seconds
LEAST = 1000  # points that are started from where that is too many
Starts = int | Literal["all"] | None  # number of points to start from; None chooses
BLOCK = 1 << 16  # paths held at once, so that they stay in the cache


@dataclass(frozen=True, eq=False, slots=True)
class ComparedPaths:
    """Paths between some control points, along either graph.

    Args:
        rows: (R,) the control points that the paths start from.
        goals: (C,) those that they lead to.
        snapped: (R,) whether the other graph has a place for the start.
        expected: (R, C) along the graph of the control points, µm; infinite where there is no
            path, or where it does not count here.
        found: (R, C) along the other graph; infinite where there is no path, or no place within
            the tolerance for one of the ends.
    """

    rows: np.ndarray
    goals: np.ndarray
    snapped: np.ndarray
    expected: np.ndarray
    found: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class ControlPaths:
    """The control points of one graph, and their nearest places on another.

    Args:
        here: on the graph that the points were laid along.
        there: on the other graph; nowhere beyond the tolerance.
    """

    here: PathDistances
    there: PathDistances

    def __len__(self) -> int:
        return len(self.here.components)

    def starts(self, count: Starts) -> np.ndarray | None:
        """The points that paths start from, evenly spread in their order; None for all of them.

        Args:
            count: how many. By default all where that makes at most WORK lengths of paths, or
                else as many as make about that, and at least LEAST.
        """
        points = len(self)
        if count is None and points:
            component = self.here.components
            goals = np.bincount(component)[component]
            work = int((goals + self.here.table_sizes() + self.there.table_sizes()).sum())
            count = points if work <= WORK else max(LEAST, points * WORK // work)
        if count is None or count == "all" or count >= points:
            return None
        return (np.arange(count) * points) // count

    def compared(self, starts: np.ndarray | None) -> Iterator[ComparedPaths]:
        """Paths from some points to all others that the first graph joins them to.

        Args:
            starts: (S,) points; None for all pairs of points, each pair once.
        """
        chosen = np.zeros(len(self), dtype=bool)
        if starts is not None:
            chosen[starts] = True
        for places in self.here.groups():
            if starts is None:
                yield from self._pairs(places)
            else:
                yield from self._from(places, np.flatnonzero(chosen[places]))

    def _pairs(self, places: np.ndarray) -> Iterator[ComparedPaths]:
        begin = 0
        while begin < len(places):
            goals = places[begin:]
            rows = np.arange(min(_at_once(len(goals)), len(goals)))
            block = _block(self.here.among(goals), self.there.among(goals), goals, rows)
            block.expected[np.tril_indices(len(rows))] = np.inf  # the pair has had its turn
            yield block
            begin += len(rows)

    def _from(self, places: np.ndarray, rows: np.ndarray) -> Iterator[ComparedPaths]:
        if not len(rows):
            return
        here, there = self.here.among(places), self.there.among(places)
        size = _at_once(len(places))
        for part in (rows[begin : begin + size] for begin in range(0, len(rows), size)):
            block = _block(here, there, places, part)
            block.expected[np.arange(len(part)), part] = np.inf
            yield block


def check_starts(starts: Starts) -> None:
    """Refuse what is not a number of points to start from."""
    if starts not in (None, "all") and (isinstance(starts, str) or starts < 1):
        raise ValueError(f'`starts` must be at least 1, "all", or None to choose, got {starts!r}')


def control_paths(
    source: NodeDistances, other: NodeDistances, *, interval: float | None, tolerance: float
) -> ControlPaths:
    """Lay control points along a graph and find the nearest places on another.

    Args:
        source: the graph that the points are laid along.
        other: the graph to compare with.
        interval: distance of the points, µm; None takes the nodes.
        tolerance: how far the nearest place on the other graph may lie, µm.
    """
    points = control_points(source.contracted, interval)
    graph = source.contracted.graph
    start, end = graph.edges[points.edges].T
    positions = graph.positions
    place = positions[start] + points.fractions[:, None] * (positions[end] - positions[start])
    nearest = SegmentTree(other.contracted.graph).nearest(place, limit=tolerance + SLACK)
    return ControlPaths(
        PathDistances(source, points.edges, points.fractions),
        PathDistances(other, nearest.edges, nearest.fractions),
    )


def ratio_error(parts: np.ndarray, wholes: np.ndarray, points: int) -> float:
    """Standard error of the sum of parts over the sum of wholes, one of each for every start.

    Args:
        parts, wholes: (S,) sums over the paths from each start.
        points: how many starts there could have been; with all of them the error is 0.

    NaN where a single start of several tells nothing of the spread.
    """
    count, whole = len(parts), float(wholes.sum())
    if count == points or not whole:
        return 0.0
    if count == 1:
        return float("nan")
    spread = parts - wholes * (parts.sum() / whole)
    left = (1 - count / points) * count / (count - 1)
    return float(np.sqrt(left * (spread**2).sum()) / whole)


def _at_once(goals: int) -> int:
    """Number of starts whose paths are held at once."""
    return min(64, max(16, BLOCK // max(goals, 1)))


def _block(
    here: PathsAmong, there: PathsAmong, places: np.ndarray, rows: np.ndarray
) -> ComparedPaths:
    expected, found = here.rows(rows), there.rows(rows)
    snapped = there.placed[rows]
    return ComparedPaths(places[rows], places, snapped, expected, found)
