"""A whole training run in a folder: it can be stopped at any moment and goes on where it was.

RUN/config.yaml                    every setting
RUN/log.txt                        what the terminal showed
RUN/metrics.jsonl                  one line per step and per validation
RUN/checkpoints/last.safetensors   to go on from
RUN/checkpoints/best.safetensors   the same, at the best validation
RUN/model.safetensors              the best network, for `topodelin delineate --model`
RUN/rendered/                      synthetic volumes
"""

import copy
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from topodelin.models import save_model
from topodelin.training.building import build_loss, build_network, build_optimizer
from topodelin.training.checkpoint import (
    CheckpointError,
    State,
    load_checkpoint,
    read_header,
    save_checkpoint,
)
from topodelin.training.config import TrainingConfig
from topodelin.training.config_file import (
    FREE_TO_CHANGE,
    RUN_HEADER,
    ConfigError,
    changed_settings,
    dump_config,
)
from topodelin.training.interruption import Interrupted, Interruption
from topodelin.training.loop import Step, average_weights, learning_rate, steps
from topodelin.training.outputs import Metrics, Reports, model_card
from topodelin.training.prefetch import batches
from topodelin.training.preparation import make_sampler, prepare_stacks
from topodelin.training.progress import Pace, Report, status_line
from topodelin.training.sampler import Batch
from topodelin.training.validation import Score, best_score, validate

KEPT = ("config.yaml", "log.txt", "metrics.jsonl", "checkpoints", "model.safetensors")


@dataclass(frozen=True)
class TrainingResult:
    """Where a run ended.

    Args:
        steps: done in all.
        best_quality: of the best validation; None without validation stacks.
        model: the file of the best network.
    """

    steps: int
    best_quality: float | None
    model: Path


