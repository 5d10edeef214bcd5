"""Several processes, one a device, that train one network: they begin, fail and end together.

Each process draws its share of every batch, gradients are averaged over all of them, and the first
process alone judges and writes. On one machine the command starts its own copies; on several it is
started on each, by `torchrun` or with MASTER_ADDR, MASTER_PORT and NODE_RANK in the environment.
"""

import atexit
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException

from topodelin.training.config import TrainingConfig
from topodelin.training.config_file import ConfigError

LONGEST_WAIT = timedelta(hours=12)  # the others wait while the first one judges
LOST = re.compile(r"gloo|nccl|connection|socket|peer|timed? ?out", re.IGNORECASE)
SHARED_KINDS = (FloatingPointError, MemoryError, OSError, KeyboardInterrupt)


def start_processes(config: TrainingConfig) -> Fabric:
    """The devices of a run, ready to compute; with several, this returns in each process."""
    device, _, number = config.device.partition(":")
    several = config.devices * config.nodes > 1
    strategy = DDPStrategy(timeout=LONGEST_WAIT) if several else "auto"
    try:
        fabric = Fabric(
            accelerator=device,
            devices=[int(number)] if number else config.devices,
            num_nodes=config.nodes,
            precision="32-true" if config.precision == "32" else config.precision,
            strategy=strategy,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"device: must be one that this machine has, got {config.device!r} ({said}); "
            "`--device cpu` always works"
        ) from None
    if several:
        for name in ("distributed", "rank_zero"):  # they greet each other
            logging.getLogger(f"lightning_fabric.utilities.{name}").setLevel(logging.WARNING)
        fabric.launch()
        atexit.unregister(_say_goodbye)  # once, however many runs a process has
        atexit.register(_say_goodbye)
    return fabric


def _say_goodbye() -> None:
    """Threads that still wait for the others would end the process with an error."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def together(fabric: Fabric) -> Iterator[None]:
    """What fails inside in one process ends all of them, so that none waits for the others.

    The first process raises the error, its own or that of another; the others end without a word
    (SystemExit). Only what does not talk to the other processes belongs inside. With one process
    this does nothing.
    """
    if fabric.world_size == 1:
        yield
        return
    error: BaseException | None = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as caught:
        if getattr(caught, "told_to_all", False):
            raise
        error = caught
    if not anyone(fabric, error is not None):
        return
    kind = next((kind for kind in SHARED_KINDS if isinstance(error, kind)), ValueError)
    mine = None if error is None else (kind, str(error) or type(error).__name__)
    every: list[tuple[type[BaseException], str] | None] = [None] * fabric.world_size
    torch.distributed.all_gather_object(every, mine)
    if not fabric.is_global_zero:
        raise SystemExit(0)  # else the starter would kill the first process, which has to speak
    if error is None:
        rank, (kind, text) = next((n, each) for n, each in enumerate(every) if each is not None)
        error = kind(f"process {rank}: {text}")
    error.told_to_all = True  # type: ignore[attr-defined]
    raise error


def anyone(fabric: Fabric, asks: bool) -> bool:
    """Whether any process asks; all have to call this."""
    if fabric.world_size == 1:
        return asks
    return sum_over(fabric, [float(asks)])[0] > 0


def mean_over(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Each value averaged over the processes; all have to give as many."""
    if fabric.world_size == 1:
        return list(values)
    return [value / fabric.world_size for value in sum_over(fabric, values)]


def sum_over(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Each value summed over the processes."""
    mine = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    with talking(fabric):
        total = fabric.all_reduce(mine, reduce_op="sum")
    assert isinstance(total, torch.Tensor)  # one tensor went in
    return total.tolist()


@contextmanager
def talking(fabric: Fabric) -> Iterator[None]:
    """Around work in which processes wait for each other.

    Raises:
        ConnectionError: where another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        said = " ".join(str(error).split())
        if fabric.world_size == 1 or not LOST.search(said):
            raise
        raise ConnectionError(
            f"another process of this run is gone ({said[-80:]}); the same command goes on from "
            "the last checkpoint"
        ) from None
