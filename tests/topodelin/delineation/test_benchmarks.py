"""The benchmarks run, and their answers are right at toy size."""

from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks can be imported, here and in worker processes."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_an_ideal_network_visits_every_cube_that_holds_truth() -> None:
    (line,) = import_module("cubes_visited").main(["--toy"])
    assert line["truth_visited"] == 1
    assert line["cubes_with_truth"] <= line["cubes_visited"] <= line["cubes_total"]


def test_memory_is_measured_beside_the_answer(tmp_path: Path) -> None:
    benchmark = import_module("memory_delineate")
    benchmark.draw(tmp_path / "volume.npy", 48**3)
    line = benchmark.measured(tmp_path / "volume.npy", limit=8 * 2**30, cube=16, seed=0)
    assert (line["cubes_total"], line["cubes_visited"]) == (27, 3)
    assert line["peak_mb"] > 0
