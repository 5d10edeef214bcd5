"""The catalogue of minimal topological events: one truth, one tracing with one thing wrong.

Each is drawn in characters 4 µm apart. `-` joins left and right, `|` up and down, `+` all four
sides, `<` only to the right and `>` only to the left, so that `><` is a break of one edge. The
tolerance that goes with the drawings is 3 µm: a missing character leaves 2 µm without a match,
and a break of one edge none at all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, label

from topodelin.graphs import NeuriteGraph, joined, split_long_edges

UNIT = 4.0  # µm between characters
TOLERANCE = 3.0  # µm
SHAPE = (44, 116)  # pixels of 1 µm, (y, x), of an image that holds every drawing
MARGIN = 4  # pixels beside the drawing

RIGHT, LEFT, DOWN, UP = "-+<", "-+>", "|+", "|+"


def draw(text: str) -> NeuriteGraph:
    """The graph of a drawing, in the plane z = 0."""
    rows = text.strip("\n").split("\n")
    cells = {
        (y, x): mark for y, row in enumerate(rows) for x, mark in enumerate(row) if mark != " "
    }
    number = {cell: index for index, cell in enumerate(cells)}
    right = [
        (number[y, x], number[y, x + 1])
        for (y, x), mark in cells.items()
        if mark in RIGHT and cells.get((y, x + 1), " ") in LEFT
    ]
    down = [
        (number[y, x], number[y + 1, x])
        for (y, x), mark in cells.items()
        if mark in DOWN and cells.get((y + 1, x), " ") in UP
    ]
    positions = np.array([(0, y, x) for y, x in cells], dtype=np.float64).reshape(-1, 3) * UNIT
    return NeuriteGraph(positions, np.array(right + down, dtype=np.int64))


def lines(graph: NeuriteGraph) -> np.ndarray:
    """The drawing as an image of lines one pixel wide; pixels are 1 µm."""
    image = np.zeros(SHAPE, dtype=bool)
    graph = graph.select(graph.degrees > 0)
    pixels = np.rint(split_long_edges(graph, 1.0).graph.positions[:, 1:]).astype(int) + MARGIN
    image[tuple(pixels.T)] = True
    return image


def mask(graph: NeuriteGraph) -> np.ndarray:
    """The drawing as an image of lines three pixels wide: breaks of one edge stay open."""
    return binary_dilation(lines(graph), np.ones((3, 3), dtype=bool))


def coarse_mask(graph: NeuriteGraph) -> np.ndarray:
    """Every third pixel of the mask, for metrics that are slow."""
    return mask(graph)[1::3, 1::3]


def labels(graph: NeuriteGraph) -> np.ndarray:
    """The components of the mask, numbered from 1."""
    found: Any = label(mask(graph), np.ones((3, 3)))
    return found[0]


@dataclass(frozen=True)
class Event:
    """Two drawings: what is there, and what was traced."""

    truth: NeuriteGraph
    predicted: NeuriteGraph


def _event(truth: str, predicted: str) -> Event:
    return Event(draw(truth), draw(predicted))


TREE = """
+------------+-----------+
             |
             |
             |
             +------
"""
PAIR = """
+--------------------+




+--------------------+
"""
RING = """
-----+---------+-----
     |         |
     |         |
     |         |
     +---------+
"""
EVENTS = {
    "identical": _event(TREE, TREE),
    "break of one edge": _event(
        TREE,
        """
+-----><-----+-----------+
             |
             |
             |
             +------
""",
    ),
    "gap": _event(
        TREE,
        """
+----     ---+-----------+
             |
             |
             |
             +------
""",
    ),
    "longer gap": _event(
        TREE,
        """
+--         -+-----------+
             |
             |
             |
             +------
""",
    ),
    "two gaps": _event(
        TREE,
        """
+----     ---+---     ---+
             |
             |
             |
             +------
""",
    ),
    "missing branch": _event(
        TREE,
        """
+------------+-----------+
""",
    ),
    "branch cut off": _event(
        TREE,
        """
+------------------------+


             |
             +------
""",
    ),
    "short end": _event(
        TREE,
        """
+------------+------
             |
             |
             |
             +------
""",
    ),
    "spur": _event(
        TREE,
        """
+------------+-----+-----+
             |     |
             |     |
             |
             +------
""",
    ),
    "island": _event(
        TREE,
        """
+------------+-----------+
             |
             |
             |
             +------

   ------
""",
    ),
    "detour": _event(
        TREE,
        """
++         +-+-----------+
 |         | |
 +---------+ |
             |
             +------
""",
    ),
    "bridge within a tree": _event(
        TREE,
        """
+------------+----+------+
             |    |
             |    |
             |    |
             +----+-
""",
    ),
    "bridge between trees": _event(
        PAIR,
        """
+---------+----------+
          |
          |
          |
          |
+---------+----------+
""",
    ),
    "one tree missing": _event(
        PAIR,
        """
+--------------------+
""",
    ),
    "ring": _event(RING, RING),
    "ring cut": _event(
        RING,
        """
-----+---------+-----
     |         |
     |         |
     |         |
     +--     --+
""",
    ),
    "ring cut at one edge": _event(
        RING,
        """
-----+---------+-----
     |         |
     |         |
     |         |
     +---><----+
""",
    ),
    "nothing": _event(TREE, ""),
}
# Not topology, and yet what some metrics see and others are blind to.
SHIFT = np.array([1.0, 1.25, 0.0])  # µm, about half the tolerance; 1 pixel


def _moved(graph: NeuriteGraph) -> NeuriteGraph:
    return NeuriteGraph(graph.positions + SHIFT, graph.edges)


EVENTS_OF_GEOMETRY = {
    "shifted": Event(draw(TREE), _moved(draw(TREE))),
    "drawn twice": Event(draw(TREE), joined([draw(TREE), _moved(draw(TREE))])),
}
