"""Batches prepared in background threads while the network learns from earlier ones."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

from topodelin.training.sampler import Batch

AHEAD = 2  # batches waiting for each worker


class BatchError(ValueError):
    """A batch that could not be prepared; the message names the step and the cause."""


def batches(
    draw: Callable[[int], Batch], steps: range, *, workers: int
) -> Generator[Batch, None, None]:
    """The batch of each step, in order.

    Args:
        draw: makes the batch of a step; called from several threads when `workers` > 1.
        steps: the steps to make batches for.
        workers: threads that run ahead; 0 makes each batch when it is asked for.

    Raises:
        BatchError: at the step whose batch failed; later batches are given up.
    """
    if workers == 0:
        for step in steps:
            try:
                batch = draw(step)
            except Exception as error:
                raise _failure(step, error) from error
            yield batch
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    waiting: deque[tuple[int, Future[Batch]]] = deque()
    coming = iter(steps)
    try:
        while True:
            while len(waiting) < AHEAD * workers and (step := next(coming, None)) is not None:
                waiting.append((step, pool.submit(draw, step)))
            if not waiting:
                return
            step, future = waiting.popleft()
            try:
                batch = future.result()
            except Exception as error:
                raise _failure(step, error) from error
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _failure(step: int, error: Exception) -> BatchError:
    said = str(error) or type(error).__name__
    return BatchError(f"the crops of step {step} could not be prepared: {said}")
