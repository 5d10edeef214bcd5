"""What a run leaves behind: metrics, a log, and what the card tells of its network's origin."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from topodelin import __version__
from topodelin.training.checkpoint import State, replace_durably
from topodelin.training.config import TrainingConfig
from topodelin.training.config_data import Entry
from topodelin.training.loop import Step
from topodelin.training.progress import LineReport, Report


def provenance(
    config: TrainingConfig, state: State, validation: Mapping[str, Any]
) -> dict[str, Any]:
    """Where the network of a run comes from, for its card."""
    return {
        "trained_by": f"topodelin {__version__}",
        "model": config.model.name,
        "task": config.task.kind,
        "steps": state.progress.step,
        "seed": config.seed,
        "validation": dict(validation),
        "data": [_described(entry) for entry in config.data.train],
    }


class Metrics:
    """`metrics.jsonl`: one object a line."""

    def __init__(self, path: Path, writes: bool) -> None:
        self._path, self._writes = path, writes

    def add(self, step: Step, seconds: float) -> None:
        self._write(
            step=step.number,
            loss=step.loss,
            terms=step.terms,
            learning_rate=step.learning_rate,
            gradient_norm=step.gradient_norm,
            seconds=round(seconds, 4),
        )

    def add_validation(self, step: int, records: Sequence[Mapping[str, Any]]) -> None:
        self._write(step=step, validation=[dict(record) for record in records])

    def forget_after(self, step: int, *, validated: int) -> None:
        """Drop what was written after the checkpoint: it will be written again."""
        if not self._path.exists() or not self._writes:
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line) if line.endswith("}") else {"step": math.inf}
            if record["step"] <= (validated if "validation" in record else step):
                kept.append(line)
        part = self._path.with_suffix(".part")
        part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        replace_durably(part, self._path)

    def _write(self, **record: Any) -> None:
        if self._writes:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")


class Reports:
    """The log file and whoever else listens, from the first process alone."""

    def __init__(self, speaks: bool, write: Callable[[str], object], other: Report | None) -> None:
        self._all: list[Report] = [LineReport(lambda line: write(f"{line}\n"))] if speaks else []
        if other is not None and speaks:
            self._all.append(other)

    def event(self, text: str) -> None:
        for report in self._all:
            report.event(text)

    def status(self, text: str, share: float) -> None:
        for report in self._all:
            report.status(text, share)


def _described(entry: Entry) -> str:
    if entry.image is not None:
        return entry.image.name
    assert entry.rendered is not None  # `Entry` holds one of the two
    return f"{entry.rendered.count} rendered volumes ({entry.rendered.microscope})"
