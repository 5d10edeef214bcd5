"""Grammars of the tests."""

from topodelin.refinement import Grammar

PARENTHESES = Grammar(
    "S",
    {0: ["a"], 1: ["b"]},
    renamings=[("L", "a"), ("R", "b")],
    splits=[("S", "S", "S", 0), ("S", "L", "R", 0), ("L", "a", "S", 0), ("R", "S", "b", 0)],
)

# A frame of ones around zeros: a row, then a column, the inside and a column, then a row.
FRAME = Grammar(
    "framed",
    {0: ["zero"], 1: ["one"]},
    renamings=[("row", "one"), ("column", "one"), ("line", "zero"), ("inside", "line")],
    splits=[
        ("row", "row", "one", 1),
        ("column", "column", "one", 0),
        ("line", "line", "zero", 1),
        ("inside", "inside", "line", 0),
        ("left", "column", "inside", 1),
        ("middle", "left", "column", 1),
        ("open", "row", "middle", 0),
        ("framed", "open", "row", 0),
    ],
)

# Any box of one label.
UNIFORM = Grammar(
    "box",
    {0: ["zeros"], 1: ["ones"]},
    renamings=[("box", "zeros"), ("box", "ones")],
    splits=[(name, name, name, axis) for name in ("zeros", "ones") for axis in range(3)],
)
