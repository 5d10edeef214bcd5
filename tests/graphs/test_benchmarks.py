"""The benchmarks of this room run at toy size, and their answers are right."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "speed_score.py"


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
