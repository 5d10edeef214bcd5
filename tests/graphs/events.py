"""The catalogue of minimal topological events: one truth, one tracing with one thing wrong.

Each is drawn in characters 4 µm apart. `-` joins left and right, `|` up and down, `+` all four
sides, `<` only to the right and `>` only to the left, so that `><` is a break of one edge. The
tolerance that goes with the drawings is 3 µm: a missing character leaves 2 µm without a match,
and a break of one edge none at all.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs import NeuriteGraph

UNIT = 4.0  # µm between characters
TOLERANCE = 3.0  # µm

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
