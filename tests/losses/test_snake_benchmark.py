"""The benchmark of the snake loss runs at toy size, and its answers hold."""

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed_snake_loss.py"


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))["main"](["--toy"])


def test_it_says_what_was_measured_where(result: dict[str, Any]) -> None:
    assert {"version", "commit", "machine", "seed", "side"} <= set(result)
    assert [row["nodes"] for row in result["sizes"]] == [8, 20]
    assert all(row["peak_growth_mb"] >= 0 for row in result["sizes"])


def test_the_loss_and_the_dense_twin_agree(result: dict[str, Any]) -> None:
    for row in result["sizes"]:
        answer = row["against_dense"]["answer"]
        assert answer["loss"] == pytest.approx(answer["dense_loss"], rel=1e-5)
        assert answer["largest_difference_of_gradients"] < 1e-3
        assert answer["gradient_norm"] > 0
