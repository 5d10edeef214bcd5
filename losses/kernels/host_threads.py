"""Spread a compiled kernel over the threads that torch is allowed to use.

The kernels of this package release the interpreter lock and write each item of their output apart,
so any number of threads gives the same bits. The number is torch's own: set it with
`torch.set_num_threads` or `OMP_NUM_THREADS`. In the workers of a data loader it is 1, and then
nothing is started. Threads live as long as the call, which is safe before and after a fork.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def over_ranges(work: Callable[[int, int], None], count: int, least: int = 1) -> None:
    """Call `work(begin, end)` on consecutive ranges that cover 0..`count`, at the same time.

    Args:
        work: must release the interpreter lock to gain anything, and write only what belongs to
            its range.
        least: items that are worth a thread.

    The first error of any range is raised when all have ended.
    """
    threads = max(1, min(torch.get_num_threads(), count // least))
    if threads == 1:
        work(0, count)
        return
    bounds = [count * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
