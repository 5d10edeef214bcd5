"""Who works on the cubes of a run: this process, processes of our own, an executor, a cluster."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from topodelin.delineation.crews.crew import Crew, CubeTask, InProcess
from topodelin.delineation.crews.executors import OnExecutor
from topodelin.delineation.crews.processes import Processes
from topodelin.volumes import Volume

TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Workers:
    """Starts crews for one task after another; the result does not depend on who does it.

    Args:
        count: processes; 1 works in this one. With an executor, cubes in hand at a time.
        devices: process k works on `devices[k % len(devices)]`; with several devices there are at
            least as many processes. None leaves the network where it is.
        executor: any `concurrent.futures.Executor` in place of processes of our own.
        client: of a `dask.distributed` cluster, in place of both (`cluster.open_cluster`).
        timeout: seconds that a cube may take before it is taken from its worker, which is killed.
            By default an hour; this process cannot take a cube from itself, so one worker that
            must not hang needs a timeout given, and becomes a process of its own.
    """

    count: int = 1
    devices: tuple[str, ...] = ()
    executor: Executor | None = None
    client: Any = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"`workers` must be 1 or more, got {self.count}")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"`cube_timeout` must be positive, got {self.timeout}")
        if len(self.devices) > self.count:
            object.__setattr__(self, "count", len(self.devices))

    @property
    def elsewhere(self) -> bool:
        """Whether other processes do the work."""
        return bool(self.client or self.executor) or self.count > 1 or self.timeout is not None

    @contextmanager
    def crew(self, task: CubeTask, *, volumes: Sequence[Volume] = ()) -> Iterator[Crew]:
        """A crew for a task, gone at the end of `with`.

        Args:
            task: a callable of a cube; see `CubeTask`.
            volumes: that are sent with it; one in memory is refused if it would be copied.
        """
        with self._start(task, volumes) as crew:
            yield crew

    def _start(self, task: CubeTask, volumes: Sequence[Volume]) -> Crew:
        timeout = self.timeout or TIMEOUT_S
        if self.executor is not None:
            return OnExecutor(task, self.count, self.executor, timeout=timeout)
        if self.elsewhere and any(isinstance(volume.data, np.memmap) for volume in volumes):
            raise ValueError(
                "`volume` is a memory map, which every worker process would copy whole; "
                "open the file with topodelin.volumes.open_volume"
            )
        if self.client is not None:
            from topodelin.delineation.crews.cluster import DaskCrew

            return DaskCrew(task, self.client, device=self._one_device(), timeout=timeout)
        if self.elsewhere:
            return Processes(task, self.count, devices=self.devices, timeout=timeout)
        return InProcess(task)

    def _one_device(self) -> str | None:
        if len(self.devices) > 1:
            raise ValueError(
                "`device` must be one device with a cluster, the same name on every worker, got "
                f"{', '.join(self.devices)}"
            )
        return self.devices[0] if self.devices else None


HERE = Workers()  # this process alone
