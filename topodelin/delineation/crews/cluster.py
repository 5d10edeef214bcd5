"""A crew of the workers of a `dask.distributed` cluster (extra `cluster`).

The frontier stays with the coordinator; dask only carries cubes to workers and small answers back,
one task for each cube in hand, released as soon as it is answered. So its scheduler holds a few
tasks at any time, whatever the size of the brain. Each worker gets the network once, when it joins;
workers may come and go.

On a Slurm cluster, with `dask-jobqueue`, from a job of its own that lasts as long as the run:

```python
from dask_jobqueue import SLURMCluster

from topodelin.delineation import default_model, delineate
from topodelin.models import load_distance_model
from topodelin.volumes import open_volume

if __name__ == "__main__":
    cluster = SLURMCluster(cores=1, processes=1, memory="8GB", walltime="12:00:00")
    cluster.adapt(minimum=1, maximum=64)  # workers come and go with the queue
    network, card = load_distance_model(default_model())
    image = open_volume("/shared/brain.ome.zarr")
    print(delineate(image, "/shared/run1", network, card, cluster=cluster.scheduler_address))
```

Image and run folder must lie on a file system that coordinator and workers share. `state.sqlite`
is opened by the coordinator only.
"""

import logging
import math
import pickle
import queue
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from topodelin import __version__
from topodelin.delineation.crews.crew import Crew, CubeTask, End, Outcome
from topodelin.delineation.crews.processes import WorkersLost, sendable
from topodelin.volumes import Index

LOCAL = "local:"
CONNECT_S = 20.0
CLOSE_S = 30.0  # for local workers to end by themselves
COUNT_AGAIN_S = 5.0  # how often it is asked how many workers there are


