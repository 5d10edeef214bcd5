"""A crew of processes of our own: one pipe to each, so that it is known who has which cube."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from topodelin.delineation.crews.crew import Crew, CubeTask, End, Outcome
from topodelin.volumes import Index

IN_HAND = 2  # cubes of one worker: the one it does, and one to go on with at once
START_S = 600.0  # to start Python and load the network
START_ATTEMPTS = 3
END_S = 10.0  # for idle workers to end by themselves


class WorkersLost(OSError):
    """Worker processes cannot be started, or the ones that were given are gone."""


@dataclass(eq=False)
class _Worker:
    """The coordinator's side of one process."""

    number: int
    process: BaseProcess
    pipe: Connection
    since: float  # when it began to start, or with its first cube
    ready: bool = False
    cubes: deque[Index] = field(default_factory=deque)


class Processes(Crew):
    """Fresh processes, each with the task and one thread of torch, however many cores there are.

    A worker that dies is blamed for the cube it was doing, and replaced; one that keeps a cube for
    longer than `timeout` is killed alone. Cubes that were queued behind are returned.

    Args:
        task: what is done with a cube; pickled once and sent to each process when it starts.
        count: processes.
        devices: process k puts the task on `devices[k % len(devices)]`; none leaves it as it is.
        timeout: seconds that one cube may take; None waits for ever.

    Raises:
        WorkersLost: (by `wait`) three processes in a row did not start.
    """

    ahead: int

    def __init__(
        self,
        task: CubeTask,
        count: int,
        *,
        devices: Sequence[str] = (),
        timeout: float | None = None,
    ) -> None:
        self._pickled = pickle.dumps(task)
        self._count, self._devices, self._timeout = count, tuple(devices), timeout
        self.ahead = count * (IN_HAND - 1)
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._queue: deque[Index] = deque()
        self._false_starts = 0

    @property
    def count(self) -> int:
        return self._count

    @property
    def in_hand(self) -> int:
        return len(self._queue) + sum(len(worker.cubes) for worker in self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def submit(self, cube: Index) -> None:
        self._queue.append(cube)
        self._feed()

    def wait(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while not outcomes and self.in_hand:
            self._hire()
            self._feed()
            pipes = {worker.pipe: worker for worker in self._workers}
            ends = {worker.process.sentinel: worker for worker in self._workers}
            heard = wait([*pipes, *ends], self._pause())
            for worker in [pipes[pipe] for pipe in heard if isinstance(pipe, Connection)]:
                outcomes += self._listen(worker)
            for worker in [ends[end] for end in heard if isinstance(end, int)]:
                if worker in self._workers:  # its last answers are in the pipe
                    outcomes += self._listen(worker, to_the_end=True)
            outcomes += self._expire()
        return outcomes

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()  # an idle worker ends by itself
            if worker.cubes or not worker.ready:
                worker.process.kill()
        end = time.monotonic() + END_S
        for worker in self._workers:
            worker.process.join(max(0.0, end - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            worker.process.close()
        self._workers.clear()
        self._queue.clear()

    def _hire(self) -> None:
        """Start processes in the free places, no more than there are cubes for."""
        taken = {worker.number for worker in self._workers}
        for number in range(self._count):
            if number not in taken and len(self._workers) < self.in_hand:
                ours, theirs = self._context.Pipe()
                device = self._devices[number % len(self._devices)] if self._devices else None
                process = self._context.Process(target=_serve, args=(theirs, device), daemon=True)
                process.start()
                theirs.close()
                self._workers.append(_Worker(number, process, ours, time.monotonic()))

    def _feed(self) -> None:
        """Hand queued cubes to workers: one each, then one more each while all are busy."""
        while self._queue:
            ready = [worker for worker in self._workers if worker.ready]
            idlest = min(ready, key=lambda worker: len(worker.cubes), default=None)
            if idlest is None or len(idlest.cubes) >= IN_HAND:
                return
            if idlest.cubes and len(ready) < self._count:
                return  # a worker that is just starting will take it
            try:
                idlest.pipe.send(self._queue[0])
            except OSError:  # it died; `wait` finds out
                return
            if not idlest.cubes:
                idlest.since = time.monotonic()
            idlest.cubes.append(self._queue.popleft())

    def _listen(self, worker: _Worker, *, to_the_end: bool = False) -> list[Outcome]:
        """What a worker has to say; its end, if the pipe is closed."""
        messages, ended = [], to_the_end
        try:
            while worker.pipe.poll():
                messages.append(worker.pipe.recv())
        except (EOFError, OSError):
            ended = True
        outcomes = [outcome for message in messages for outcome in self._heard(worker, *message)]
        return outcomes + self._bury(worker, End.DIED, _death(worker)) if ended else outcomes

    def _heard(self, worker: _Worker, kind: str, content: Any) -> list[Outcome]:
        if kind == "hello":
            with contextlib.suppress(OSError):  # it died; `wait` finds out
                worker.pipe.send_bytes(self._pickled)
        elif kind == "ready":
            worker.ready, self._false_starts = True, 0
        elif kind == "unable":
            raise content
        else:
            worker.since = time.monotonic()
            cube = worker.cubes.popleft()
            if kind == "done":
                return [Outcome(cube, End.DONE, content)]
            return [Outcome(cube, End.RAISED, error=content)]
        return []

    def _expire(self) -> list[Outcome]:
        outcomes, now = [], time.monotonic()
        for worker in list(self._workers):
            limit = self._limit(worker)
            if limit is not None and now - worker.since >= limit:
                worker.process.kill()
                error = TimeoutError(f"took longer than {limit:g} s, and its worker was killed")
                outcomes += self._bury(worker, End.EXPIRED, error)
        return outcomes

    def _pause(self) -> float | None:
        """Seconds until the next worker has to be looked after."""
        now = time.monotonic()
        ends = [(worker.since, self._limit(worker)) for worker in self._workers]
        left = [since + limit - now for since, limit in ends if limit is not None]
        return max(0.0, min(left)) if left else None

    def _limit(self, worker: _Worker) -> float | None:
        if not worker.ready:
            return START_S
        return self._timeout if worker.cubes else None

    def _bury(self, worker: _Worker, end: End, error: Exception) -> list[Outcome]:
        """Forget a worker; its first cube ended that way, those queued behind are returned."""
        worker.process.join()
        worker.process.close()
        worker.pipe.close()
        self._workers.remove(worker)
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts == START_ATTEMPTS:
                raise WorkersLost(
                    f"{START_ATTEMPTS} worker processes in a row ended while they started "
                    f"({error}); what is done so far is safe: take fewer --workers, or 1 to see "
                    "the reason"
                )
        first = [Outcome(worker.cubes.popleft(), end, error=error)] if worker.cubes else []
        return first + [Outcome(cube, End.RETURNED) for cube in worker.cubes]


def _death(worker: _Worker) -> Exception:
    worker.process.join()
    code = worker.process.exitcode
    how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
    return RuntimeError(f"the worker process died {how}, perhaps for want of memory")


def _serve(pipe: Connection, device: str | None) -> None:
    """Runs in a worker process: take cubes until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        pipe.send(("hello", None))
        task = adopted(pipe.recv_bytes(), device)
    except EOFError:
        return
    except Exception as error:
        pipe.send(("unable", sendable(error)))
        return
    pipe.send(("ready", None))
    while True:
        try:
            cube = pipe.recv()
        except EOFError:
            return
        try:
            answer = ("done", task(cube))
        except Exception as error:
            answer = ("raised", sendable(error))
        pipe.send(answer)


def adopted(pickled: bytes, device: str | None = None) -> CubeTask:
    """A task that was sent to this process, on its device, checked, with one thread of torch."""
    import torch

    torch.set_num_threads(1)
    task = pickle.loads(pickled)
    if device is not None and hasattr(task, "to"):
        task.to(device)
    if hasattr(task, "check"):
        task.check()
    return task


def sendable(error: Exception) -> Exception:
    """An error that survives being pickled: itself if it does, else its type and text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    """A worker whose coordinator was killed must not go on with a cube for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