def train(
    config: TrainingConfig,
    *,
    run_dir: str | Path,
    resume: bool = True,
    progress: Report | None = None,
) -> TrainingResult:
    """Train a network, or go on with a run that was stopped.

    Args:
        config: from `load_config`.
        run_dir: folder of the run, made where needed.
        resume: go on from the last checkpoint in the folder, if there is one; False begins anew
            and deletes what the folder holds of an earlier run (rendered volumes are kept).
        progress: gets a line now and then; `log.txt` gets them in any case.

    Raises:
        CheckpointError: the folder holds a run of other settings; the message names them.
        ConfigError: a name or an argument in the configuration is not known.
        ValueError, OSError: a stack or a tracing cannot be used; the message names it.
        FloatingPointError: the loss is not finite; it names the step and the term.
        Interrupted: stopped by Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    _check_own_folder(folder)
    if not resume:
        _delete_run(folder)
    if config.threads:
        torch.set_num_threads(config.threads)
    fabric = _fabric(config)
    changed = _check_same_run(folder, config)
    with (folder / "log.txt").open("a", encoding="utf-8", buffering=1) as log:
        report = Reports(fabric.is_global_zero, log.write, progress)
        if changed:
            report.event(f"settings changed since this run was started: {', '.join(changed)}")
        return _Run(config, folder, fabric, report).go()


class _Run:
    """The parts of a run, in the order in which they act."""

    def __init__(
        self, config: TrainingConfig, folder: Path, fabric: Fabric, report: Reports
    ) -> None:
        self.config, self.folder, self.fabric, self.report = config, folder, fabric, report
        self.last = folder / "checkpoints" / "last.safetensors"
        network = build_network(config)
        self.loss = build_loss(config)
        train_stacks, self.judged = prepare_stacks(config, folder, fabric, report)
        self.sampler = make_sampler(config, train_stacks, network, self.loss)
        optimizer = build_optimizer(network, config.optimizer)
        averaged = copy.deepcopy(network) if config.optimizer.averaging else None
        self.model, self.optimizer = fabric.setup(network, optimizer)
        if averaged is not None:
            averaged.to(fabric.device)
        self.state = State(network, optimizer, averaged)
        if self.last.exists():
            load_checkpoint(self.last, self.state)
        if fabric.is_global_zero:
            (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        self.metrics = Metrics(folder / "metrics.jsonl", fabric.is_global_zero)
        progress = self.state.progress
        self.metrics.forget_after(progress.step, validated=progress.validated)

    def go(self) -> TrainingResult:
        config, progress = self.config, self.state.progress
        self.report.event(self._first_line())
        share = {"first": self.fabric.global_rank, "every": self.fabric.world_size}
        source = batches(
            partial(self._prepared, **share),
            range(progress.step, config.steps),
            workers=config.sampling.workers,
        )
        running = steps(
            self.fabric,
            self.model,
            self.loss,
            self.optimizer,
            source,
            learning_rate=self._learning_rate,
            first=progress.step,
            seed=config.seed,
            clip=config.optimizer.clip,
        )
        pace = Pace()
        with closing(source), closing(running), Interruption() as interruption:
            while True:
                self._validate_when_due(interruption)
                if progress.step >= config.steps:
                    break
                if self._everyone_asks(interruption.requested):
                    self._stop()
                pace.start()
                self._after(next(running), pace)
        self.save()
        self.report.event(self._last_line())
        return TrainingResult(progress.step, progress.best_quality, self.folder / KEPT[-1])

    def save(self, name: str = "last") -> None:
        """Write a checkpoint, from the first process alone."""
        if self.fabric.is_global_zero:
            path = self.last.with_name(f"{name}.safetensors")
            save_checkpoint(path, self.state, self.config.model_dump(mode="json"))

    @property
    def judged_network(self) -> nn.Module:
        return self.state.averaged or self.state.network

    def _prepared(self, step: int, **share: int) -> Batch:
        """The batch of a step, with what the loss makes of the annotation alone."""
        batch = self.sampler.draw(step, **share)
        return batch._replace(target=self.loss.prepare(batch.target))

    def _after(self, step: Step, pace: Pace) -> None:
        config, progress = self.config, self.state.progress
        progress.step = step.number
        if self.state.averaged is not None:
            decay = config.optimizer.averaging
            average_weights(self.state.averaged, self.state.network, decay, step.number)
        self.metrics.add(step, pace.stop())
        line = status_line(step, config.steps, pace.seconds_per_step)
        self.report.status(line, step.number / config.steps)
        if step.number % config.checkpoint_every == 0:
            self.save()

    def _validate_when_due(self, interruption: Interruption) -> None:
        progress, config = self.state.progress, self.config
        due = progress.step % config.validate_every == 0 and progress.step > 0
        if progress.validated == progress.step or not (due or progress.step >= config.steps):
            return
        if self.judged and self.fabric.is_global_zero:
            try:
                with interruption.at_once():
                    scores = validate(self.judged_network, self.judged, config)
            except KeyboardInterrupt:
                self._stop()
            self._judge(scores)
        elif self.fabric.is_global_zero:
            self._export(min(config.validation.thresholds), {})
        progress.validated = progress.step
        self.save()
        self.fabric.barrier()

    def _judge(self, scores: Sequence[Score]) -> None:
        progress, best = (
            self.state.progress,
            best_score(scores, self.config.validation.threshold_slack),
        )
        self.metrics.add_validation(progress.step, scores)
        better = progress.best_quality is None or best.quality > progress.best_quality
        self.report.event(
            f"step {progress.step}: quality {best.quality:.3f} at "
            f"{self.config.validation.tolerance_um:g} µm (completeness {best.completeness:.3f}, "
            f"correctness {best.correctness:.3f}, threshold {best.threshold:g})"
            + (", the best so far" if better else f", best {progress.best_quality:.3f}")
        )
        if better:
            progress.best_quality, progress.best_step = best.quality, progress.step
            progress.validated = progress.step
            self._export(best.threshold, best.as_dict())
            self.save("best")

    def _export(self, threshold: float, score: dict[str, Any]) -> None:
        card = model_card(self.config, self.state, threshold, score)
        save_model(self.folder / "model.safetensors", self.judged_network, card)

    def _stop(self) -> None:
        self.save()
        raise Interrupted(
            f"stopped at step {self.state.progress.step} of {self.config.steps}; "
            "the same command goes on from there"
        )

    def _everyone_asks(self, requested: bool) -> bool:
        if self.fabric.world_size == 1:
            return requested
        return bool(self.fabric.all_reduce(torch.tensor(float(requested)), reduce_op="sum"))

    def _learning_rate(self, step: int) -> float:
        settings = self.config.optimizer
        return learning_rate(
            step,
            peak=settings.lr,
            steps=self.config.steps,
            warm_up=settings.warm_up,
            schedule=settings.schedule,
        )

    def _first_line(self) -> str:
        progress, config = self.state.progress, self.config
        count = sum(weight.numel() for weight in self.state.network.parameters())
        begin = f"going on from step {progress.step}" if progress.step else "starting"
        return (
            f"{begin}: {config.steps} steps of {config.sampling.batch} crops on "
            f"{self.fabric.device}, {config.model.name} with {count} weights, "
            f"{len(self.sampler.stacks)} stacks to learn from, {len(self.judged)} to be judged on"
        )

    def _last_line(self) -> str:
        progress = self.state.progress
        said = f"done: {progress.step} steps, network in {self.folder / 'model.safetensors'}"
        if progress.best_quality is not None:
            said += f" (quality {progress.best_quality:.3f}, of step {progress.best_step})"
        return said


def _fabric(config: TrainingConfig) -> Fabric:
    device, _, number = config.device.partition(":")
    fabric = Fabric(
        accelerator=device,
        devices=[int(number)] if number else config.devices,
        precision="32-true" if config.precision == "32" else config.precision,
    )
    if config.devices > 1:
        fabric.launch()
    return fabric


def _check_same_run(folder: Path, config: TrainingConfig) -> list[str]:
    """Names of settings that were changed and may be; an error where one may not."""
    last = folder / "checkpoints" / "last.safetensors"
    if not last.exists():
        return []
    before = read_header(last)["config"]
    changed = changed_settings(before, config.model_dump(mode="json"))
    fixed = [name for name in changed if name not in FREE_TO_CHANGE]
    if fixed:
        raise CheckpointError(
            f"{folder}: holds a run with another `{'`, `'.join(fixed)}`; give another folder with "
            "-o, or begin anew with --restart"
        )
    return changed


def _check_own_folder(folder: Path) -> None:
    """Refuse a folder whose `config.yaml` is somebody's own: a run would write over it."""
    path = folder / "config.yaml"
    if path.exists() and not path.read_bytes().startswith(RUN_HEADER.encode()):
        raise ConfigError(
            f"{path}: is not the record of a run and would be lost; give a folder of its own with "
            "-o"
        )


def _delete_run(folder: Path) -> None:
    for name in KEPT:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
