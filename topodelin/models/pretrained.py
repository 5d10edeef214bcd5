"""Weights of another program: read by name, as far as names and shapes are those of the network.

Only safetensors files are read. Checkpoints of torchvision and MedicalNet are distributed as
pickles, which can run any program when they are opened; who trusts one converts it once:

    python -c "import torch, safetensors.torch as s; s.save_file(torch.load('resnet34.pth', \
        weights_only=True), 'resnet34.safetensors')"

and, where the weights lie one level deeper (MedicalNet), `torch.load(...)['state_dict']`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from topodelin.models.storage import ModelError

PREFIXES = ("module.", "network.", "model.")  # of programs that wrap a network
OPTIMISER = ("optimizer.", "averaged.")  # in the checkpoint of a run, beside the weights
COUNTER = ".num_batches_tracked"  # batches that a normalisation has seen; nothing depends on it
PICKLES = (b"PK\x03\x04", b"\x80")  # how files of torch.save begin, today's and old ones
CONVERT = (
    'convert a pickle that you trust once: python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('IN.pth', weights_only=True), 'OUT.safetensors')\""
)


@dataclass(frozen=True)
class Loaded:
    """Which weights came from a file.

    Args:
        loaded: names that were taken.
        absent: names of the network that the file does not hold, but for counters of batches,
            which old files lack and nothing depends on.
        unused: names of the file that the network does not have.
        misshapen: names that both have, with other shapes: (name, shape there, shape here).
    """

    loaded: tuple[str, ...]
    absent: tuple[str, ...]
    unused: tuple[str, ...]
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} weights loaded"]
        for names, said in ((self.absent, "not in the file"), (self.unused, "of the file unused")):
            if names:
                parts.append(f"{len(names)} {said}: {_listed(names)}")
        if self.misshapen:
            shapes = [f"{name} {there} for {here}" for name, there, here in self.misshapen]
            parts.append(f"{len(shapes)} of another shape: {_listed(shapes)}")
        return "; ".join(parts)


def load_pretrained(
    network: nn.Module, path: str | os.PathLike[str], *, renamed: Mapping[str, str] | None = None
) -> Loaded:
    """Copy the weights of a safetensors file into a network where name and shape agree.

    A prefix that all names of the file share because a program wrapped its network, such as
    `module.`, is taken off. A file that knows only the trunk of a network (`network.trunk`), as
    those of torchvision and MedicalNet do, is put there.

    Args:
        network: is changed in place; weights that the file lacks stay as they are. A frozen
            network stays frozen.
        path: of the file. A model file or a checkpoint of a run will do as well.
        renamed: name in the file -> name in the network, for the beginnings of names that differ,
            e.g. `{"": "encoder."}` puts a whole trunk into the encoder; the first that fits counts.

    Raises:
        ModelError: for a file that is no safetensors file, or none of whose weights fits. The
            network is as it was.
    """
    file = Path(path)
    own = network.state_dict()
    stored = _read(file)
    if renamed is not None:
        stored = _renamed(file, stored, renamed)
    elif isinstance(getattr(network, "trunk", None), nn.Module):
        in_trunk = {f"trunk.{name}": value for name, value in stored.items()}
        stored = max(stored, in_trunk, key=lambda names: len(own.keys() & names.keys()))
    shared = sorted(own.keys() & stored.keys())
    fitting = [name for name in shared if own[name].shape == stored[name].shape]
    found = Loaded(
        tuple(fitting),
        tuple(sorted(n for n in own.keys() - stored.keys() if not n.endswith(COUNTER))),
        tuple(sorted(stored.keys() - own.keys())),
        tuple(
            (name, tuple(stored[name].shape), tuple(own[name].shape))
            for name in shared
            if own[name].shape != stored[name].shape
        ),
    )
    if all(name.endswith(COUNTER) for name in fitting):
        raise ModelError(
            f"{file}: must hold weights of a {type(network).__name__}, got none that fits ({found})"
        )
    for name in fitting:
        _check_numbers(file, name, stored[name], own[name])
    with torch.no_grad():
        for name in fitting:
            own[name].copy_(stored[name])
    return found


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise ModelError(f"{file}: no such file of weights")
    with file.open("rb") as content:
        beginning = content.read(8)
    try:
        with safe_open(str(file), framework="pt") as stored:
            names = [name for name in stored.keys() if not name.startswith(OPTIMISER)]
            kept = {name: stored.get_tensor(name) for name in names}
    except SafetensorError as error:
        if beginning.startswith(PICKLES):
            raise ModelError(f"{file}: is no safetensors file; {CONVERT}") from None
        raise ModelError(f"{file}: is no whole safetensors file ({error}); copy it again") from None
    for prefix in PREFIXES:
        if kept and all(name.startswith(prefix) for name in kept):
            kept = {name.removeprefix(prefix): value for name, value in kept.items()}
    return kept


def _renamed(
    file: Path, stored: Mapping[str, Tensor], renamed: Mapping[str, str]
) -> dict[str, Tensor]:
    names = {}
    for name in stored:
        beginning = next((b for b in renamed if name.startswith(b)), None)
        new = name if beginning is None else renamed[beginning] + name.removeprefix(beginning)
        if new in names:
            raise ModelError(
                f"{file}: `renamed` must keep names apart, got {new} for {names[new]} and {name}"
            )
        names[new] = name
    return {new: stored[name] for new, name in names.items()}


def _check_numbers(file: Path, name: str, stored: Tensor, own: Tensor) -> None:
    if stored.is_floating_point() != own.is_floating_point():
        raise ModelError(
            f"{file}: `{name}` must be {own.dtype}, got {stored.dtype}; convert weights of the "
            "network as it was trained, not quantised"
        )
    if not stored.to(own.dtype).isfinite().all():
        raise ModelError(f"{file}: `{name}` holds NaN or infinite values; take another file")


def _listed(names: tuple[str, ...] | list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
