"""The benchmarks of this room run at toy size, and their answers are right."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "speed_score.py"


def main_of(name: str) -> Callable[[list[str]], Any]:
    """What a script does, to be called with its arguments."""
    return runpy.run_path(str(SCRIPT.with_name(f"{name}.py")))["main"]


def test_the_metrics_benchmark_answers_for_every_metric_as_its_slow_twin_does() -> None:
    records = main_of("speed_metrics")(["--toy"])
    answers = {(record["case"], record["metric"]): record["answer"] for record in records}
    assert len(answers) == len(records) == 16 + 17 + 1 + 5
    assert all(record["cpu_seconds"] >= 0 for record in records)
    for case in ("network", "forest"):
        assert 0.5 < answers[case, "apls"]["apls"] < 1
        assert answers[case, "centreline_quality"]["quality"] > 0.99
        assert answers[case, "find_errors"]["counts"]["gap"] >= 1
    assert answers["network", "cable_connectivity"]["kept"] == 1  # a ring cut stays connected
    assert answers["forest", "cable_connectivity"]["kept"] < 1
    twins = [record for record in records if record["case"] == "twin"]
    assert [record["answer"] for record in twins] == pytest.approx(
        [record["twin_answer"] for record in twins], abs=1e-9
    )


def test_a_metric_is_timed_in_a_process_of_its_own() -> None:
    options = ["--nodes", "300", "--cases", "tree", "--metrics", "betti_errors"]
    (record,) = main_of("speed_metrics")(options)
    assert record["answer"] == {"truth": [1, 0], "predicted": [2, 0]}
    assert 20 < record["peak_mib"] < 2000


def test_the_picture_of_the_events_shows_what_the_metrics_see(tmp_path: Path) -> None:
    answer = main_of("picture_events")(["-o", str(tmp_path / "events.png")])["answer"]
    assert (tmp_path / "events.png").stat().st_size > 10_000
    assert answer["gap"]["NERL"] < 1 == answer["identical"]["NERL"]
    assert answer["break of one edge"]["quality"] == 1 and answer["nothing"]["quality"] == 0


def test_the_score_benchmark_prints_its_answers_beside_the_times() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--toy"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
    )
    records = {record["case"]: record for record in map(json.loads, done.stdout.splitlines())}
    assert records["identical"]["quality"] == 1
    assert 0.8 < records["noisy"]["quality"] < 1
    assert records["foreign"]["quality"] < 0.5
    assert all(record["seconds"] > 0 and record["nodes"] == 600 for record in records.values())
