"""An end beyond which the neurite goes on is told from one where it ends."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.delineation.tracings import PLAIN, distances, rows, traced
from topodelin.volumes import Volume

SHAPE = (24, 24, 64)


def bright(folder: Path) -> list[dict[str, str]]:
    return [row for row in rows(folder / "spots.csv") if row["kind"] == "bright_end"]


def test_an_end_in_bright_signal_is_a_spot_and_a_real_end_is_none(tmp_path: Path) -> None:
    short = distances([[(12.0, 12.0, 10.0), (12.0, 12.0, 40.0)]], SHAPE)
    longer = distances([[(12.0, 12.0, 10.0), (12.0, 12.0, 56.0)]], SHAPE)
    for name, shown in (("goes_on", longer), ("ends", short)):
        image = Volume((255 * np.exp(-shown)).astype(np.uint8), (1.0, 1.0, 1.0))
        traced(tmp_path / name, short, PLAIN, image=image)
    (spot,) = bright(tmp_path / "goes_on")
    assert float(spot["x_um"]) == pytest.approx(40, abs=2)
    assert (spot["trees"], float(spot["severity"]) > 0.8) == ("1", True)
    assert bright(tmp_path / "ends") == []


def test_an_end_at_the_border_of_the_volume_and_a_root_at_a_seed_are_none(tmp_path: Path) -> None:
    through = distances([[(12.0, 12.0, 0.0), (12.0, 12.0, 40.0)]], SHAPE)
    image = Volume(np.full(SHAPE, 255, np.uint8) - 1, (1.0, 1.0, 1.0))
    traced(tmp_path / "flat", through, PLAIN, image=image)
    assert bright(tmp_path / "flat") == []
    longer = distances([[(12.0, 12.0, 0.0), (12.0, 12.0, 60.0)]], SHAPE)
    image = Volume((255 * np.exp(-longer)).astype(np.uint8), (1.0, 1.0, 1.0))
    traced(tmp_path / "border", through, PLAIN, image=image)
    assert [float(spot["x_um"]) > 30 for spot in bright(tmp_path / "border")] == [True]
    seeds = np.array([[12.0, 12.0, 40.0]])
    traced(tmp_path / "seed", through, replace(PLAIN), image=image, seeds=seeds)
    assert bright(tmp_path / "seed") == []


def test_without_an_image_the_distance_map_tells(tmp_path: Path) -> None:
    distance = distances([[(12.0, 12.0, 10.0), (12.0, 12.0, 40.0)]], SHAPE)
    longer = distances([[(12.0, 12.0, 10.0), (12.0, 12.0, 56.0)]], SHAPE)
    faint = np.minimum(distance, longer + 1.55)  # just outside the threshold of 1.5
    traced(tmp_path, faint, PLAIN)
    (spot,) = bright(tmp_path)
    assert float(spot["x_um"]) == pytest.approx(40, abs=3)
