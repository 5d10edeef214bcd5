"""The benchmark of the renderer runs at toy size, and its answers hold."""

import runpy
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "speed_rendering.py"


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARK))["main"](["--toy"])


def test_it_says_what_was_measured_where(result: dict[str, Any]) -> None:
    assert {"version", "commit", "machine", "seed", "answer"} <= set(result)
    assert [case["nodes"] for case in result["cases"]] == [10, 30]


def test_the_renderer_and_the_dense_twin_agree(result: dict[str, Any]) -> None:
    assert result["answer"]["largest_difference"] < 1e-4
    assert result["answer"]["largest_gradient_difference"] < 1e-4
    assert all(0 < case["answer"]["map_mean"] < 15 for case in result["cases"])
