"""The benchmarks of the losses run at toy size, and their answers hold."""

import runpy
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name: str) -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / name))["main"](["--toy"])


@pytest.fixture(scope="module")
def speed() -> dict[str, Any]:
    return run("speed_topo_loss.py")


@pytest.fixture(scope="module")
def share() -> dict[str, Any]:
    return run("share_conn_loss.py")


@pytest.mark.parametrize("name", ["speed", "share"])
def test_it_says_what_was_measured_where(name: str, request: pytest.FixtureRequest) -> None:
    result = request.getfixturevalue(name)
    assert {"version", "commit", "machine", "seed", "answer"} <= set(result)


def test_the_kernel_and_all_it_is_compared_with_agree(speed: dict[str, Any]) -> None:
    answer = speed["answer"]
    assert max(answer["largest_difference"].values()) < 1e-6
    assert answer["gap_weight_sum"] > 0 and answer["bridge_weight_sum"] > 0
    assert speed["threads"]["same_bits"]


def test_both_terms_were_computed(share: dict[str, Any]) -> None:
    assert set(share["answer"]) == {"mse", "conn"}
    assert share["milliseconds"]["conn_loss"]["1 thread"] > 0
