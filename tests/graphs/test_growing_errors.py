"""More and more of one thing wrong: the scores that see it never rise.

Each of these drawings is an event of the catalogue, and larger ones of its kind.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.events import Event, draw
from tests.graphs.scores import SCORES, SEEN
from topodelin.graphs import NeuriteGraph

Place = tuple[int, int]  # line and character
PLACES = [(0, 4), (0, 13), (1, 9), (1, 18)]


def with_gap(size: int, places: list[Place]) -> Event:
    """An arm of a tree with a gap `size` characters long, from a place on."""
    arm, begin = "-" * 14, 2 + places[0][1] % 3
    cut = arm[:begin] + " " * size + arm[begin + size :]
    return Event(*(draw(f"{left}+------\n{' ' * 14}|\n{' ' * 14}+") for left in (arm, cut)))


def with_bridges(count: int, places: list[Place]) -> Event:
    """Three lines, with bridges from the first places to the line below."""
    return Event(rows([]), rows(places[:count], "|||+"))


def with_spurs(count: int, places: list[Place]) -> Event:
    """Three lines, with spurs at the first places."""
    return Event(rows([]), rows(places[:count], "||"))


def rows(places: list[Place], below: str = "") -> NeuriteGraph:
    """Three lines 16 µm apart, with other characters from some places downwards."""
    text = [["-" if row % 4 == 0 else " "] * 24 for row in range(9)]
    for line, column in places:
        for row, mark in enumerate("+" + below):
            text[4 * line + row][column] = mark
    return draw("\n".join("".join(row).rstrip() for row in text))


# What grows, and the column of the catalogue that it is a case of.
GROWING = {"ga": with_gap, "bb": with_bridges, "sp": with_spurs}
MEANT = [(column, name) for column in GROWING for name in SCORES if SEEN[name][column] == "x"]
# Means over paths: one more junction brings new paths, right ones too, and the mean may rise a bit.
RISE = {"apls back": 0.02, "tlts back": 0.02, "opt-p": 0.02}


@pytest.mark.parametrize(("column", "name"), MEANT)
@settings(max_examples=3)
@given(places=st.permutations(PLACES))
def test_more_of_an_error_never_improves_the_score_that_sees_it(
    column: str, name: str, places: list[Place]
) -> None:
    scores = [SCORES[name](GROWING[column](size, places)) for size in range(len(PLACES) + 1)]
    rises = [after - before for before, after in pairwise(scores)]
    assert scores[0] == pytest.approx(1) and scores[1] < 1 - 1e-9, scores
    assert max(rises) <= RISE.get(name, 1e-9), scores
