import threading
import time

import pytest
import torch

from topodelin.training import Batch
from topodelin.training.prefetch import BatchError, batches


def numbered(step: int) -> Batch:
    time.sleep(0.002 * (step % 3))  # later batches may be ready before earlier ones
    value = torch.full((1, 1, 1, 1, 1), float(step))
    return Batch(value, {"distance_map": value})


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order(workers: int) -> None:
    steps = [int(batch.image) for batch in batches(numbered, range(4, 15), workers=workers)]
    assert steps == list(range(4, 15))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failing_worker_gives_one_error_that_names_the_step(workers: int) -> None:
    def draw(step: int) -> Batch:
        if step >= 5:
            raise OSError("the disk is gone")
        return numbered(step)

    coming = batches(draw, range(3, 20), workers=workers)
    assert int(next(coming).image) == 3
    assert int(next(coming).image) == 4
    with pytest.raises(BatchError, match="step 5 could not be prepared: the disk is gone"):
        next(coming)


def test_giving_up_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    coming = batches(numbered, range(100), workers=2)
    next(coming)
    coming.close()
    assert threading.active_count() == before
