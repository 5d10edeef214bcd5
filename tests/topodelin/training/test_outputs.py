import json
from pathlib import Path

from topodelin.training import Step
from topodelin.training.outputs import Metrics


def test_what_was_written_after_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    # Killed after the second validation was written, before it was saved: last checkpoint is
    # that of step 4, whose last validation was at step 2. The last line is torn.
    metrics = Metrics(tmp_path / "metrics.jsonl", writes=True)
    for number in (1, 2, 3, 4, 5):
        metrics.add(Step(number, 1.0, {"mse": 1.0}, 0.1, 0.5), 0.01)
        if number in (2, 4):
            metrics.add_validation(number, [{"threshold": 2.0}])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')

    metrics.forget_after(4, validated=2)

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    kept = [(record["step"], "validation" in record) for record in map(json.loads, lines)]
    assert kept == [(1, False), (2, False), (2, True), (3, False), (4, False)]


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl", writes=False)
    metrics.add(Step(1, 1.0, {}, 0.1, 0.5), 0.01)
    metrics.forget_after(0, validated=-1)
    assert not (tmp_path / "metrics.jsonl").exists()
