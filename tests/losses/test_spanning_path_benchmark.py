"""The benchmark of the spanning-path loss runs at toy size, and its two answers agree."""

import runpy
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "speed_spanning_path.py"


def test_the_loss_and_scipy_agree() -> None:
    result = runpy.run_path(str(BENCHMARK))["main"](["--toy"])
    assert {"version", "commit", "machine", "seed"} <= set(result)
    answer = result["answer"]
    assert answer["gap"] == pytest.approx(answer["scipy_gap"], rel=1e-5)
    assert answer["gap_and_merge"] == pytest.approx(answer["scipy_gap_and_merge"], rel=1e-5)
    assert answer["gap_and_merge"] > answer["gap"] > 0
