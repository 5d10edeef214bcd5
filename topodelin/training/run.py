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
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import torch
from lightning_fabric import Fabric
from torch import nn

from topodelin.models import load_pretrained, save_model
from topodelin.training.building import build_optimizer
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
from topodelin.training.outputs import Metrics, Reports
from topodelin.training.prefetch import batches
from topodelin.training.processes import anyone, start_processes, together
from topodelin.training.progress import Pace, Report, status_line
from topodelin.training.sampler import Batch
from topodelin.training.stopping import advance, is_better, stopped
from topodelin.training.tasks import Judgement, make_task
from topodelin.training.tasks.voxelwise import train_voxelwise

KEPT = ("config.yaml", "log.txt", "metrics.jsonl", "checkpoints", "model.safetensors")


@dataclass(frozen=True)
class TrainingResult:
    """Where a run ended.

    Args:
        steps: done in all.
        best_score: of the best validation, higher is better; None without validation stacks.
        model: the file of the best network.
    """

    steps: int
    best_score: float | None
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

    With several devices these come from the first process; the others end silently
    ([`together`][topodelin.training.processes.together]).
    """
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    _check_own_folder(folder)
    if config.threads:
        torch.set_num_threads(config.threads)
    fabric = start_processes(config)
    with together(fabric):
        if not resume and fabric.is_global_zero:
            _delete_run(folder)
    with together(fabric):
        changed = _check_same_run(folder, config)
    with (folder / "log.txt").open("a", encoding="utf-8", buffering=1) as log:
        report = Reports(fabric.is_global_zero, log.write, progress)
        if changed:
            report.event(f"settings changed since this run was started: {', '.join(changed)}")
        if config.task.kind == "voxelwise":  # fitted at once, without steps
            score = train_voxelwise(config, folder, report)
            return TrainingResult(1, score, folder / KEPT[-1])
        return _Run(config, folder, fabric, report).go()


class _Run:
    """The parts of a run, in the order in which they act."""

    def __init__(
        self, config: TrainingConfig, folder: Path, fabric: Fabric, report: Reports
    ) -> None:
        self.config, self.folder, self.fabric, self.report = config, folder, fabric, report
        self.last = folder / "checkpoints" / "last.safetensors"
        with together(fabric):
            self.task = make_task(config, folder, fabric, report)
            self.loss, network = self.task.loss, self.task.network
            if config.model.weights is not None and not self.last.exists():
                found = load_pretrained(network, config.model.weights)
                report.event(f"{config.model.weights}: {found}")
            optimizer = build_optimizer(network, config.optimizer)
        averaged = copy.deepcopy(network) if config.optimizer.averaging else None
        self.model, self.optimizer = fabric.setup(network, optimizer)
        if averaged is not None:
            averaged.to(fabric.device)
        self.state = State(network, optimizer, averaged)
        with together(fabric):
            if self.last.exists():
                load_checkpoint(self.last, self.state)
        first = fabric.broadcast(self.state.progress.step)
        with together(fabric):
            if first != self.state.progress.step:
                raise ValueError(
                    f"{folder} must be one folder that all machines share, but the run is at step "
                    f"{self.state.progress.step} here and at step {first} on the first machine; "
                    "give one that all of them see with -o"
                )
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
                if progress.step >= config.steps or self._ends_early():
                    break
                if anyone(self.fabric, interruption.requested):
                    with together(self.fabric):
                        self._stop()
                pace.start()
                step = next(running)
                with together(self.fabric):
                    self._after(step, pace)
        with together(self.fabric):
            self._save()
        self.report.event(self._last_line())
        return TrainingResult(progress.step, progress.best_score, self.folder / KEPT[-1])

    def _save(self, name: str = "last") -> None:
        """Write a checkpoint, from the first process alone."""
        if self.fabric.is_global_zero:
            path = self.last.with_name(f"{name}.safetensors")
            save_checkpoint(path, self.state, self.config.model_dump(mode="json"))

    @property
    def judged_network(self) -> nn.Module:
        return self.state.averaged or self.state.network

    def _prepared(self, step: int, **share: int) -> Batch:
        """The batch of a step, with what the loss makes of the annotation alone."""
        batch = self.task.sampler.draw(step, **share)
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
            self._save()

    def _validate_when_due(self, interruption: Interruption) -> None:
        progress, config = self.state.progress, self.config
        due = progress.step % config.validate_every == 0 and progress.step > 0
        if progress.validated == progress.step or not (due or progress.step >= config.steps):
            return
        with together(self.fabric):
            if self.fabric.is_global_zero:
                self._validate(interruption)
        progress.take(self.fabric.broadcast(progress))
        progress.validated = progress.step
        with together(self.fabric):
            self._save()

    def _validate(self, interruption: Interruption) -> None:
        if not self.task.judged:
            self._export(None)
            return
        try:
            with interruption.at_once():
                judgement = self.task.judge(self.judged_network)
        except KeyboardInterrupt:
            self._stop()
        self._judged(judgement)

    def _judged(self, judgement: Judgement) -> None:
        progress = self.state.progress
        self.metrics.add_validation(progress.step, judgement.records)
        best, better = progress.best_score, is_better(judgement.score, progress)
        self.report.event(
            f"step {progress.step}: {judgement.text}"
            + (", the best so far" if better else f", best {best:.3f}")
        )
        advance(progress, judgement.score, self.config)
        if better:
            progress.validated = progress.step
            self._export(judgement)
            self._save("best")

    def _export(self, judgement: Judgement | None) -> None:
        card = self.task.card(self.state, judgement)
        save_model(self.folder / "model.safetensors", self.judged_network, card)

    def _ends_early(self) -> bool:
        reason = stopped(self.state.progress, self.config)
        if reason:
            self.report.event(f"stopping at step {self.state.progress.step}: {reason}")
        return bool(reason)

    def _stop(self) -> NoReturn:
        self._save()
        raise Interrupted(
            f"stopped at step {self.state.progress.step} of {self.config.steps}; "
            "the same command goes on from there"
        )

    def _learning_rate(self, step: int) -> float:
        settings, drops = self.config.optimizer, self.state.progress.drops
        return learning_rate(step, settings, steps=self.config.steps, drops=drops)

    def _first_line(self) -> str:
        progress, config = self.state.progress, self.config
        count = sum(weight.numel() for weight in self.state.network.parameters())
        begin = f"going on from step {progress.step}" if progress.step else "starting"
        return (
            f"{begin}: {config.steps} steps of {config.sampling.batch} crops on "
            f"{self.fabric.device}, {config.model.name} with {count} weights, "
            f"{self.task.learnt} stacks to learn from, {self.task.judged} to be judged on"
        )

    def _last_line(self) -> str:
        progress = self.state.progress
        said = f"done: {progress.step} steps, network in {self.folder / 'model.safetensors'}"
        if progress.best_score is not None:
            name = self.config.score_name
            said += f" ({name} {progress.best_score:.3f}, of step {progress.best_step})"
        return said


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
