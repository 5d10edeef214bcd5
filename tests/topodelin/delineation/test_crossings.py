"""Neurites that cross are told from neurites that branch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.delineation.tracings import PLAIN, distances, rows, traced

SHAPE = (24, 64, 64)
SPLIT = replace(PLAIN, split_crossings=True)
TRUNK = [(12.0, 32.0, 4.0), (12.0, 32.0, 60.0)]


@pytest.mark.parametrize("degrees", [90, 60, 45])
def test_two_neurites_that_cross_are_reported_and_split_if_asked(
    tmp_path: Path, degrees: int
) -> None:
    angle = np.radians(degrees)
    dy, dx = 26 * np.sin(angle), 26 * np.cos(angle)
    distance = distances([TRUNK, [(12, 32 - dy, 32 - dx), (12, 32 + dy, 32 + dx)]], SHAPE)
    assert len(traced(tmp_path / "one", distance)) == 1
    (spot,) = [row for row in rows(tmp_path / "one" / "spots.csv") if row["kind"] == "crossing"]
    assert np.abs([float(spot["y_um"]) - 32, float(spot["x_um"]) - 32]).max() < 3
    assert float(spot["severity"]) > 0.9
    trees = traced(tmp_path / "two", distance, SPLIT)
    assert [tree.branches for tree in trees] == [1, 1]
    assert [tree.graph.length for tree in trees] == pytest.approx([54, 50], abs=3)
    (spot,) = [row for row in rows(tmp_path / "two" / "spots.csv") if row["kind"] == "crossing"]
    assert spot["trees"] == "1 2"


def test_two_neurites_that_touch_side_by_side_are_told_and_never_split(tmp_path: Path) -> None:
    bow = [(12.0, 46.0, 4.0), (12.0, 35.0, 64.0), (12.0, 46.0, 124.0)]
    straight = [(12.0, 32.0, 4.0), (12.0, 32.0, 124.0)]
    distance = distances([straight, bow], (24, 64, 128))
    (tree,) = traced(tmp_path, distance, SPLIT)
    (spot,) = [row for row in rows(tmp_path / "spots.csv") if row["kind"] == "crossing"]
    assert "run nearly side by side; left joined" in spot["note"] and spot["trees"] == "1"
    assert abs(float(spot["x_um"]) - 64) < 6


@pytest.mark.parametrize(
    "children",
    [
        [[(12.0, 32.0, 32.0), (12.0, 60.0, 46.0)]],
        [[(12.0, 32.0, 30.0), (12.0, 60.0, 44.0)], [(12.0, 32.0, 34.0), (12.0, 4.0, 48.0)]],
        [[(12.0, 32.0, 32.0), (12.0, 56.0, 52.0)], [(12.0, 32.0, 32.0), (12.0, 8.0, 52.0)]],
    ],
    ids=["one", "both sides", "trident"],
)
def test_branches_are_not_split(tmp_path: Path, children: list) -> None:
    distance = distances([TRUNK, *children], SHAPE)
    (tree,) = traced(tmp_path, distance, SPLIT)
    assert tree.branches == 1 + 2 * len(children) or tree.branches == 2 + len(children)
    assert not [row for row in rows(tmp_path / "spots.csv") if row["kind"] == "crossing"]
