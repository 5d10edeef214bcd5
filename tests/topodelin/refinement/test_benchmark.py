"""The benchmark of the random field runs at toy size, and its answers hold."""

import runpy
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "speed_dense_crf.py"


def test_it_says_what_was_measured_and_agrees_with_all_pairs() -> None:
    result = runpy.run_path(str(BENCHMARK))["main"](["--toy"])
    assert {"version", "commit", "machine", "seed"} <= set(result)
    assert [case["theta_alpha"] for case in result["cases"]] == [1.0, 5.0, 5.0]
    assert result["answer"]["largest_difference"] < 1e-4
