"""Checkpoints: everything needed to go on as if nothing had happened, in one safetensors file.

Crops, dropout and the learning rate are functions of the seed and the step, so weights, optimiser
and step are the whole state. Tensors are stored as tensors, the rest as JSON in the file's
header; nothing is ever unpickled.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from topodelin import __version__

FORMAT_VERSION = 2
KEY = "topodelin_checkpoint"


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not belong to this run."""


@dataclass
class Progress:
    """How far a run has come.

    Args:
        step: steps done.
        validated: steps that were done at the last validation; -1 before the first.
        best_score, last_score: of the best and the last validation; None before the first.
        best_step: when the best was.
        stood_still: validations since the last improvement that counts.
        drops: how often the learning rate was lowered for that.
        counted_score: of the last improvement that counted.
    """

    step: int = 0
    validated: int = -1
    best_score: float | None = None
    last_score: float | None = None
    best_step: int = 0
    stood_still: int = 0
    drops: int = 0
    counted_score: float | None = None

    def take(self, other: "Progress") -> None:
        """Become what another process knows."""
        vars(self).update(vars(other))


@dataclass
class State:
    """All that changes while a run goes on."""

    network: nn.Module
    optimizer: Optimizer
    averaged: nn.Module | None = None
    progress: Progress = field(default_factory=Progress)


def save_checkpoint(path: Path, state: State, config: dict[str, Any]) -> None:
    """Write the state; a reader sees the old file or the new one, never a part.

    Args:
        path: of the `.safetensors` file; its folder is made.
        state: is only read.
        config: of the run, as plain JSON values; resuming compares it.
    """
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    if state.averaged is not None:
        for name, value in state.averaged.state_dict().items():
            tensors[f"averaged.{name}"] = value
    optimizer = state.optimizer.state_dict()
    others: dict[str, dict[str, Any]] = {}
    for index, entries in optimizer["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                others.setdefault(str(index), {})[key] = value
    header = {
        "format_version": FORMAT_VERSION,
        "topodelin": __version__,
        "progress": asdict(state.progress),
        "optimizer": {"param_groups": optimizer["param_groups"], "state": others},
        "config": config,
    }
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(plain, part, metadata={KEY: json.dumps(header)})
        replace_durably(part, path)
    except SafetensorError as error:  # how it calls a full disk
        raise OSError(f"{path}: cannot be written: {error}") from None
    finally:
        part.unlink(missing_ok=True)


def load_checkpoint(path: Path, state: State) -> None:
    """Put a saved state back into a network, optimiser and progress of the same configuration."""
    header, tensors = read_header(path), {}
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    optimizer: dict[int, dict[str, Any]] = {}
    for index, entries in header["optimizer"]["state"].items():
        optimizer.setdefault(int(index), {}).update(entries)
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "averaged": {}}
    for name, value in tensors.items():
        part, rest = name.split(".", 1)
        if part == "optimizer":
            index, key = rest.split(".", 1)
            optimizer.setdefault(int(index), {})[key] = value
        else:
            parts[part][rest] = value
    try:
        state.network.load_state_dict(parts["network"])
        if state.averaged is not None:
            state.averaged.load_state_dict(parts["averaged"])
    except RuntimeError:
        raise CheckpointError(
            f"{path}: the weights are of another network; start again with `--restart`"
        ) from None
    groups = header["optimizer"]["param_groups"]
    state.optimizer.load_state_dict({"state": optimizer, "param_groups": groups})
    state.progress = Progress(**header["progress"])


def read_header(path: Path) -> dict[str, Any]:
    """What a checkpoint says about itself: format, version, progress, optimiser, configuration."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
    except (SafetensorError, KeyError, ValueError):
        raise CheckpointError(
            f"{path}: is no checkpoint of a training run; start again with `--restart`"
        ) from None
    if header["format_version"] > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: was written by topodelin {header['topodelin']}, which is newer than this "
            f"one ({__version__}); update topodelin to go on"
        )
    if header["format_version"] < FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: was written by topodelin {header['topodelin']}, an older one than this "
            f"({__version__}), with which it can be finished; start again with `--restart`"
        )
    return header


def replace_durably(part: Path, path: Path) -> None:
    """Rename a complete file into place, and have both the file and its name on disk."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