class DaskCrew(Crew):
    """Hands cubes to the workers of a cluster.

    A worker that dies costs its cubes another attempt, which dask makes by itself (three times);
    one that keeps a cube for too long is restarted.

    Args:
        task: what is done with a cube; pickled once and sent to each worker once.
        client: a `distributed.Client`.
        device: where each worker puts the task; None leaves it as it is.
        timeout: seconds that one cube may take; None waits for ever.

    Raises:
        OSError: a worker cannot do the task, for example because it does not see a file.
    """

    def __init__(
        self,
        task: CubeTask,
        client: Any,
        *,
        device: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._client, self._device, self._timeout = client, device, timeout
        self._name = f"topodelin-{uuid.uuid4().hex[:12]}"
        self._futures: dict[str, tuple[Any, Index, float]] = {}
        self._answered: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._submitted = 0
        self._counted = -math.inf
        self._count = 0
        self._send(task)

    @property
    def count(self) -> int:
        if time.monotonic() - self._counted > COUNT_AGAIN_S:
            self._count, self._counted = self._threads(), time.monotonic()
        return max(1, self._count)

    @property
    def ahead(self) -> int:  # type: ignore[override]  # it grows with the cluster
        return self.count

    @property
    def in_hand(self) -> int:
        return len(self._futures)

    def submit(self, cube: Index) -> None:
        from topodelin.delineation.crews.cluster_task import do_held

        self._submitted += 1
        key = f"{self._name}-{self._submitted}"
        future = self._client.submit(do_held, self._name, cube, key=key, pure=False)
        self._futures[key] = future, cube, time.monotonic()
        future.add_done_callback(lambda done: self._answered.put(done.key))

    def wait(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while not outcomes and self._futures:
            try:
                keys = [self._answered.get(timeout=self._pause())]
            except queue.Empty:
                outcomes += self._expire()
                continue
            while not self._answered.empty():
                keys.append(self._answered.get())
            known = [self._futures.pop(key) for key in keys if key in self._futures]
            outcomes += [self._outcome(future, cube) for future, cube, _ in known]
        return outcomes

    def close(self) -> None:
        futures = [future for future, _, _ in self._futures.values()]
        self._futures.clear()
        if self._client.status == "running":
            self._client.cancel(futures, force=True)
            self._client.unregister_worker_plugin(self._name)

    def _send(self, task: CubeTask) -> None:
        """Give each worker the task, now or when it joins."""
        from topodelin.delineation.crews.cluster_task import TaskHolder

        holder = TaskHolder(self._name, __version__, pickle.dumps(task), self._device)
        try:
            self._client.register_plugin(holder)
        except (OSError, ValueError, RuntimeError) as error:
            raise OSError(f"a worker cannot do this run: {' '.join(str(error).split())}") from error

    def _outcome(self, future: Any, cube: Index) -> Outcome:
        from distributed import KilledWorker

        if future.status == "finished":
            kind, content = future.result()
            future.release()
            if kind == "done":
                return Outcome(cube, End.DONE, content)
            return Outcome(cube, End.RAISED, error=content)
        if future.status in ("cancelled", "lost") or self._client.status != "running":
            raise WorkersLost(
                "the cluster is gone; what is done so far is safe: start it again and call the "
                "same command"
            )
        error = future.exception()
        future.release()
        if isinstance(error, KilledWorker):
            reason = RuntimeError("the workers that tried this cube died, perhaps for memory")
            return Outcome(cube, End.DIED, error=reason, final=True)
        return Outcome(cube, End.RAISED, error=sendable(error))

    def _pause(self) -> float | None:
        if self._timeout is None:
            return None
        first = min(since for _, _, since in self._futures.values())
        return max(0.0, first + self._allowed - time.monotonic())

    @property
    def _allowed(self) -> float:
        """Seconds from handing over to the answer: another cube may have to be done before."""
        return 2 * (self._timeout or math.inf)

    def _expire(self) -> list[Outcome]:
        """Take late cubes from their workers, and restart these. Nobody is late without workers."""
        now = time.monotonic()
        if not self._threads():
            self._futures = {
                k: (future, cube, now) for k, (future, cube, _) in self._futures.items()
            }
            return []
        keys = [k for k, (*_, since) in self._futures.items() if now - since >= self._allowed]
        busy = [
            address
            for address, processing in self._client.processing().items()
            if any(str(key) in keys for key in processing)
        ]
        late = [self._futures.pop(key) for key in keys]
        self._client.cancel([future for future, _, _ in late], force=True)
        self._restart(busy)
        error = TimeoutError(f"took longer than {self._timeout:g} s, and its worker was restarted")
        return [Outcome(cube, End.EXPIRED, error=error) for _, cube, _ in late]

    def _restart(self, addresses: list[str]) -> None:
        try:
            self._client.restart_workers(addresses, timeout=60, raise_for_error=False)
        except ValueError:  # they were started without a nanny: nobody would start them again
            self._client.retire_workers(addresses, close_workers=True)

    def _threads(self) -> int:
        return sum(self._client.nthreads().values())


@contextmanager
def open_cluster(address: str) -> Iterator[Any]:
    """A client of a cluster, closed afterwards.

    Args:
        address: of a scheduler, such as "tcp://node7:8786", or its scheduler file (`.json`);
            "local:4" starts four worker processes on this machine and ends them afterwards.

    Raises:
        ValueError: not an address, or dask is not installed.
        OSError: nobody answers there.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError(
            '`cluster` needs dask; install it with: pip install "topodelin[cluster]"'
        ) from None
    if address.startswith(LOCAL):
        options: dict[str, Any] = {
            "n_workers": local_workers(address),
            "threads_per_worker": 1,
            "processes": True,
            "memory_limit": 0,  # the engine's own bound holds; dask's would pause workers near it
            "dashboard_address": None,
            "silence_logs": logging.ERROR,
        }
        try:
            cluster: Any = LocalCluster(**options)
        except (OSError, RuntimeError) as error:  # a nanny whose worker was killed as it began
            raise OSError(
                f"the workers of {address!r} could not be started "
                f"({' '.join(str(error).split())[:120]}); what is done so far is safe: start the "
                "same command again"
            ) from None
        try:
            with Client(cluster) as client:
                yield client
        finally:
            cluster.close(timeout=CLOSE_S)
        return
    place: dict[str, Any] = {"scheduler_file" if address.endswith(".json") else "address": address}
    try:
        client: Any = Client(**place, timeout=CONNECT_S)
    except (OSError, ValueError, TypeError) as error:
        raise OSError(
            f"`cluster` {address!r} does not answer ({' '.join(str(error).split())[:120]}); give "
            "the address that `dask scheduler` prints, such as tcp://node7:8786, or local:4"
        ) from None
    with client:
        yield client


def local_workers(address: str) -> int:
    """4 for "local:4"; 0 for the address of a cluster that somebody else started."""
    if not address.startswith(LOCAL):
        return 0
    number = address.removeprefix(LOCAL)
    if not (number.isascii() and number.isdigit() and int(number)):
        raise ValueError(f"`cluster` must name 1 or more processes, as in local:4, got {address!r}")
    return int(number)


def cluster_threads(address: str) -> int:
    """Cubes that the workers of a cluster do at the same time now; at least 1."""
    with open_cluster(address) as client:
        return max(1, sum(client.nthreads().values()))
