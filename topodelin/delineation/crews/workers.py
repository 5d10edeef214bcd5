"""Who predicts the cubes: this process, a pool of processes, or any executor one has."""

import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any

import numpy as np

from topodelin.delineation.prediction import CubePrediction, CubePredictor
from topodelin.volumes import Index

_adopted: CubePredictor | None = None  # in a worker process: what it was started with


class Workers:
    """Submits cubes to an executor and starts a new pool where a worker died.

    Args:
        predictor: what is done with each cube.
        count: cubes in hand at the same time; without an executor, also the number of processes.
            1 predicts in this process.
        executor: any `concurrent.futures.Executor`, for example that of a `dask` client; the
            predictor is sent with every cube. It is not shut down here.
    """

    def __init__(
        self, predictor: CubePredictor, count: int = 1, executor: Executor | None = None
    ) -> None:
        if count < 1:
            raise ValueError(f"`workers` must be 1 or more, got {count}")
        if executor is None and count > 1 and isinstance(predictor.volume.data, np.memmap):
            raise ValueError(
                "`volume` is a memory map, which every worker process would copy whole; "
                "open the file with topodelin.volumes.open_volume"
            )
        self.count = count
        self._predictor = predictor
        self._executor = executor
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, cube: Index) -> Future[CubePrediction]:
        """The prediction of a cube, now or later."""
        if self._executor is not None:
            return self._executor.submit(self._predictor, cube)
        if self.count == 1:
            return _at_once(self._predictor, cube)
        if self._pool is None:
            self._pool = start_pool(self._predictor, self.count)
        try:
            return self._pool.submit(predict_adopted, cube)
        except BrokenExecutor as error:  # it broke before the cube was handed over
            failed: Future[CubePrediction] = Future()
            failed.set_exception(error)
            return failed

    def replace_broken(self) -> None:
        """Forget a pool in which a worker died; the next cube starts a new one."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.replace_broken()


def start_pool(predictor: CubePredictor, count: int) -> ProcessPoolExecutor:
    """Fresh processes, each with the predictor and one thread of torch."""
    return ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_adopt,
        initargs=(pickle.dumps(predictor),),
    )


def predict_adopted(cube: Index) -> CubePrediction:
    """Runs in a worker process."""
    return adopted_predictor()(cube)


def adopted_predictor() -> CubePredictor:
    """The predictor that this worker process was started with."""
    if _adopted is None:
        raise RuntimeError("only a worker started by `start_pool` has a predictor")
    return _adopted


def _adopt(pickled: bytes) -> None:
    import torch

    global _adopted
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _adopted = pickle.loads(pickled)


def _end_with_parent() -> None:
    """A worker whose coordinator was killed must not wait for cubes for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _at_once(function: Any, cube: Index) -> Future[CubePrediction]:
    """The call made now, as a future; only an interruption comes out of it directly."""
    future: Future[CubePrediction] = Future()
    try:
        future.set_result(function(cube))
    except Exception as error:
        future.set_exception(error)
    return future
