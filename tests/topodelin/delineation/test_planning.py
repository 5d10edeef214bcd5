"""A plan costs nothing and writes nothing."""

from pathlib import Path

import pytest

from tests.topodelin.delineation.stand_in import Inverse, card, drawn
from topodelin.delineation import Plan, plan_delineation, planning
from topodelin.delineation.memory import CubeCost


def test_a_plan_tells_cubes_memory_and_time_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planning, "measure_cube", lambda *_: CubeCost(2.0, 400 * 2**20))
    volume = drawn([[(8, 24, 4), (8, 24, 92)]], (48, 48, 96))
    plan = plan_delineation(volume, Inverse(), card(), seeds=[(8, 24, 5)], workers=2)
    assert (plan.total, plan.starting, plan.sampled, plan.bright) == (54, 1, 54, 6)
    assert (plan.expected, plan.seconds) == (6, 6.0)
    assert "54 in the volume, 1 of them hold seeds" in str(plan)
    assert "2 workers of 400 MB each with a cube of 16x16x16 voxels and 2x2x2 around" in str(plan)
    assert plan.as_dict()["expected"] == 6
    assert list(tmp_path.iterdir()) == []


def test_a_limit_takes_workers_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "measure_cube", lambda *_: CubeCost(2.0, 2**30))
    monkeypatch.setattr(planning, "peak_memory", lambda: 2**28)
    volume = drawn([[(8, 8, 4), (8, 8, 28)]], (16, 16, 32))
    plan = plan_delineation(volume, Inverse(), card(), workers=9, memory=3 * 2**30)
    assert plan.workers == 2
    assert plan.peak_bytes <= 3 * 2**30


def test_what_is_expected_lies_between_the_seeds_and_the_volume() -> None:
    few = Plan(1000, 7, 200, 0, 1, 1.0, 1)
    full = Plan(10, 7, 10, 10, 1, 1.0, 1)
    assert (few.expected, full.expected) == (7, 10)
